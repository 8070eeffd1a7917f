//! `EventRelay`: one a node. Takes what the journals committed, gives each topic its `prev`, encodes once, hands to the lanes.
//!
//! It is a handle, not an actor: the journal of a tenant is the only one that publishes for it, so order is kept without a mailbox,
//! and a mailbox would add a hop and a bound to the hottest path of all. What it holds may be lost: positions come back from the journal.

mod system;
mod tenant;

pub use system::Recovered;

use aimg_domain::{Clock, Event, EventKind, IdSource, Position, TenantId, Timestamp};
use aimg_fanout::{Lanes, Publication};
use aimg_store::StoreError;
use aimg_store::journal::Journal;
use aimg_wire::topic::{Source, Topic};
use aimg_wire::ws::push::{self, EncodedEvent};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use system::SystemLog;
use tenant::{Gap, TenantStream};

/// Events that a fill reads at a time.
const PAGE: usize = 500;
const RETRY: Duration = Duration::from_millis(500);

pub struct RelayDeps {
    pub lanes: Arc<Lanes>,
    pub journal: Arc<dyn Journal>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    /// This node's name.
    pub node: String,
    /// Rises with each start of the node: the epoch of its own log.
    pub generation: u64,
}

#[derive(Clone)]
pub struct EventRelay {
    inside: Arc<Inside>,
}

struct Inside {
    deps: RelayDeps,
    tenants: RwLock<HashMap<TenantId, Arc<Mutex<TenantStream>>>>,
    system: Mutex<SystemLog>,
}

impl EventRelay {
    pub fn new(deps: RelayDeps) -> EventRelay {
        let system = Mutex::new(SystemLog::new(deps.node.clone(), deps.generation));
        EventRelay {
            inside: Arc::new(Inside {
                deps,
                tenants: RwLock::default(),
                system,
            }),
        }
    }

    /// After the commit, in the order of positions, by the tenant's one writer. Never waits: if something committed before was not
    /// published (its writer died in between), the journal is read first, by a task.
    pub fn publish(&self, tenant: TenantId, events: Vec<Event>) {
        let stream = self.stream(tenant);
        let mut held = stream.lock();
        match held.gap(&events) {
            Gap::None => self.emit(tenant, &mut held, events),
            Gap::BeingFilled => {}
            Gap::Found => {
                tracing::warn!(%tenant, "events were committed but not published: reading them from the journal");
                drop(held);
                tokio::spawn(self.clone().fill(tenant, stream));
            }
        }
    }

