//! The node's own log: what `system:status` says. In memory, bounded; the oldest is forgotten.

use aimg_domain::{EventKind, Position, TenantId, Timestamp};
use aimg_fanout::{Lanes, Publication};
use aimg_wire::topic::{Source, Topic};
use aimg_wire::ws::push::{EncodedEvent, SystemEvent};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

const KEPT: usize = 512;

pub struct SystemLog {
    node: String,
    epoch: u64,
    /// Offset of the newest.
    newest: u64,
    kept: VecDeque<Kept>,
    /// Tenants with subscribers. Those without any more are dropped at the next event for all.
    followed: BTreeSet<TenantId>,
}

struct Kept {
    position: Position,
    event: EventKind,
    data: Arc<Value>,
    /// Whom it concerns; `None`: everybody.
    of: Option<TenantId>,
    encoded: EncodedEvent,
}

/// What a reader of the node's log gets.
pub struct Recovered {
    pub recovered: bool,
    /// The last valid position, if the one asked for is not.
    pub valid: Option<Position>,
    /// Up to where this goes.
    pub head: Position,
    pub events: Vec<RecoveredEvent>,
}

pub struct RecoveredEvent {
    pub event: EventKind,
    pub data: Arc<Value>,
    pub publication: String,
}

impl Kept {
    fn concerns(&self, scope: Option<TenantId>) -> bool {
        scope.is_none() || self.of.is_none() || self.of == scope
    }
}

impl SystemLog {
    pub fn new(node: String, epoch: u64) -> SystemLog {
        SystemLog {
            node,
            epoch,
            newest: 0,
            kept: VecDeque::new(),
            followed: BTreeSet::new(),
        }
    }

    pub fn append(&mut self, of: Option<TenantId>, id: Uuid, event: EventKind, at: Timestamp, data: Value, lanes: &Lanes) {
        self.newest += 1;
        let position = Position {
            epoch: self.epoch,
            offset: self.newest,
        };
        let written = SystemEvent {
            id,
            event,
            at,
            position,
            node: self.node.clone(),
            data,
        };
        let encoded = EncodedEvent::of_system(&written);
        self.kept.push_back(Kept {
            position,
            event,
            data: Arc::new(written.data),
            of,
            encoded,
        });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.followed.retain(|tenant| lanes.wanted(&Topic::SystemStatus { scope: Some(*tenant) }));
        let scopes: Vec<Option<TenantId>> = match of {
            Some(tenant) => vec![None, Some(tenant)],
            None => self.followed.iter().copied().map(Some).chain([None]).collect(),
        };
        for scope in scopes {
            self.publish(Topic::SystemStatus { scope }, scope, lanes);
        }
    }

    fn publish(&self, topic: Topic, scope: Option<TenantId>, lanes: &Lanes) {
        let Some(newest) = self.kept.back() else { return };
        if lanes.wanted(&topic) {
            let frame = newest.encoded.push(&topic, self.prev(scope, newest.position));
            let source = Source::Node(self.node.clone());
            let (position, event, data) = (newest.position, newest.event.as_str(), newest.data.clone());
            lanes.publish(Publication {
                topic,
                source,
                position,
                event,
                frame,
                data,
            });
        }
    }

    /// The event of this scope before `position`, if it is still kept.
    fn prev(&self, scope: Option<TenantId>, position: Position) -> Option<Position> {
        let before = self.kept.iter().rev().find(|kept| kept.position < position && kept.concerns(scope));
        before.map(|kept| kept.position)
    }

    /// To be called once the subscriber is attached: from here on its scope is published to.
    pub fn since(&mut self, topic: &Topic, after: Option<Position>) -> Recovered {
        let scope = match topic {
            Topic::SystemStatus { scope } => *scope,
            Topic::TenantCalls(tenant) | Topic::Call { tenant, .. } => Some(*tenant),
        };
        self.followed.extend(scope);
        let head = Position {
            epoch: self.epoch,
            offset: self.newest,
        };
        let Some(after) = after else {
            return Recovered {
                recovered: true,
                valid: None,
                head,
                events: Vec::new(),
            };
        };
        let oldest = self.kept.front().map_or(self.newest, |kept| kept.position.offset - 1);
        if after.epoch != self.epoch || after.offset < oldest || after.offset > self.newest {
            return Recovered {
                recovered: false,
                valid: Some(head),
                head,
                events: Vec::new(),
            };
        }
        let newer = self.kept.iter().filter(|kept| kept.position > after && kept.concerns(scope));
        let events = newer.map(|kept| RecoveredEvent {
            event: kept.event,
            data: kept.data.clone(),
            publication: kept.encoded.publication(topic, self.prev(scope, kept.position)),
        });
        Recovered {
            recovered: true,
            valid: None,
            head,
            events: events.collect(),
        }
    }
}
