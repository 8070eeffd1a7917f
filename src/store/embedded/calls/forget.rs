//! `Retention`: in small transactions of their own between the committer's, which therefore never waits long.

use super::rows::{EventRow, Head, decode_session};
use super::tables::{Tables, call_event_key, call_key, numbered_key, tenant_key};
use super::{Calls, corrupt};
use crate::calls::facts::Indexed;
use crate::failure::Failure;
use crate::keys::last_number;
use aimg_domain::{CallId, TenantId};
use aimg_store::StoreError;
use aimg_store::retention::Retention;
use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};

/// Events of one transaction.
const STEP: u64 = 500;

#[async_trait]
impl Retention for Calls {
    async fn forget_events(&self, tenant: TenantId, through_offset: u64) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let step = self.door.write(move |txn| forget_step(txn, tenant, through_offset)).await?;
            forgotten += step;
            if step < STEP {
                return Ok(forgotten);
            }
        }
    }

    async fn forget_session(&self, tenant: TenantId, call: CallId) -> Result<bool, StoreError> {
        self.door
            .write(move |txn| {
                let mut tables = Tables::open(txn)?;
                let key = call_key(tenant, call);
                let row = tables.sessions.get(key.as_bytes())?.map(|row| decode_session(row.value())).transpose()?;
                let Some(row) = row.filter(|row| row.session.is_ended()) else {
                    return Ok(false);
                };
                Indexed::of(&row.session).remove(&mut tables)?;
                tables.sessions.remove(key.as_bytes())?;
                Ok(true)
            })
            .await
    }
}

fn forget_step(txn: &WriteTransaction, tenant: TenantId, through_offset: u64) -> Result<u64, Failure> {
    let mut tables = Tables::open(txn)?;
    let head_key = tenant_key(tenant);
    let stored = tables.heads.get(head_key.as_bytes())?.map(|bytes| Head::decode(bytes.value())).transpose()?;
    let Some(mut head) = stored else { return Ok(0) };
    let through = through_offset.min(head.offset.saturating_sub(1));
    if through <= head.forgotten {
        return Ok(0);
    }
    let (from, to) = (numbered_key(tenant, head.forgotten + 1), numbered_key(tenant, through));
    let mut going = Vec::new();
    for row in tables.events.range::<&[u8]>(from.as_bytes()..=to.as_bytes())?.take(STEP as usize) {
        let (key, value) = row?;
        let offset = last_number(key.value()).ok_or_else(|| corrupt("an event's key"))?;
        let event = EventRow::decode(value.value())?;
        going.push((offset, event.epoch, event.call()));
    }
    for (offset, epoch, call) in &going {
        tables.events.remove(numbered_key(tenant, *offset).as_bytes())?;
        if let Some(call) = call {
            tables.events_by_call.remove(call_event_key(tenant, *call, *offset).as_bytes())?;
        }
        head.forgotten = *offset;
        head.forgotten_epoch = *epoch;
    }
    tables.heads.insert(head_key.as_bytes(), head.encode()?.as_slice())?;
    Ok(going.len() as u64)
}