    async fn fill(self, tenant: TenantId, stream: Arc<Mutex<TenantStream>>) {
        loop {
            let after = stream.lock().last().unwrap_or_default();
            match self.inside.deps.journal.read(tenant, after, PAGE).await {
                Ok(events) => {
                    let nothing = events.is_empty();
                    {
                        let mut held = stream.lock();
                        self.emit(tenant, &mut held, events);
                        if held.is_filled() {
                            return;
                        }
                    }
                    if nothing {
                        tokio::time::sleep(RETRY).await;
                    }
                }
                Err(StoreError::Gap { valid }) => {
                    tracing::error!(%tenant, ?after, ?valid, "the journal does not know what was published last");
                    stream.lock().jump(valid);
                }
                Err(error) => {
                    tracing::warn!(%tenant, %error, "reading what was not published failed, trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn emit(&self, tenant: TenantId, stream: &mut TenantStream, events: Vec<Event>) {
        let lanes = &self.inside.deps.lanes;
        let all = Topic::TenantCalls(tenant);
        let source = Source::Tenant(tenant);
        for event in events {
            let position = event.position();
            let (prev, call_prev) = stream.advance(&event);
            let call = event.call_id.map(|call| Topic::Call { tenant, call });
            let topics = [(Some(all), prev), (call, call_prev)];
            let wanted: Vec<(Topic, Option<Position>)> = topics
                .into_iter()
                .filter_map(|(topic, prev)| Some((topic?, prev)))
                .filter(|(topic, _)| lanes.wanted(topic))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            let encoded = EncodedEvent::of(&event);
            let (name, data) = (event.event.as_str(), Arc::new(event.data));
            for (topic, prev) in wanted {
                let frame = encoded.push(&topic, prev);
                lanes.publish(Publication {
                    topic,
                    source: source.clone(),
                    position,
                    event: name,
                    frame,
                    data: data.clone(),
                });
            }
        }
    }

    /// True only now: never journaled, the latest value of a kind wins.
    pub fn signal(&self, topic: Topic, kind: &Arc<str>, data: &Value) {
        let lanes = &self.inside.deps.lanes;
        if lanes.wanted(&topic) {
            lanes.signal(topic, kind, push::signal(&topic, kind, self.inside.deps.clock.now(), data));
        }
    }

    /// Said at once to those whom it concerns, and not journaled: "the store is down" must not need the store.
    pub fn system_for(&self, tenant: Option<TenantId>, event: EventKind, data: Value) {
        let (at, id) = (self.inside.deps.clock.now(), self.inside.deps.ids.uuid());
        let mut log = self.inside.system.lock();
        // Under the lock, so that lanes get positions in order.
        log.append(tenant, id, event, at, data, &self.inside.deps.lanes);
    }

    /// What concerns everybody on this node. Never of a tenant's own things: see `system_for`.
    pub fn system(&self, event: EventKind, data: Value) {
        self.system_for(None, event, data);
    }

    /// `detail` may name hosts and paths: it is for the log only.
    pub fn service_down(&self, service: &str, tenant: TenantId, since: Timestamp, detail: &str) {
        tracing::debug!(service, %tenant, detail, "service down");
        self.system_for(Some(tenant), EventKind::ServiceDown, json!({"service": service, "since": since}));
    }

    pub fn service_recovered(&self, service: &str, tenant: TenantId, since: Timestamp) {
        self.system_for(Some(tenant), EventKind::ServiceRecovered, json!({"service": service, "since": since}));
    }

    pub fn source(&self, topic: &Topic) -> Source {
        match topic.tenant() {
            Some(tenant) => Source::Tenant(tenant),
            None => Source::Node(self.inside.deps.node.clone()),
        }
    }

    /// To be called before attaching to a topic: learns where it stands, so that a hole behind it is noticed. False: no such call.
    pub async fn prepare(&self, topic: &Topic) -> Result<bool, StoreError> {
        let journal = &self.inside.deps.journal;
        match *topic {
            Topic::SystemStatus { .. } => Ok(true),
            Topic::TenantCalls(tenant) => self.prepare_tenant(tenant).await.map(|()| true),
            Topic::Call { tenant, call } => {
                self.prepare_tenant(tenant).await?;
                let stream = self.stream(tenant);
                if stream.lock().knows(call) {
                    return Ok(true);
                }
                let mut last = None;
                loop {
                    let events = journal.read_call(tenant, call, last.unwrap_or_default(), PAGE).await?;
                    last = events.last().map(Event::position).or(last);
                    if events.len() < PAGE {
                        break;
                    }
                }
                if let Some(last) = last {
                    stream.lock().note_call(call, last);
                }
                Ok(last.is_some())
            }
        }
    }

    async fn prepare_tenant(&self, tenant: TenantId) -> Result<(), StoreError> {
        let stream = self.stream(tenant);
        if stream.lock().has_published() {
            return Ok(());
        }
        let head = self.inside.deps.journal.head(tenant).await?;
        stream.lock().note_head(head);
        Ok(())
    }

    /// The node's own log after `after` (or nothing, from its head). To be called after attaching.
    pub fn system_since(&self, topic: &Topic, after: Option<Position>) -> Recovered {
        self.inside.system.lock().since(topic, after)
    }

    fn stream(&self, tenant: TenantId) -> Arc<Mutex<TenantStream>> {
        if let Some(stream) = self.inside.tenants.read().get(&tenant) {
            return stream.clone();
        }
        self.inside.tenants.write().entry(tenant).or_default().clone()
    }
}
