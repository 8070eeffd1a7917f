//! `Records` in `records.redb`.

mod envelope;
mod tables;

use crate::failure::Failure;
use crate::file::DbFile;
use crate::folder::Folder;
use crate::keys::last_uuid;
use crate::reader::Door;
use crate::schema::Step;
use aimg_store::records::{Document, Kind, PageRequest, Put, Records, Scope};
use aimg_store::{StoreError, limits};
use async_trait::async_trait;
use envelope::Envelope;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use std::sync::Arc;
use tables::{BY_ID, DOCUMENTS, LOOKUP, UNIQUE, by_id_key, document_key, kind_key, lookup_key, scope_key, unique_key};
use uuid::Uuid;

const STEPS: &[Step] = &[tables::create];
const CACHE_BYTES: usize = 32 << 20;

pub struct EmbeddedRecords {
    door: Door,
    /// Held so that nobody else opens the folder while this lives.
    _folder: Arc<Folder>,
}

impl EmbeddedRecords {
    pub fn open(folder: &Arc<Folder>) -> Result<EmbeddedRecords, StoreError> {
        let file = DbFile::open(&folder.file("records.redb"), STEPS, CACHE_BYTES)?;
        Ok(EmbeddedRecords {
            door: Door::new(Arc::new(file)),
            _folder: folder.clone(),
        })
    }
}

#[async_trait]
impl Records for EmbeddedRecords {
    async fn get(&self, kind: &'static Kind, scope: Scope, id: Uuid) -> Result<Option<Document>, StoreError> {
        self.door.read(move |txn| document(txn, kind, scope, id)).await
    }

    async fn by_unique(&self, kind: &'static Kind, field: &'static str, value: &str) -> Result<Option<Document>, StoreError> {
        let key = unique_key(kind, field, value);
        self.door
            .read(move |txn| {
                let id = match txn.open_table(UNIQUE)?.get(key.as_bytes())? {
                    Some(owner) => last_uuid(owner.value()).ok_or_else(|| corrupt("a unique key"))?,
                    None => return Ok(None),
                };
                by_id(txn, kind, id)
            })
            .await
    }

    async fn by_lookup(&self, kind: &'static Kind, scope: Scope, field: &'static str, value: &str, page: PageRequest) -> Result<Vec<Document>, StoreError> {
        let prefix = lookup_key(kind, scope, field, value);
        self.door
            .read(move |txn| {
                let ids = tables::page(&txn.open_table(LOOKUP)?, &prefix, &page, |key, _| last_uuid(key))?;
                ids.into_iter().map(|id| present(document(txn, kind, scope, id)?)).collect()
            })
            .await
    }

    async fn page(&self, kind: &'static Kind, scope: Scope, page: PageRequest) -> Result<Vec<Document>, StoreError> {
        self.door
            .read(move |txn| {
                let table = txn.open_table(DOCUMENTS)?;
                let rows = tables::page(&table, &scope_key(kind, scope), &page, |key, value| Some((last_uuid(key)?, value.to_vec())))?;
                rows.into_iter()
                    .map(|(id, bytes)| Envelope::document(scope, id, &bytes).map_err(Failure::from))
                    .collect()
            })
            .await
    }

    async fn all(&self, kind: &'static Kind, page: PageRequest) -> Result<Vec<Document>, StoreError> {
        self.door
            .read(move |txn| {
                let ids = tables::page(&txn.open_table(BY_ID)?, &kind_key(kind), &page, |key, _| last_uuid(key))?;
                ids.into_iter().map(|id| present(by_id(txn, kind, id)?)).collect()
            })
            .await
    }

    async fn count(&self, kind: &'static Kind, scope: Scope) -> Result<Option<u64>, StoreError> {
        self.door
            .read(move |txn| {
                let documents = txn.open_table(DOCUMENTS)?;
                let rows = tables::range(&documents, &scope_key(kind, scope))?;
                let mut count = 0;
                for row in rows {
                    row?;
                    count += 1;
                    if count > limits::COUNT {
                        return Ok(None);
                    }
                }
                Ok(Some(count))
            })
            .await
    }

    async fn put(&self, put: Put) -> Result<u64, StoreError> {
        put.check()?;
        self.door.write(move |txn| store(txn, &put)).await
    }

    async fn delete(&self, kind: &'static Kind, scope: Scope, id: Uuid, expect: u64) -> Result<(), StoreError> {
        self.door.write(move |txn| remove(txn, kind, scope, id, expect)).await
    }
}

fn document(txn: &ReadTransaction, kind: &'static Kind, scope: Scope, id: Uuid) -> Result<Option<Document>, Failure> {
    let table = txn.open_table(DOCUMENTS)?;
    let found = table.get(document_key(kind, scope, id).as_bytes())?;
    Ok(found.map(|bytes| Envelope::document(scope, id, bytes.value())).transpose()?)
}

fn by_id(txn: &ReadTransaction, kind: &'static Kind, id: Uuid) -> Result<Option<Document>, Failure> {
    let scope = match txn.open_table(BY_ID)?.get(by_id_key(kind, id).as_bytes())? {
        Some(scope) => tables::scope(scope.value()).ok_or_else(|| corrupt("a scope"))?,
        None => return Ok(None),
    };
    document(txn, kind, scope, id)
}

fn store(txn: &WriteTransaction, put: &Put) -> Result<u64, Failure> {
    let key = document_key(put.kind, put.scope, put.id);
    let mut documents = txn.open_table(DOCUMENTS)?;
    let old = match documents.get(key.as_bytes())? {
        Some(bytes) => Some(Envelope::read(bytes.value())?),
        None => None,
    };
    let current = old.as_ref().map(|old| old.version);
    if current != put.expect {
        return Err(StoreError::Version { current }.into());
    }
    if old.is_none() {
        let mut ids = txn.open_table(BY_ID)?;
        if ids.get(by_id_key(put.kind, put.id).as_bytes())?.is_some() {
            return Err(StoreError::Taken { field: "id" }.into());
        }
        ids.insert(by_id_key(put.kind, put.id).as_bytes(), tables::scope_bytes(put.scope).as_bytes())?;
    }
    let old_keys = old.map(|old| old.keys).unwrap_or_default();
    tables::replace_keys(txn, put.kind, put.scope, put.id, &old_keys, &put.keys)?;
    let version = current.unwrap_or(0) + 1;
    documents.insert(key.as_bytes(), Envelope::write(version, &put.keys, &put.body)?.as_slice())?;
    Ok(version)
}

fn remove(txn: &WriteTransaction, kind: &'static Kind, scope: Scope, id: Uuid, expect: u64) -> Result<(), Failure> {
    let key = document_key(kind, scope, id);
    let mut documents = txn.open_table(DOCUMENTS)?;
    let old = match documents.get(key.as_bytes())? {
        Some(bytes) => Envelope::read(bytes.value())?,
        None => return Err(StoreError::Version { current: None }.into()),
    };
    if old.version != expect {
        return Err(StoreError::Version { current: Some(old.version) }.into());
    }
    tables::replace_keys(txn, kind, scope, id, &old.keys, &[])?;
    txn.open_table(BY_ID)?.remove(by_id_key(kind, id).as_bytes())?;
    documents.remove(key.as_bytes())?;
    Ok(())
}

fn present(document: Option<Document>) -> Result<Document, Failure> {
    document.ok_or_else(|| corrupt("an index that names a document which is not there"))
}

fn corrupt(what: &str) -> Failure {
    Failure::Store(StoreError::Corrupt(format!("records.redb: {what}")))
}
