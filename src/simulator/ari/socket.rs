//! The events websocket: what the switch tells an application, pings answered, nothing asked.

use super::request::{Reply, Request};
use super::server::reply;
use crate::handle::Shared;
use crate::outbox::Outbox;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// Clients say nothing that matters: a long message is an attack.
const MESSAGE_MAX: usize = 64 << 10;
const APPS_MAX: usize = 16;
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Answers the handshake and serves the socket once the connection is ours.
pub(super) fn upgrade(request: &mut http::Request<Incoming>, asked: &Request, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    let apps = asked.list("app");
    if apps.is_empty() || apps.len() > APPS_MAX {
        return reply(Reply::error(400, "HTTP request is missing param: [app]"));
    }
    let header = |name| request.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let websocket = header(header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let Some(key) = header(header::SEC_WEBSOCKET_KEY)
        .filter(|_| websocket)
        .map(|key| derive_accept_key(key.as_bytes()))
    else {
        return reply(Reply::error(426, "Upgrade required"));
    };
    let offered = header(header::SEC_WEBSOCKET_PROTOCOL).is_some_and(|offer| offer.split(',').any(|name| name.trim() == "ari"));
    let subscribe_all = asked.param("subscribeAll").is_some_and(|value| value == "true");
    let upgrading = hyper::upgrade::on(request);
    let shared = Arc::clone(shared);
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let outbox = Outbox::new(shared.config.outbox_bytes);
    // As the real one does: who has the answer to the handshake finds the application.
    shared.with(|switch| switch.app_connected(&apps, connection, &outbox, subscribe_all));
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrading.await {
            let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
            tokio::select! {
                () = serve(socket, &outbox) => {}
                () = crate::ami::server::dead(&shared.gate) => {}
            }
        }
        shared.with(|switch| switch.app_disconnected(connection));
    });
    switching(&key, offered)
}

fn switching(key: &str, offered: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    if let Ok(key) = header::HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if offered {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static("ari"));
    }
    response
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn serve(socket: Socket, outbox: &Outbox) {
    let (mut sink, mut stream) = socket.split();
    let reading = async {
        // Reading answers pings; messages themselves mean nothing to us.
        while let Some(Ok(message)) = stream.next().await {
            if message.is_close() {
                break;
            }
        }
    };
    let writing = async {
        while let Some(batch) = outbox.next().await {
            for bytes in batch {
                let text = String::from_utf8(bytes.to_vec()).unwrap_or_default();
                if sink.feed(Message::text(text)).await.is_err() {
                    return;
                }
            }
            if sink.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
        () = outbox.until_cut() => {}
    }
}
