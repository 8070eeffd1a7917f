//! The websockets: one for topics, one for a call's audio.

use super::handler;
use crate::ask::Ask;
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route};
use crate::socket;
use crate::spec::{Field, Kind};
use aimg_actors::platform::ConnectionPurpose;
use aimg_domain::role::Permission;
use aimg_domain::{CallId, Fault};
use http::Method;

const TICKET: &[Field] = &[Field::may(
    "ticket",
    Kind::Secret { min: 1, max: 200 },
    "From POST auth/ws-ticket, in place of the Authorization header or the subprotocol `bearer.<jwt>`.",
)];

pub fn rows() -> Vec<Route> {
    vec![
        route(Method::GET, "/ws", Access::Needs(Permission::SystemRead), handler!(topics))
            .about("websocket", "One connection, many topics")
            .query(TICKET)
            .answers(101, Answers::Socket)
            .errors(&[426, 429]),
        route(Method::GET, "/ws/audio/stream/{id}", Access::Needs(Permission::CallsMonitor), handler!(audio))
            .about("websocket", "A call's live audio: PCM16 per track in binary frames")
            .query(TICKET)
            .answers(101, Answers::Socket)
            .errors(&[426, 429]),
    ]
}

async fn topics(ask: Ask) -> Result<Reply, Fault> {
    socket::upgrade(ask, ConnectionPurpose::Topics)
}

async fn audio(ask: Ask) -> Result<Reply, Fault> {
    let call: CallId = ask.id("call")?;
    let tenant = ask.tenant()?;
    super::calls::known(&ask, call).await?;
    socket::upgrade(ask, ConnectionPurpose::Audio { call, tenant })
}
