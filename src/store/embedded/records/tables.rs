//! Tables of `records.redb` and their keys.

use super::envelope::Keys;
use crate::failure::Failure;
use crate::file::Row;
use crate::keys::Key;
use aimg_domain::TenantId;
use aimg_store::records::{Kind, PageRequest, Scope};
use aimg_store::{StoreError, limits};
use redb::{Range, ReadableTable, TableDefinition, WriteTransaction};
use uuid::Uuid;

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// kind, scope, id → envelope
pub const DOCUMENTS: Bytes = TableDefinition::new("documents");
/// kind, id → scope
pub const BY_ID: Bytes = TableDefinition::new("by_id");
/// kind, field, value → scope, id
pub const UNIQUE: Bytes = TableDefinition::new("unique");
/// kind, scope, field, value, id → nothing
pub const LOOKUP: Bytes = TableDefinition::new("lookup");

/// Schema version 1.
pub fn create(txn: &WriteTransaction) -> Result<(), Failure> {
    for table in [DOCUMENTS, BY_ID, UNIQUE, LOOKUP] {
        txn.open_table(table)?;
    }
    Ok(())
}

pub fn kind_key(kind: &Kind) -> Key {
    Key::new().text(kind.name)
}

pub fn scope_key(kind: &Kind, scope: Scope) -> Key {
    kind_key(kind).scope(scope)
}

pub fn document_key(kind: &Kind, scope: Scope, id: Uuid) -> Key {
    scope_key(kind, scope).uuid(id)
}

pub fn by_id_key(kind: &Kind, id: Uuid) -> Key {
    kind_key(kind).uuid(id)
}

pub fn unique_key(kind: &Kind, field: &str, value: &str) -> Key {
    kind_key(kind).text(field).text(value)
}

pub fn lookup_key(kind: &Kind, scope: Scope, field: &str, value: &str) -> Key {
    scope_key(kind, scope).text(field).text(value)
}

pub fn scope_bytes(scope: Scope) -> Key {
    Key::new().scope(scope)
}

pub fn scope(bytes: &[u8]) -> Option<Scope> {
    match bytes.split_first()? {
        (0, _) => Some(Scope::Platform),
        (1, id) => Some(Scope::Tenant(TenantId(Uuid::from_slice(id).ok()?))),
        _ => None,
    }
}

type Rows<'a> = Range<'a, &'static [u8], &'static [u8]>;

/// Every row whose key begins with `prefix`.
pub fn range<'a>(table: &'a impl ReadableTable<&'static [u8], &'static [u8]>, prefix: &Key) -> Result<Rows<'a>, redb::StorageError> {
    match prefix.end() {
        Some(end) => table.range::<&[u8]>(prefix.as_bytes()..end.as_bytes()),
        None => table.range::<&[u8]>(prefix.as_bytes()..),
    }
}

/// A page of the rows behind `prefix`, whose keys end in the id that pages go by.
pub fn page<T>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    prefix: &Key,
    page: &PageRequest,
    read: impl Fn(&[u8], &[u8]) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let limit = page.limit.min(limits::PAGE_ROWS);
    let edge = page.after.map(|after| prefix.clone().uuid(after));
    let mut found = Vec::new();
    let mut take = |row: Row<'_>| -> Result<(), Failure> {
        let (key, value) = row?;
        let row = read(key.value(), value.value());
        found.push(row.ok_or_else(|| StoreError::Corrupt("records.redb: a key".into()))?);
        Ok(())
    };
    let all = range(table, prefix)?;
    match (edge, page.descending) {
        (None, false) => all.take(limit).try_for_each(&mut take)?,
        (None, true) => all.rev().take(limit).try_for_each(&mut take)?,
        (Some(edge), true) => {
            let rows = table.range::<&[u8]>(prefix.as_bytes()..edge.as_bytes())?;
            rows.rev().take(limit).try_for_each(&mut take)?;
        }
        (Some(edge), false) => {
            // Ids are 16 bytes: with a byte more the key is the first that is greater.
            let mut above = edge.as_bytes().to_vec();
            above.push(0);
            match prefix.end() {
                Some(end) if above.as_slice() < end.as_bytes() => {
                    table.range::<&[u8]>(above.as_slice()..end.as_bytes())?.take(limit).try_for_each(&mut take)?;
                }
                Some(_) => {}
                None => table.range::<&[u8]>(above.as_slice()..)?.take(limit).try_for_each(&mut take)?,
            }
        }
    }
    Ok(found)
}

/// Takes the index rows from the old keys to the new ones. `Taken` when a unique value is another document's.
pub fn replace_keys(txn: &WriteTransaction, kind: &'static Kind, scope: Scope, id: Uuid, old: &Keys, new: &[(&'static str, String)]) -> Result<(), Failure> {
    let mut unique = txn.open_table(UNIQUE)?;
    let mut lookup = txn.open_table(LOOKUP)?;
    // By what was stored, not by today's declaration: a key that is no longer declared must go too.
    for (field, value) in old {
        let key = unique_key(kind, field, value);
        let ours = unique
            .get(key.as_bytes())?
            .is_some_and(|owner| crate::keys::last_uuid(owner.value()) == Some(id));
        if ours {
            unique.remove(key.as_bytes())?;
        }
        lookup.remove(lookup_key(kind, scope, field, value).uuid(id).as_bytes())?;
    }
    for (field, value) in new {
        if kind.unique.contains(field) {
            let key = unique_key(kind, field, value);
            let owner = scope_bytes(scope).uuid(id);
            if unique.get(key.as_bytes())?.is_some() {
                return Err(StoreError::Taken { field }.into());
            }
            unique.insert(key.as_bytes(), owner.as_bytes())?;
        } else {
            lookup.insert(lookup_key(kind, scope, field, value).uuid(id).as_bytes(), [].as_slice())?;
        }
    }
    Ok(())
}
