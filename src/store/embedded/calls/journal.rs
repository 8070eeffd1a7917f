//! `Journal`.

use super::facts::Indexed;
use super::queue::{EventWork, SessionWork, Work};
use super::rows::{EventRow, encode_session};
use super::tables::{EVENTS, EVENTS_BY_CALL, call_event_key, numbered_key};
use super::{Calls, corrupt, cuts};
use crate::failure::Failure;
use crate::file::Row;
use crate::keys::last_number;
use aimg_domain::{CallId, Event, NewEvent, Position, TenantId};
use aimg_store::journal::{Commit, Committed, Journal};
use aimg_store::sessions::SessionRow;
use aimg_store::{StoreError, limits};
use async_trait::async_trait;
use redb::ReadTransaction;
use tokio::sync::oneshot;

/// What a waiting commit costs besides its rows.
const OVERHEAD_BYTES: usize = 512;

#[async_trait]
impl Journal for Calls {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    async fn commit(&self, tenant: TenantId, epoch: u64, commit: Commit) -> Result<Committed, StoreError> {
        if epoch != self.epoch {
            return Err(StoreError::Fenced { epoch });
        }
        let events = encode_events(&commit.events, epoch, &self.node)?;
        let sessions = encode_sessions(tenant, &commit.sessions)?;
        let rows: usize = events
            .iter()
            .map(|(_, row)| row.len())
            .chain(sessions.iter().map(|session| session.row.len()))
            .sum();
        limits::check("commit", rows, limits::COMMIT_BYTES)?;
        let (reply, answer) = oneshot::channel();
        self.queue.push(Work {
            tenant,
            events,
            sessions,
            bytes: rows + OVERHEAD_BYTES,
            reply,
        })?;
        // The committer answers every commit it takes; without it the channel closes.
        let done = answer.await.map_err(|_| StoreError::Unavailable("the store is closed".into()))??;
        let events = (done.first..)
            .zip(commit.events)
            .map(|(offset, event)| self.numbered(tenant, offset, event))
            .collect();
        Ok(Committed { events, head: done.head })
    }

    async fn head(&self, tenant: TenantId) -> Result<Position, StoreError> {
        self.door.read(move |txn| Ok(cuts::head(txn, tenant)?.position())).await
    }

    async fn read(&self, tenant: TenantId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.door
            .read(move |txn| {
                cuts::check(txn, tenant, after)?;
                let events = txn.open_table(EVENTS)?;
                let (from, to) = (numbered_key(tenant, after.offset.saturating_add(1)), numbered_key(tenant, u64::MAX));
                let rows = events.range::<&[u8]>(from.as_bytes()..=to.as_bytes())?;
                rows.take(limit.min(limits::PAGE_ROWS)).map(|row| event(tenant, row)).collect()
            })
            .await
    }

    async fn read_back(&self, tenant: TenantId, before: Option<Position>, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.door
            .read(move |txn| {
                let events = txn.open_table(EVENTS)?;
                let (from, to) = (numbered_key(tenant, 0), numbered_key(tenant, before.map_or(u64::MAX, |before| before.offset)));
                let rows = events.range::<&[u8]>(from.as_bytes()..to.as_bytes())?;
                rows.rev().take(limit.min(limits::PAGE_ROWS)).map(|row| event(tenant, row)).collect()
            })
            .await
    }

    async fn read_call(&self, tenant: TenantId, call: CallId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.door.read(move |txn| events_of_call(txn, tenant, call, after, limit)).await
    }
}

impl Calls {
    fn numbered(&self, tenant: TenantId, offset: u64, event: NewEvent) -> Event {
        Event {
            id: event.id,
            tenant_id: tenant,
            call_id: event.call_id,
            event: event.event,
            at: event.at,
            epoch: self.epoch,
            offset,
            seq: event.seq,
            node: self.node.clone(),
            data: event.data,
        }
    }
}

fn encode_events(events: &[NewEvent], epoch: u64, node: &str) -> Result<Vec<EventWork>, StoreError> {
    events.iter().map(|event| Ok((event.call_id, EventRow::encode(event, epoch, node)?))).collect()
}

/// Of two rows for one session the later counts.
fn encode_sessions(tenant: TenantId, rows: &[SessionRow]) -> Result<Vec<SessionWork>, StoreError> {
    let mut sessions: Vec<SessionWork> = Vec::with_capacity(rows.len());
    for row in rows {
        if row.session.tenant_id != tenant {
            return Err(StoreError::Corrupt(format!("session {} is not of tenant {tenant}", row.session.id)));
        }
        let session = SessionWork {
            call: row.session.id,
            indexed: Indexed::of(&row.session),
            row: encode_session(row)?,
        };
        match sessions.iter_mut().find(|other| other.call == session.call) {
            Some(other) => *other = session,
            None => sessions.push(session),
        }
    }
    Ok(sessions)
}

fn event(tenant: TenantId, row: Row<'_>) -> Result<Event, Failure> {
    let (key, value) = row?;
    let offset = last_number(key.value()).ok_or_else(|| corrupt("an event's key"))?;
    Ok(EventRow::decode(value.value())?.into_event(tenant, offset))
}

/// From the beginning, a call is read as far as it is kept; from a position, as the journal is.
fn events_of_call(txn: &ReadTransaction, tenant: TenantId, call: CallId, after: Position, limit: usize) -> Result<Vec<Event>, Failure> {
    if after != Position::default() {
        cuts::check(txn, tenant, after)?;
    }
    let (by_call, events) = (txn.open_table(EVENTS_BY_CALL)?, txn.open_table(EVENTS)?);
    let from = call_event_key(tenant, call, after.offset.saturating_add(1));
    let to = call_event_key(tenant, call, u64::MAX);
    let rows = by_call.range::<&[u8]>(from.as_bytes()..=to.as_bytes())?;
    let mut found = Vec::new();
    for row in rows.take(limit.min(limits::PAGE_ROWS)) {
        let offset = last_number(row?.0.value()).ok_or_else(|| corrupt("a call's event key"))?;
        let stored = events.get(numbered_key(tenant, offset).as_bytes())?;
        let stored = stored.ok_or_else(|| corrupt("a call's event that is not there"))?;
        found.push(EventRow::decode(stored.value())?.into_event(tenant, offset));
    }
    Ok(found)
}
