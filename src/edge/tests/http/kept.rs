//! Sessions and journal in memory, as little as these tests need.

use aimg_domain::{CallId, CallSession, Event, PbxId, Position, TenantId};
use aimg_store::StoreError;
use aimg_store::journal::{Commit, Committed, Journal};
use aimg_store::sessions::{SessionCursor, SessionPage, SessionQuery, SessionRow, Sessions};
use async_trait::async_trait;
use parking_lot::Mutex;

#[derive(Default)]
pub struct Kept {
    pub sessions: Mutex<Vec<CallSession>>,
    pub events: Mutex<Vec<Event>>,
}

impl Kept {
    fn matching(&self, tenant: TenantId, query: &SessionQuery) -> Vec<CallSession> {
        let mut found: Vec<CallSession> = self.sessions.lock().iter().filter(|s| s.tenant_id == tenant && fits(query, s)).cloned().collect();
        found.sort_by_key(|session| (session.started_at, session.id));
        if !query.ascending {
            found.reverse();
        }
        found
    }
}

fn fits(query: &SessionQuery, session: &CallSession) -> bool {
    query.active.is_none_or(|active| active != session.is_ended())
        && (query.states.is_empty() || query.states.contains(&session.state))
        && (query.outcomes.is_empty() || session.outcome.is_some_and(|outcome| query.outcomes.contains(&outcome)))
        && query.number.as_ref().is_none_or(|number| session.caller.number.as_ref() == Some(number))
        && query.started_after.is_none_or(|after| session.started_at >= after)
        && query.started_before.is_none_or(|before| session.started_at < before)
}

#[async_trait]
impl Sessions for Kept {
    async fn get(&self, tenant: TenantId, call: CallId) -> Result<Option<SessionRow>, StoreError> {
        let sessions = self.sessions.lock();
        let found = sessions.iter().find(|session| session.tenant_id == tenant && session.id == call).cloned();
        Ok(found.map(|session| SessionRow {
            session,
            resume: serde_json::Value::Null,
        }))
    }

    async fn list(&self, tenant: TenantId, query: &SessionQuery, after: Option<SessionCursor>, limit: usize) -> Result<SessionPage, StoreError> {
        let mut found = self.matching(tenant, query);
        if let Some(after) = after {
            let at = found.iter().position(|session| session.id == after.id).map_or(0, |at| at + 1);
            found.drain(..at);
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| SessionCursor {
            started_at: last.started_at,
            id: last.id,
        });
        Ok(SessionPage { sessions: found, next })
    }

    async fn count(&self, tenant: TenantId, query: &SessionQuery) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.matching(tenant, query).len() as u64))
    }

    async fn active_of_pbx(&self, _: PbxId) -> Result<Vec<SessionRow>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Journal for Kept {
    fn epoch(&self) -> u64 {
        1
    }

    async fn commit(&self, _: TenantId, _: u64, _: Commit) -> Result<Committed, StoreError> {
        Err(StoreError::Unavailable("the edge commits nothing".into()))
    }

    async fn head(&self, tenant: TenantId) -> Result<Position, StoreError> {
        let events = self.events.lock();
        Ok(events.iter().filter(|event| event.tenant_id == tenant).map(Event::position).max().unwrap_or_default())
    }

    async fn read(&self, tenant: TenantId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        let events = self.events.lock();
        let found = events.iter().filter(|event| event.tenant_id == tenant && event.position() > after);
        Ok(found.take(limit).cloned().collect())
    }

    async fn read_back(&self, tenant: TenantId, before: Option<Position>, limit: usize) -> Result<Vec<Event>, StoreError> {
        let events = self.events.lock();
        let earlier = |event: &&Event| event.tenant_id == tenant && before.is_none_or(|before| event.position() < before);
        Ok(events.iter().rev().filter(earlier).take(limit).cloned().collect())
    }

    async fn read_call(&self, tenant: TenantId, call: CallId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        let events = self.events.lock();
        let of_call = |event: &&Event| event.tenant_id == tenant && event.call_id == Some(call) && event.position() > after;
        Ok(events.iter().filter(of_call).take(limit).cloned().collect())
    }
}
