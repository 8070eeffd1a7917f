//! Whether a position is still, and was ever, one of ours.

use super::rows::{Head, decode_cut};
use super::tables::{CUTS, HEADS, numbered_key, tenant_key};
use super::{EPOCH, corrupt};
use crate::failure::Failure;
use crate::keys::last_number;
use crate::schema::META;
use aimg_domain::{Position, TenantId};
use aimg_store::StoreError;
use redb::ReadTransaction;

pub fn head(txn: &ReadTransaction, tenant: TenantId) -> Result<Head, Failure> {
    match txn.open_table(HEADS)?.get(tenant_key(tenant).as_bytes())? {
        Some(bytes) => Ok(Head::decode(bytes.value())?),
        None => Ok(Head::default()),
    }
}

/// `Gap` when events after `position` are forgotten, or it lies beyond what its epoch wrote. A new epoch alone
/// is no gap: its cut is that of the epochs before until it writes.
pub fn check(txn: &ReadTransaction, tenant: TenantId, position: Position) -> Result<(), Failure> {
    let head = head(txn, tenant)?;
    let gap = |valid| Err(StoreError::Gap { valid }.into());
    if position.offset < head.forgotten {
        return gap(head.oldest());
    }
    if position.offset <= head.forgotten {
        return Ok(());
    }
    let newest = txn.open_table(META)?.get(EPOCH)?.map_or(0, |epoch| epoch.value());
    if position.epoch > newest {
        return gap(head.position());
    }
    let cut = cut(txn, tenant, position.epoch)?.unwrap_or(head.oldest());
    if position.offset > cut.offset {
        return gap(if cut.offset < head.forgotten { head.oldest() } else { cut });
    }
    Ok(())
}

/// The last position written under this epoch or one before it.
fn cut(txn: &ReadTransaction, tenant: TenantId, epoch: u64) -> Result<Option<Position>, Failure> {
    let cuts = txn.open_table(CUTS)?;
    let (from, to) = (numbered_key(tenant, 0), numbered_key(tenant, epoch));
    let Some(row) = cuts.range::<&[u8]>(from.as_bytes()..=to.as_bytes())?.next_back() else {
        return Ok(None);
    };
    let (key, value) = row?;
    let epoch = last_number(key.value()).ok_or_else(|| corrupt("a cut's key"))?;
    let offset = decode_cut(value.value())?;
    Ok(Some(Position { epoch, offset }))
}
