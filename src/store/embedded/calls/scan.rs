//! Walking an index of sessions: from a cursor, in either direction, never further than its budget.

use super::corrupt;
use super::facts::Facts;
use super::tables::{ACTIVE, BY_NUMBER, BY_START, Bytes, number_prefix, tenant_key};
use crate::failure::Failure;
use crate::keys::{Key, last_uuid, time_before_last_uuid};
use aimg_domain::{CallId, TenantId};
use aimg_store::sessions::{SessionCursor, SessionQuery};
use redb::{ReadOnlyTable, ReadTransaction};

/// A key is its prefix, a time and an id: this is longer than any, so it ends every prefix.
const BEYOND: [u8; 25] = [u8::MAX; 25];

/// The index that leaves least to be looked at, and the range of it that can match.
pub struct Scan {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    from: Vec<u8>,
    to: Vec<u8>,
}

pub enum Walked {
    /// There is nothing behind.
    Finished,
    /// The visitor had enough.
    Stopped,
    /// The budget is spent; this was the last row looked at.
    Spent(SessionCursor),
}

impl Scan {
    pub fn new(txn: &ReadTransaction, tenant: TenantId, query: &SessionQuery, after: Option<SessionCursor>) -> Result<Scan, Failure> {
        let (table, prefix): (Bytes, Key) = match (&query.number, query.active) {
            (Some(number), _) => (BY_NUMBER, number_prefix(tenant, number)),
            (None, Some(true)) => (ACTIVE, tenant_key(tenant)),
            (None, _) => (BY_START, tenant_key(tenant)),
        };
        let at_time = |time| prefix.clone().time(time).as_bytes().to_vec();
        let mut from = query.started_after.map_or_else(|| prefix.as_bytes().to_vec(), at_time);
        let mut to = query.started_before.map_or_else(|| [prefix.as_bytes(), &BEYOND].concat(), at_time);
        if let Some(after) = after {
            let mut edge = prefix.clone().time(after.started_at).uuid(after.id.0).as_bytes().to_vec();
            if query.ascending {
                edge.push(0);
                from = from.max(edge);
            } else {
                to = to.min(edge);
            }
        }
        let table = txn.open_table(table)?;
        Ok(Scan { table, from, to })
    }

    /// Shows the rows that match to `visit` until it answers `false`, looking at no more than `budget`.
    pub fn walk(&self, query: &SessionQuery, budget: usize, mut visit: impl FnMut(SessionCursor) -> bool) -> Result<Walked, Failure> {
        if self.from >= self.to {
            return Ok(Walked::Finished);
        }
        let mut rows = self.table.range::<&[u8]>(self.from.as_slice()..self.to.as_slice())?;
        let mut last = None;
        for _ in 0..budget {
            let Some(row) = (if query.ascending { rows.next() } else { rows.next_back() }) else {
                return Ok(Walked::Finished);
            };
            let (key, value) = row?;
            let cursor = cursor(key.value()).ok_or_else(|| corrupt("a session's index key"))?;
            let facts = Facts::decode(value.value()).ok_or_else(|| corrupt("a session's facts"))?;
            if facts.match_query(query) && !visit(cursor) {
                return Ok(Walked::Stopped);
            }
            last = Some(cursor);
        }
        Ok(last.map_or(Walked::Finished, Walked::Spent))
    }
}

fn cursor(key: &[u8]) -> Option<SessionCursor> {
    Some(SessionCursor {
        started_at: time_before_last_uuid(key)?,
        id: CallId(last_uuid(key)?),
    })
}
