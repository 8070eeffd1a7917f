//! What goes to the subscribers of a topic.

use aimg_domain::Position;
use aimg_wire::topic::{Source, Topic};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// An event in one topic. Positions of a topic only ever rise.
#[derive(Clone, Debug)]
pub struct Publication {
    pub topic: Topic,
    pub source: Source,
    pub position: Position,
    pub event: &'static str,
    /// The whole websocket frame.
    pub frame: Bytes,
    /// What filters look at.
    pub data: Arc<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// Reply and history are on their way, what was held follows.
    Released,
    /// More came meanwhile than may be held. Nothing was sent and the subscription is off: attach again.
    Overflowed,
    /// The subscription or its socket is gone. Nothing was sent.
    Gone,
}
