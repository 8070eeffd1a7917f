//! The HTTP server: who asks, what is asked, and the upgrade to a websocket.

use super::request::{Opened, Reply, Request, decoded};
use super::socket;
use crate::ami::server::dead;
use crate::gate::{Gated, Run};
use crate::handle::Shared;
use crate::rtp::MediaCommand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const BODY_MAX: usize = 64 << 10;
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// More connections than this wait in the listen queue.
const CONNECTIONS_MAX: usize = 1024;

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        shared.gate.until(Run::Running).await;
        if shared.gate.run() == Run::Dead {
            return;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.gate.until(Run::Frozen) => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _place = place;
            let gate = Arc::clone(&shared.gate);
            tokio::select! {
                () = converse(stream, shared) => {}
                () = dead(&gate) => {}
            }
        });
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Gated::new(stream, Arc::clone(&shared.gate)));
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(io, service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::trace!(%error, "an ARI connection ended");
    }
}

async fn answer(mut request: http::Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let Some(rest) = path.strip_prefix("/ari/") else {
        return Ok(reply(Reply::error(404, "Resource not found")));
    };
    let mut asked = Request {
        method: request.method().as_str().to_owned(),
        ..Request::default()
    };
    asked.segments = rest.trim_end_matches('/').split('/').map(decoded).collect();
    asked.add_query(request.uri().query().unwrap_or_default());
    let Some(read_only) = who(&request, &asked, &shared) else {
        return Ok(unauthorized());
    };
    if asked.segments == ["events"] {
        return Ok(socket::upgrade(&mut request, &asked, &shared));
    }
    if read_only && request.method() != Method::GET {
        return Ok(reply(Reply::error(403, "Write access denied")));
    }
    match Limited::new(request.into_body(), BODY_MAX).collect().await {
        Ok(body) => asked.add_body(&body.to_bytes()),
        Err(_) => return Ok(reply(Reply::error(413, "Request body too large"))),
    }
    Ok(reply(perform(asked, &shared)))
}

/// Binds the port an external channel will send from, if one is asked for, and lets the switch decide.
fn perform(mut asked: Request, shared: &Shared) -> Reply {
    let external = asked.method == "POST" && asked.segments == ["channels", "externalMedia"];
    let socket = if external { bind(shared) } else { None };
    asked.local = socket.as_ref().and_then(|socket| socket.local_addr().ok());
    shared.with_media(|switch, media| {
        let done = switch.ari(&asked);
        if let (Some(Opened { id, to, format }), Some(socket)) = (done.opened.clone(), socket) {
            media(MediaCommand::Open { id, socket, to, format });
        }
        done
    })
}

fn bind(shared: &Shared) -> Option<UdpSocket> {
    let host = IpAddr::from([127, 0, 0, 1]);
    let socket = match &shared.config.rtp_ports {
        None => UdpSocket::bind((host, 0)).ok()?,
        Some(ports) => ports.clone().find_map(|port| UdpSocket::bind((host, port)).ok())?,
    };
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// By Basic authorization or `api_key`; the answer is whether the user may only read.
fn who(request: &http::Request<Incoming>, asked: &Request, shared: &Shared) -> Option<bool> {
    let basic = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded = basic.and_then(|text| String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok());
    let credentials = decoded.or_else(|| asked.param("api_key").map(str::to_owned))?;
    let (name, secret) = credentials.split_once(':')?;
    let user = shared
        .config
        .ari_users
        .iter()
        .find(|user| user.name == name && user.secret.expose() == secret)?;
    Some(user.read_only)
}

fn unauthorized() -> Response<Full<Bytes>> {
    let mut response = reply(Reply::error(401, "Authentication required"));
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        header::HeaderValue::from_static("Basic realm=\"Asterisk REST Interface\""),
    );
    response
}

pub(super) fn reply(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body.unwrap_or_default())));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::SERVER, header::HeaderValue::from_static("Asterisk"));
    if reply.status != 204 {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    }
    response
}
