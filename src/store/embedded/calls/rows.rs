//! Rows of `calls.redb`. Sessions are kept in the domain's JSON, pinned by a test that reads stored bytes.

use aimg_domain::call::CallSession;
use aimg_domain::{CallId, Event, EventKind, NewEvent, Position, TenantId, Timestamp};
use aimg_store::sessions::SessionRow;
use aimg_store::{StoreError, limits, row};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
pub struct EventRow<'a> {
    id: Uuid,
    call: Option<CallId>,
    event: EventKind,
    at: Timestamp,
    pub epoch: u64,
    seq: u64,
    node: Cow<'a, str>,
    data: Cow<'a, Value>,
}

impl EventRow<'_> {
    pub fn encode(event: &NewEvent, epoch: u64, node: &str) -> Result<Vec<u8>, StoreError> {
        check_time(event.at)?;
        let row = EventRow {
            id: event.id,
            call: event.call_id,
            event: event.event,
            at: event.at,
            epoch,
            seq: event.seq,
            node: Cow::Borrowed(node),
            data: Cow::Borrowed(&event.data),
        };
        let bytes = row::encode(VERSION, &row)?;
        limits::check("event", bytes.len(), limits::ROW_BYTES)?;
        Ok(bytes)
    }

    pub fn decode(bytes: &[u8]) -> Result<EventRow<'static>, StoreError> {
        row::decode("an event", VERSION, bytes)
    }

    pub fn into_event(self, tenant_id: TenantId, offset: u64) -> Event {
        Event {
            id: self.id,
            tenant_id,
            call_id: self.call,
            event: self.event,
            at: self.at,
            epoch: self.epoch,
            offset,
            seq: self.seq,
            node: self.node.into_owned(),
            data: self.data.into_owned(),
        }
    }

    pub fn call(&self) -> Option<CallId> {
        self.call
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSession<'a> {
    session: Cow<'a, CallSession>,
    #[serde(default, skip_serializing_if = "is_null")]
    resume: Cow<'a, Value>,
}

fn is_null(value: &Cow<'_, Value>) -> bool {
    value.is_null()
}

/// `resume` goes when the session ends.
pub fn encode_session(row: &SessionRow) -> Result<Vec<u8>, StoreError> {
    check_time(row.session.started_at)?;
    let resume = if row.session.is_ended() {
        Cow::Owned(Value::Null)
    } else {
        Cow::Borrowed(&row.resume)
    };
    let session = Cow::Borrowed(&row.session);
    let bytes = row::encode(VERSION, &StoredSession { session, resume })?;
    limits::check("session", bytes.len(), limits::ROW_BYTES)?;
    Ok(bytes)
}

pub fn decode_session(bytes: &[u8]) -> Result<SessionRow, StoreError> {
    let row: StoredSession<'_> = row::decode("a session", VERSION, bytes)?;
    Ok(SessionRow {
        session: row.session.into_owned(),
        resume: row.resume.into_owned(),
    })
}

/// A time that has no RFC 3339 form could be written and never read again.
fn check_time(time: Timestamp) -> Result<(), StoreError> {
    match time.to_string().parse::<Timestamp>() {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::TooLarge { what: "time", limit: 9999 }),
    }
}

/// What is known of a tenant's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the last event.
    pub epoch: u64,
    pub offset: u64,
    /// Everything up to this offset is forgotten.
    pub forgotten: u64,
    /// The epoch of the last forgotten event.
    pub forgotten_epoch: u64,
}

impl Head {
    pub fn position(self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.offset,
        }
    }

    /// The last that is forgotten: whoever reads on from here misses nothing that is kept.
    pub fn oldest(self) -> Position {
        Position {
            epoch: self.forgotten_epoch,
            offset: self.forgotten,
        }
    }

    pub fn encode(self) -> Result<Vec<u8>, StoreError> {
        row::encode(VERSION, &self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Head, StoreError> {
        row::decode("a head", VERSION, bytes)
    }
}

pub fn encode_cut(offset: u64) -> Result<Vec<u8>, StoreError> {
    row::encode(VERSION, &offset)
}

pub fn decode_cut(bytes: &[u8]) -> Result<u64, StoreError> {
    row::decode("a cut", VERSION, bytes)
}
