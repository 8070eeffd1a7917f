//! `Journal`, `Sessions` and `Retention` in memory.

use crate::journal::{Commit, Committed, Journal};
use crate::retention::Retention;
use crate::sessions::{SessionCursor, SessionPage, SessionQuery, SessionRow, Sessions};
use crate::{StoreError, limits, row};
use aimg_domain::{CallId, CallSession, Event, NewEvent, PbxId, Position, TenantId};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct MemoryCalls {
    node: String,
    epoch: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    tenants: BTreeMap<TenantId, Tenant>,
}

#[derive(Default)]
struct Tenant {
    /// Oldest first, without holes.
    events: Vec<Event>,
    head: Position,
    /// The last that was forgotten.
    forgotten: Position,
    cuts: BTreeMap<u64, u64>,
    sessions: BTreeMap<CallId, SessionRow>,
}

impl MemoryCalls {
    pub fn new(node: impl Into<String>) -> MemoryCalls {
        MemoryCalls::owner(node.into(), Arc::default())
    }

    /// The same data under a new owner, as after a restart: this one is fenced from now on.
    #[must_use]
    pub fn reopened(&self) -> MemoryCalls {
        MemoryCalls::owner(self.node.clone(), self.state.clone())
    }

    fn owner(node: String, state: Arc<Mutex<State>>) -> MemoryCalls {
        let epoch = {
            let mut state = state.lock();
            state.epoch += 1;
            state.epoch
        };
        MemoryCalls { node, epoch, state }
    }

    fn with<T>(&self, tenant: TenantId, act: impl FnOnce(&mut Tenant, u64) -> T) -> T {
        let mut state = self.state.lock();
        let newest = state.epoch;
        act(state.tenants.entry(tenant).or_default(), newest)
    }
}

impl Tenant {
    fn append(&mut self, tenant: TenantId, epoch: u64, node: &str, new: NewEvent) -> Event {
        let offset = self.head.offset + 1;
        self.head = Position { epoch, offset };
        self.cuts.insert(epoch, offset);
        let event = Event {
            id: new.id,
            tenant_id: tenant,
            call_id: new.call_id,
            event: new.event,
            at: new.at,
            epoch,
            offset,
            seq: new.seq,
            node: node.to_owned(),
            data: new.data,
        };
        self.events.push(event.clone());
        event
    }

    fn check(&self, after: Position, newest: u64) -> Result<(), StoreError> {
        let gap = |valid| Err(StoreError::Gap { valid });
        if after.offset < self.forgotten.offset {
            return gap(self.forgotten);
        }
        if after.offset == self.forgotten.offset {
            return Ok(());
        }
        if after.epoch > newest {
            return gap(self.head);
        }
        let cut = self.cuts.range(..=after.epoch).next_back();
        let cut = cut.map(|(epoch, offset)| Position {
            epoch: *epoch,
            offset: *offset,
        });
        let cut = cut.filter(|cut| cut.offset > self.forgotten.offset).unwrap_or(self.forgotten);
        if after.offset > cut.offset { gap(cut) } else { Ok(()) }
    }

    /// In the order of the query, from behind the cursor.
    fn matching(&self, query: &SessionQuery, after: Option<SessionCursor>) -> Vec<&SessionRow> {
        let behind = |row: &SessionRow| after.is_none_or(|after| query.order((&row.session).into(), after) == Ordering::Greater);
        let mut rows: Vec<&SessionRow> = self.sessions.values().filter(|row| query.matches(&row.session) && behind(row)).collect();
        rows.sort_by(|a, b| query.order((&a.session).into(), (&b.session).into()));
        rows
    }
}

