//! Tables of `calls.redb` and their keys.

use crate::failure::Failure;
use crate::keys::Key;
use aimg_domain::{CallId, PbxId, TenantId, Timestamp};
use redb::{Table, TableDefinition, WriteTransaction};

pub type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// tenant → head row
pub const HEADS: Bytes = TableDefinition::new("heads");
/// tenant, epoch → the last offset written under it
pub const CUTS: Bytes = TableDefinition::new("cuts");
/// tenant, offset → event row
pub const EVENTS: Bytes = TableDefinition::new("events");
/// tenant, call, offset → nothing
pub const EVENTS_BY_CALL: Bytes = TableDefinition::new("events_by_call");
/// tenant, call → session row
pub const SESSIONS: Bytes = TableDefinition::new("sessions");
/// tenant, start, call → facts
pub const BY_START: Bytes = TableDefinition::new("sessions_by_start");
/// tenant, number, start, call → facts
pub const BY_NUMBER: Bytes = TableDefinition::new("sessions_by_number");
/// tenant, start, call → facts; only of sessions that have not ended
pub const ACTIVE: Bytes = TableDefinition::new("sessions_active");
/// pbx, tenant, call → nothing; only of sessions that have not ended
pub const ACTIVE_BY_PBX: Bytes = TableDefinition::new("sessions_active_by_pbx");

/// Schema version 1.
pub fn create(txn: &WriteTransaction) -> Result<(), Failure> {
    Tables::open(txn)?;
    Ok(())
}

type Open<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// Every table, opened once for a whole batch.
pub struct Tables<'txn> {
    pub heads: Open<'txn>,
    pub cuts: Open<'txn>,
    pub events: Open<'txn>,
    pub events_by_call: Open<'txn>,
    pub sessions: Open<'txn>,
    pub by_start: Open<'txn>,
    pub by_number: Open<'txn>,
    pub active: Open<'txn>,
    pub active_by_pbx: Open<'txn>,
}

impl<'txn> Tables<'txn> {
    pub fn open(txn: &'txn WriteTransaction) -> Result<Tables<'txn>, Failure> {
        Ok(Tables {
            heads: txn.open_table(HEADS)?,
            cuts: txn.open_table(CUTS)?,
            events: txn.open_table(EVENTS)?,
            events_by_call: txn.open_table(EVENTS_BY_CALL)?,
            sessions: txn.open_table(SESSIONS)?,
            by_start: txn.open_table(BY_START)?,
            by_number: txn.open_table(BY_NUMBER)?,
            active: txn.open_table(ACTIVE)?,
            active_by_pbx: txn.open_table(ACTIVE_BY_PBX)?,
        })
    }
}

pub fn tenant_key(tenant: TenantId) -> Key {
    Key::new().uuid(tenant.0)
}

/// Of an event, by offset, and of a cut, by epoch.
pub fn numbered_key(tenant: TenantId, number: u64) -> Key {
    tenant_key(tenant).number(number)
}

pub fn call_key(tenant: TenantId, call: CallId) -> Key {
    tenant_key(tenant).uuid(call.0)
}

pub fn call_event_key(tenant: TenantId, call: CallId, offset: u64) -> Key {
    call_key(tenant, call).number(offset)
}

pub fn start_key(tenant: TenantId, started_at: Timestamp, call: CallId) -> Key {
    tenant_key(tenant).time(started_at).uuid(call.0)
}

pub fn number_prefix(tenant: TenantId, number: &str) -> Key {
    tenant_key(tenant).text(number)
}

pub fn number_key(tenant: TenantId, number: &str, started_at: Timestamp, call: CallId) -> Key {
    number_prefix(tenant, number).time(started_at).uuid(call.0)
}

pub fn active_pbx_key(pbx: PbxId, tenant: TenantId, call: CallId) -> Key {
    Key::new().uuid(pbx.0).uuid(tenant.0).uuid(call.0)
}
