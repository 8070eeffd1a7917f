//! `Sessions`.

use super::rows::decode_session;
use super::scan::{Scan, Walked};
use super::tables::{ACTIVE_BY_PBX, SESSIONS, call_key};
use super::{Calls, corrupt};
use crate::failure::Failure;
use crate::keys::Key;
use aimg_domain::{CallId, PbxId, TenantId};
use aimg_store::sessions::{SessionCursor, SessionPage, SessionQuery, SessionRow, Sessions};
use aimg_store::{StoreError, limits};
use async_trait::async_trait;
use redb::ReadTransaction;

/// A count looks at index rows only, so it may look at more of them than a page.
const COUNT_ROWS: usize = 4 * limits::SCAN_ROWS;

#[async_trait]
impl Sessions for Calls {
    async fn get(&self, tenant: TenantId, call: CallId) -> Result<Option<SessionRow>, StoreError> {
        self.door.read(move |txn| stored(txn, tenant, call)).await
    }

    async fn list(&self, tenant: TenantId, query: &SessionQuery, after: Option<SessionCursor>, limit: usize) -> Result<SessionPage, StoreError> {
        let query = query.clone();
        self.door.read(move |txn| list(txn, tenant, &query, after, limit.min(limits::PAGE_ROWS))).await
    }

    async fn count(&self, tenant: TenantId, query: &SessionQuery) -> Result<Option<u64>, StoreError> {
        let query = query.clone();
        self.door
            .read(move |txn| {
                let mut count = 0;
                let scan = Scan::new(txn, tenant, &query, None)?;
                let walked = scan.walk(&query, COUNT_ROWS, |_| {
                    count += 1;
                    count <= limits::COUNT
                })?;
                Ok(matches!(walked, Walked::Finished).then_some(count))
            })
            .await
    }

    async fn active_of_pbx(&self, pbx: PbxId) -> Result<Vec<SessionRow>, StoreError> {
        self.door
            .read(move |txn| {
                let index = txn.open_table(ACTIVE_BY_PBX)?;
                let sessions = txn.open_table(SESSIONS)?;
                let (from, to) = (Key::new().uuid(pbx.0), [pbx.0.as_bytes().as_slice(), &[u8::MAX; 33]].concat());
                let mut rows = Vec::new();
                for row in index.range::<&[u8]>(from.as_bytes()..to.as_slice())? {
                    let (key, _) = row?;
                    // Behind the pbx stands the session's own key.
                    let key = key.value().get(16..).unwrap_or_default();
                    let session = sessions.get(key)?.ok_or_else(|| corrupt("an active session that is not there"))?;
                    rows.push(decode_session(session.value())?);
                }
                Ok(rows)
            })
            .await
    }
}

pub fn stored(txn: &ReadTransaction, tenant: TenantId, call: CallId) -> Result<Option<SessionRow>, Failure> {
    let found = txn.open_table(SESSIONS)?.get(call_key(tenant, call).as_bytes())?;
    Ok(found.map(|row| decode_session(row.value())).transpose()?)
}

fn list(txn: &ReadTransaction, tenant: TenantId, query: &SessionQuery, after: Option<SessionCursor>, limit: usize) -> Result<SessionPage, Failure> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(SessionPage {
            sessions: Vec::new(),
            next: None,
        });
    }
    let scan = Scan::new(txn, tenant, query, after)?;
    let walked = scan.walk(query, limits::SCAN_ROWS, |cursor| {
        if found.len() == limit {
            return false;
        }
        found.push(cursor);
        true
    })?;
    let next = match walked {
        Walked::Finished => None,
        Walked::Stopped => found.last().copied(),
        Walked::Spent(at) => Some(found.last().copied().filter(|_| found.len() == limit).unwrap_or(at)),
    };
    let mut sessions = Vec::with_capacity(found.len());
    for cursor in found {
        let row = stored(txn, tenant, cursor.id)?.ok_or_else(|| corrupt("an indexed session that is not there"))?;
        sessions.push(row.session);
    }
    Ok(SessionPage { sessions, next })
}
