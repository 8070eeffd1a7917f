//! What the server sends unasked: events, position marks, signals, and the end of a subscription.
//!
//! - event: `{topic, prev, source, epoch, offset, event, at, id, tenant_id, call_id, seq, node, data}`. `prev` is the position
//!   of the topic's event before this one, before any filter, null at the start: a subscriber without a filter that holds a lower
//!   position than `prev` has lost something.
//! - mark: `{topic, source, epoch, offset, mark: true}`: all up to here was seen by the filter and nothing passed since.
//! - signal: `{topic, signal, at, data}`: true only now; no position.
//! - end: `{topic, unsubscribed: true, code, detail}`. With code `resume` subscribe again with the position you hold.

use super::frame;
use crate::topic::{Source, Topic};
use aimg_domain::{Event, Position, Timestamp};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

/// An event as text, encoded once for all topics it goes to.
#[derive(Clone, Debug)]
pub struct EncodedEvent {
    /// The object without its opening brace.
    tail: String,
}

#[derive(Serialize)]
struct Tail<'a> {
    source: String,
    epoch: u64,
    offset: u64,
    event: &'a str,
    at: Timestamp,
    id: uuid::Uuid,
    tenant_id: Option<aimg_domain::TenantId>,
    call_id: Option<aimg_domain::CallId>,
    seq: u64,
    node: &'a str,
    data: &'a Value,
}

/// An event of a node's own log.
#[derive(Clone, Debug)]
pub struct SystemEvent {
    pub id: uuid::Uuid,
    pub event: aimg_domain::EventKind,
    pub at: Timestamp,
    pub position: Position,
    pub node: String,
    pub data: Value,
}

impl EncodedEvent {
    pub fn of(event: &Event) -> EncodedEvent {
        EncodedEvent::encode(&Tail {
            source: Source::Tenant(event.tenant_id).to_string(),
            epoch: event.epoch,
            offset: event.offset,
            event: event.event.as_str(),
            at: event.at,
            id: event.id,
            tenant_id: Some(event.tenant_id),
            call_id: event.call_id,
            seq: event.seq,
            node: &event.node,
            data: &event.data,
        })
    }

    pub fn of_system(event: &SystemEvent) -> EncodedEvent {
        EncodedEvent::encode(&Tail {
            source: Source::Node(event.node.clone()).to_string(),
            epoch: event.position.epoch,
            offset: event.position.offset,
            event: event.event.as_str(),
            at: event.at,
            id: event.id,
            tenant_id: None,
            call_id: None,
            seq: 0,
            node: &event.node,
            data: &event.data,
        })
    }

    fn encode(tail: &Tail<'_>) -> EncodedEvent {
        // Plain members with string keys: serde_json cannot fail on them.
        let text = serde_json::to_string(tail).unwrap_or_else(|_| "{}".to_owned());
        EncodedEvent { tail: text[1..].to_owned() }
    }

    /// As an entry of `publications`, and the payload of a push.
    pub fn publication(&self, topic: &Topic, prev: Option<Position>) -> String {
        let tail = &self.tail;
        match prev {
            Some(prev) => format!(r#"{{"topic":"{topic}","prev":{{"epoch":{},"offset":{}}},{tail}"#, prev.epoch, prev.offset),
            None => format!(r#"{{"topic":"{topic}","prev":null,{tail}"#),
        }
    }

    /// As a whole frame.
    pub fn push(&self, topic: &Topic, prev: Option<Position>) -> Bytes {
        frame::text(&self.publication(topic, prev))
    }
}

pub fn mark(topic: &Topic, source: &Source, position: Position) -> Bytes {
    let Position { epoch, offset } = position;
    let source = Value::String(source.to_string());
    frame::text(&format!(
        r#"{{"topic":"{topic}","source":{source},"epoch":{epoch},"offset":{offset},"mark":true}}"#
    ))
}

pub fn signal(topic: &Topic, kind: &str, at: Timestamp, data: &Value) -> Bytes {
    frame::text(&serde_json::json!({"topic": topic.to_string(), "signal": kind, "at": at, "data": data}).to_string())
}

/// `code`: `resume`, `forbidden`, …
pub fn unsubscribed(topic: &Topic, code: &str, detail: &str) -> Bytes {
    frame::text(&serde_json::json!({"topic": topic.to_string(), "unsubscribed": true, "code": code, "detail": detail}).to_string())
}
