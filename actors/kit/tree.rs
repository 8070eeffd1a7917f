//! The register of all actors of this node: what `GET /cluster/tree` and `aimg tree` show.

use crate::queue::{Counters, Overflow};
use crate::shell::Packet;
use aimg_domain::actor::{ActorCounters, ActorInfo, ActorRestart, ActorState};
use aimg_domain::{Clock, Fault, Timestamp};
use parking_lot::{Mutex, RwLock};
use ractor::ActorRef;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How many restarts of an actor are remembered.
const RESTARTS_KEPT: usize = 16;

pub(crate) struct Entry {
    pub kind: &'static str,
    pub subject: String,
    pub parent: Option<String>,
    pub counters: Arc<Counters>,
    pub bound: usize,
    pub overflow: Overflow,
    pub changing: Mutex<Changing>,
}

pub(crate) struct Changing {
    pub since: Timestamp,
    pub state: ActorState,
    pub restarts: VecDeque<ActorRestart>,
    pub note: Option<String>,
    pub runner: Option<ActorRef<Packet>>,
    /// Why the next failure happens, if it was ordered.
    pub ordered: Option<String>,
}

impl Entry {
    pub fn id(&self) -> String {
        format!("{}:{}", self.kind, self.subject)
    }

    fn info(&self) -> ActorInfo {
        let changing = self.changing.lock();
        let counters = &self.counters;
        ActorInfo {
            id: self.id(),
            kind: self.kind.to_owned(),
            subject: self.subject.clone(),
            parent: self.parent.clone(),
            since: changing.since,
            state: changing.state,
            messages: ActorCounters {
                received: counters.received.load(Relaxed),
                handled: counters.handled.load(Relaxed),
                refused: counters.refused.load(Relaxed),
                failed: counters.failed.load(Relaxed),
                busy_us: counters.busy_us.load(Relaxed),
            },
            depth: counters.depth.load(Relaxed),
            depth_max: counters.depth_max.load(Relaxed),
            bound: self.bound as u64,
            overflow: self.overflow.as_str().to_owned(),
            restarts: changing.restarts.iter().cloned().collect(),
            note: changing.note.clone(),
        }
    }
}

/// Shared by every actor of a node. Cheap to clone.
#[derive(Clone)]
pub struct Tree {
    inside: Arc<Inside>,
}

struct Inside {
    clock: Arc<dyn Clock>,
    entries: RwLock<BTreeMap<String, Arc<Entry>>>,
}

impl Tree {
    pub fn new(clock: Arc<dyn Clock>) -> Tree {
        Tree {
            inside: Arc::new(Inside {
                clock,
                entries: RwLock::default(),
            }),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.inside.clock.now()
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        self.inside.clock.clone()
    }

    pub(crate) fn register(&self, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.inside.entries.write().insert(entry.id(), entry.clone());
        entry
    }

    /// Removes exactly this entry: a successor of the same id stays.
    pub(crate) fn unregister(&self, entry: &Arc<Entry>) {
        let mut entries = self.inside.entries.write();
        let id = entry.id();
        if entries.get(&id).is_some_and(|found| Arc::ptr_eq(found, entry)) {
            entries.remove(&id);
        }
    }

    pub(crate) fn note_restart(&self, entry: &Entry, cause: String) {
        let mut changing = entry.changing.lock();
        let cause = changing.ordered.take().unwrap_or(cause);
        if changing.restarts.len() == RESTARTS_KEPT {
            changing.restarts.pop_front();
        }
        let at = self.now();
        changing.restarts.push_back(ActorRestart { at, cause });
        changing.since = at;
    }

    /// Every actor, by id.
    pub fn list(&self) -> Vec<ActorInfo> {
        self.inside.entries.read().values().map(|entry| entry.info()).collect()
    }

    pub fn count(&self) -> usize {
        self.inside.entries.read().len()
    }

    pub fn get(&self, id: &str) -> Option<ActorInfo> {
        self.inside.entries.read().get(id).map(|entry| entry.info())
    }

    /// Lets an actor fail on purpose, with `cause` in its restart history: its supervisor restarts it by its rules.
    /// One that is stuck in a message is killed.
    pub fn restart(&self, id: &str, cause: String) -> Result<(), Fault> {
        let entry = self
            .inside
            .entries
            .read()
            .get(id)
            .cloned()
            .ok_or_else(|| Fault::not_found(format!("actor {id}")))?;
        let mut changing = entry.changing.lock();
        let Some(runner) = changing.runner.clone() else {
            return Err(Fault::unavailable(format!("actor {id} is down just now")));
        };
        changing.ordered = Some(cause.clone());
        drop(changing);
        let _ = runner.cast(Packet::Fail(cause));
        let entry = entry.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            if entry.changing.lock().ordered.is_some() {
                runner.kill();
            }
        });
        Ok(())
    }
}
