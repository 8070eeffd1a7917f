//! Websocket handshakes (RFC 6455, 4.2): the 101 is ours, then the bare socket goes to the tree.

use crate::Edge;
use crate::ask::Ask;
use crate::reply::Reply;
use aimg_actors::platform::{ConnectionPurpose, NewConnection};
use aimg_domain::{Caller, Fault, Timestamp, UserId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName};
use http::{HeaderMap, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
const BEARER: &str = "bearer.";

/// Open sockets, in all and by user.
pub struct Sockets {
    max: usize,
    max_per_user: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    users: HashMap<UserId, usize>,
}

/// A place among the open sockets; dropping it frees the place.
pub struct Slot {
    sockets: Arc<Sockets>,
    user: UserId,
}

impl Sockets {
    pub fn new(max: usize, max_per_user: usize) -> Sockets {
        Sockets {
            max,
            max_per_user,
            open: Mutex::default(),
        }
    }

    pub fn enter(self: &Arc<Self>, user: UserId) -> Result<Slot, Fault> {
        let full = |whose: &str, max: usize| Fault::TooMany {
            detail: format!("{whose} already has {max} sockets open"),
            retry_after_ms: 5000,
        };
        let mut open = self.open.lock();
        if open.all >= self.max {
            return Err(full("this node", self.max));
        }
        let of_user = open.users.entry(user).or_default();
        if *of_user >= self.max_per_user {
            return Err(full("this user", self.max_per_user));
        }
        *of_user += 1;
        open.all += 1;
        metrics::gauge!("aimg_sockets_open").set(open.all as f64);
        Ok(Slot { sockets: self.clone(), user })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.sockets.open.lock();
        open.all -= 1;
        metrics::gauge!("aimg_sockets_open").set(open.all as f64);
        if let Some(of_user) = open.users.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                open.users.remove(&self.user);
            }
        }
    }
}

/// The token of a subprotocol `bearer.<jwt>`: browsers can set no header.
pub fn bearer_protocol(headers: &HeaderMap) -> Option<String> {
    offered(headers).find_map(|protocol| protocol.strip_prefix(BEARER).map(str::to_owned))
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',').map(str::trim))
}

/// Checks the handshake, answers 101 and hands the socket over once hyper has let it go.
pub fn upgrade(mut ask: Ask, purpose: ConnectionPurpose) -> Result<Reply, Fault> {
    if let Some(refusal) = bad_handshake(&ask.headers) {
        return Ok(refusal);
    }
    let Some(key) = ask.headers.get(header::SEC_WEBSOCKET_KEY).and_then(|value| value.to_str().ok()) else {
        return Ok(upgrade_required("the Sec-WebSocket-Key header is missing"));
    };
    let accept = derive_accept_key(key.as_bytes());
    let Some(on_upgrade) = ask.upgrade.take() else {
        return Ok(upgrade_required("this connection cannot be upgraded"));
    };
    let caller = ask.caller()?.clone();
    let slot = ask.edge.sockets.enter(caller.user)?;
    let mut reply = Reply::new(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, &accept);
    // Only what was offered is echoed, else browsers drop the connection; the token itself must be, for the same reason.
    if let Some(protocol) = offered(&ask.headers).find(|protocol| *protocol == "aimg.v1" || protocol.starts_with(BEARER)) {
        reply = reply.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let opening = Opening {
        caller,
        peer: ask.peer,
        purpose,
        expires_at: ask.expires_at,
        slot,
    };
    tokio::spawn(hand_over(ask.edge.clone(), on_upgrade, opening));
    Ok(reply)
}

struct Opening {
    caller: Caller,
    peer: SocketAddr,
    purpose: ConnectionPurpose,
    expires_at: Option<Timestamp>,
    slot: Slot,
}

async fn hand_over(edge: Arc<Edge>, on_upgrade: OnUpgrade, opening: Opening) {
    let upgraded = match tokio::time::timeout(UPGRADE_TIMEOUT, on_upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "a socket went away in its handshake"),
        Err(_) => return tracing::debug!("a socket did not finish its handshake"),
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
        return tracing::error!("an upgraded connection is no TCP stream of ours");
    };
    let now = edge.clock.now();
    let connection = NewConnection {
        stream: parts.io.into_inner(),
        leftover: parts.read_buf,
        caller: opening.caller,
        peer: opening.peer,
        purpose: opening.purpose,
        expires_in_ms: opening.expires_at.map(|at| u64::try_from(at.0 - now.0).unwrap_or(0)),
        slot: Some(Arc::new(opening.slot)),
    };
    if let Err(fault) = edge.platform.connect(connection).await {
        tracing::info!(%fault, "a socket was not taken");
    }
}

fn bad_handshake(headers: &HeaderMap) -> Option<Reply> {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Some(upgrade_required("this is a websocket: ask for an upgrade"));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Some(upgrade_required("the version of the websocket protocol must be 13").header(header::SEC_WEBSOCKET_VERSION, "13"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key.as_bytes()).ok());
    if key.is_none_or(|key| key.len() != 16) {
        return Some(Reply::fault(&Fault::invalid("Sec-WebSocket-Key", "16 bytes in base64")));
    }
    None
}

fn upgrade_required(detail: &str) -> Reply {
    Reply::problem(StatusCode::UPGRADE_REQUIRED, "upgrade_required", detail)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "upgrade")
}