#[async_trait]
impl Journal for MemoryCalls {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    async fn commit(&self, tenant: TenantId, epoch: u64, commit: Commit) -> Result<Committed, StoreError> {
        if let Some(row) = commit.sessions.iter().find(|row| row.session.tenant_id != tenant) {
            return Err(StoreError::Corrupt(format!("session {} is not of tenant {tenant}", row.session.id)));
        }
        for row in &commit.sessions {
            row::decode::<CallSession>("a session", 1, &row::encode(1, &row.session)?)?;
        }
        for event in &commit.events {
            limits::check_time(event.at)?;
            limits::check("event", event.data.to_string().len(), limits::ROW_BYTES)?;
        }
        self.with(tenant, |held, newest| {
            if epoch != self.epoch || epoch != newest {
                return Err(StoreError::Fenced { epoch });
            }
            for mut row in commit.sessions {
                if row.session.is_ended() {
                    row.resume = Value::Null;
                }
                held.sessions.insert(row.session.id, row);
            }
            let events = commit.events.into_iter().map(|event| held.append(tenant, epoch, &self.node, event)).collect();
            Ok(Committed { events, head: held.head })
        })
    }

    async fn head(&self, tenant: TenantId) -> Result<Position, StoreError> {
        Ok(self.with(tenant, |held, _| held.head))
    }

    async fn read(&self, tenant: TenantId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.with(tenant, |held, newest| {
            held.check(after, newest)?;
            let events = held.events.iter().filter(|event| event.offset > after.offset);
            Ok(events.take(limit.min(limits::PAGE_ROWS)).cloned().collect())
        })
    }

    async fn read_back(&self, tenant: TenantId, before: Option<Position>, limit: usize) -> Result<Vec<Event>, StoreError> {
        let before = before.map_or(u64::MAX, |before| before.offset);
        Ok(self.with(tenant, |held, _| {
            let events = held.events.iter().rev().filter(|event| event.offset < before);
            events.take(limit.min(limits::PAGE_ROWS)).cloned().collect()
        }))
    }

    async fn read_call(&self, tenant: TenantId, call: CallId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.with(tenant, |held, newest| {
            if after != Position::default() {
                held.check(after, newest)?;
            }
            let events = held.events.iter().filter(|event| event.call_id == Some(call) && event.offset > after.offset);
            Ok(events.take(limit.min(limits::PAGE_ROWS)).cloned().collect())
        })
    }
}

#[async_trait]
impl Sessions for MemoryCalls {
    async fn get(&self, tenant: TenantId, call: CallId) -> Result<Option<SessionRow>, StoreError> {
        Ok(self.with(tenant, |held, _| held.sessions.get(&call).cloned()))
    }

    async fn list(&self, tenant: TenantId, query: &SessionQuery, after: Option<SessionCursor>, limit: usize) -> Result<SessionPage, StoreError> {
        Ok(self.with(tenant, |held, _| {
            let matching = held.matching(query, after);
            let sessions: Vec<_> = matching.iter().take(limit).map(|row| row.session.clone()).collect();
            let next = sessions.last().filter(|_| matching.len() > limit).map(SessionCursor::from);
            SessionPage { sessions, next }
        }))
    }

    async fn count(&self, tenant: TenantId, query: &SessionQuery) -> Result<Option<u64>, StoreError> {
        let count = self.with(tenant, |held, _| held.matching(query, None).len()) as u64;
        Ok((count <= limits::COUNT).then_some(count))
    }

    async fn active_of_pbx(&self, pbx: PbxId) -> Result<Vec<SessionRow>, StoreError> {
        let state = self.state.lock();
        let rows = state.tenants.values().flat_map(|held| held.sessions.values());
        Ok(rows.filter(|row| row.session.pbx_id == pbx && !row.session.is_ended()).cloned().collect())
    }
}

#[async_trait]
impl Retention for MemoryCalls {
    async fn forget_events(&self, tenant: TenantId, through_offset: u64) -> Result<u64, StoreError> {
        Ok(self.with(tenant, |held, _| {
            let through = through_offset.min(held.head.offset.saturating_sub(1));
            let going = held.events.iter().take_while(|event| event.offset <= through).count();
            if let Some(last) = held.events.drain(..going).next_back() {
                held.forgotten = last.position();
            }
            going as u64
        }))
    }

    async fn forget_session(&self, tenant: TenantId, call: CallId) -> Result<bool, StoreError> {
        Ok(self.with(tenant, |held, _| {
            let ended = held.sessions.get(&call).is_some_and(|row| row.session.is_ended());
            ended && held.sessions.remove(&call).is_some()
        }))
    }
}
