//! The accept loop: connections, their limits and their end. It knows nothing of routes.

use crate::config::EdgeConfig;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
/// After a failed accept (no descriptors left): enough for others to end, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Of the connection a request came by; in the request's extensions.
#[derive(Clone, Debug)]
pub struct ConnInfo {
    pub peer: SocketAddr,
    pub activity: Arc<Activity>,
}

/// When something last moved on a connection.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    fn new() -> Activity {
        Activity {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }

    pub fn touch(&self) {
        self.last_ms.store(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    fn idle(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Relaxed)))
    }
}

/// Binds with `SO_REUSEADDR`, so that a restart does not wait for old connections to be forgotten.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

/// Serves until `shutdown` resolves, then lets open requests end within the grace.
pub async fn serve(listener: TcpListener, filter: BoxedFilter<(Response,)>, config: EdgeConfig, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(config.max_connections));
    let (stop, stopping) = watch::channel(false);
    let config = Arc::new(config);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match slots.clone().try_acquire_owned() {
                    Ok(slot) => {
                        let one = connection(stream, peer, filter.clone(), config.clone(), stopping.clone());
                        connections.spawn(async move { one.await; drop(slot); });
                    }
                    Err(_) => refuse(&stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(config.shutdown_grace, drained).await.is_err() {
        tracing::warn!(open = connections.len(), "connections cut at the end of the grace");
        connections.shutdown().await;
    }
    Ok(())
}

fn refuse(stream: &TcpStream) {
    metrics::counter!("aimg_http_connections_refused_total").increment(1);
    let _ = stream.try_write(FULL);
}

async fn connection(stream: TcpStream, peer: SocketAddr, filter: BoxedFilter<(Response,)>, config: Arc<EdgeConfig>, mut stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let info = ConnInfo {
        peer,
        activity: Arc::new(Activity::new()),
    };
    let activity = info.activity.clone();
    let routed = TowerToHyperService::new(warp::service(filter));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        info.activity.touch();
        request.extensions_mut().insert(info.clone());
        routed.call(request)
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_read_timeout)
        .max_buf_size(config.max_header_bytes.max(8192))
        .max_headers(config.max_headers)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let mut watch = tokio::time::interval((config.idle_timeout / 4).max(Duration::from_millis(10)));
    let mut told = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection ended badly");
                }
                return;
            }
            _ = watch.tick() => {
                if activity.idle() > config.idle_timeout {
                    tracing::debug!(%peer, "connection closed: nothing moved");
                    return;
                }
            }
            changed = stopping.changed(), if !told => {
                told = true;
                if changed.is_err() || *stopping.borrow() {
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// The one filter, as the accept loop takes it.
pub fn boxed<F>(filter: F) -> BoxedFilter<(Response,)>
where
    F: Filter<Extract = (Response,), Error = warp::Rejection> + Send + Sync + 'static,
{
    filter.boxed()
}
