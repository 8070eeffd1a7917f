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
        limits::check_time(event.at)?;
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resume: Option<Cow<'a, Value>>,
}

/// `resume` goes when the session ends. What could not be read back (a figure that is no number, a time beyond
/// RFC 3339) is refused here: stored, it would refuse every later commit of its call.
pub fn encode_session(row: &SessionRow) -> Result<Vec<u8>, StoreError> {
    let kept = !row.session.is_ended() && !row.resume.is_null();
    let resume = kept.then_some(Cow::Borrowed(&row.resume));
    let session = Cow::Borrowed(&row.session);
    let bytes = row::encode(VERSION, &StoredSession { session, resume })?;
    limits::check("session", bytes.len(), limits::ROW_BYTES)?;
    decode_session(&bytes)?;
    Ok(bytes)
}

pub fn decode_session(bytes: &[u8]) -> Result<SessionRow, StoreError> {
    let row: StoredSession<'_> = row::decode("a session", VERSION, bytes)?;
    Ok(SessionRow {
        session: row.session.into_owned(),
        resume: row.resume.map_or(Value::Null, Cow::into_owned),
    })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use aimg_store::conformance::{event, session, tenant_id, uuid};
    use serde_json::json;

    /// Version 1, as released: whoever changes a shape makes version 2 and reads both.
    const SESSION_1: &str = concat!(
        r#"{"session":{"id":"00000000-0000-7000-8000-000000000001","tenant_id":"00000000-0000-7000-8000-000000000002","#,
        r#""pbx_id":"00000000-0000-7000-8000-000000000001","link_id":"00000000-0000-7000-8000-000000000002","#,
        r#""direction":"inbound","state":"detected","outcome":null,"caller":{"number":null,"e164":null,"name":null},"#,
        r#""callee":{"number":null,"e164":null,"name":null},"started_at":"2026-11-18T11:06:40.000Z","answered_at":null,"#,
        r#""connected_at":null,"ended_at":null,"hangup":null,"legs":[],"linkedids":[],"merged_into":null,"merged_from":[],"#,
        r#""recording":"none","audio":"none","in_stasis":false,"quality":null,"blind":[],"dtmf":[],"flags":[],"seq":0},"#,
        r#""resume":{"tap":1}}"#
    );
    const EVENT_1: &str = concat!(
        r#"{"id":"00000000-0000-7000-8000-000000000003","call":"00000000-0000-7000-8000-000000000001","event":"call.dtmf","#,
        r#""at":"2026-11-18T11:06:40.003Z","epoch":5,"seq":3,"node":"node-1","data":{"n":3}}"#
    );

    fn version_1(json: &str) -> Vec<u8> {
        [&[0, 1], json.as_bytes()].concat()
    }

    #[test]
    fn stored_rows_of_version_1_are_read_and_written_as_released() {
        let row = SessionRow {
            session: session(1, tenant_id(2)),
            resume: json!({"tap": 1}),
        };
        assert_eq!(decode_session(&version_1(SESSION_1)).unwrap(), row);
        assert_eq!(String::from_utf8(encode_session(&row).unwrap()[2..].to_vec()).unwrap(), SESSION_1);
        let new = event(3, Some(CallId(uuid(1))));
        assert_eq!(String::from_utf8(EventRow::encode(&new, 5, "node-1").unwrap()[2..].to_vec()).unwrap(), EVENT_1);
        let read = EventRow::decode(&version_1(EVENT_1)).unwrap().into_event(tenant_id(2), 9);
        assert_eq!(
            (read.position(), read.node.as_str(), read.at, read.data),
            (Position { epoch: 5, offset: 9 }, "node-1", new.at, new.data)
        );
    }

    #[test]
    fn a_row_of_an_unknown_version_or_a_broken_one_is_unreadable_and_shows_nothing() {
        for bytes in [vec![], vec![0], vec![0, 2, b'{', b'}'], version_1("{\"secret\""), version_1("\"+4930\"")] {
            let Err(StoreError::Corrupt(told)) = decode_session(&bytes) else {
                panic!("{bytes:?}")
            };
            assert!(!told.contains("secret") && !told.contains("4930"), "{told}");
        }
    }
}
