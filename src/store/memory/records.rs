//! `Records` in memory.

use crate::records::{Document, Kind, PageRequest, Put, Records, Scope};
use crate::{StoreError, limits};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Default)]
pub struct MemoryRecords {
    kinds: Mutex<BTreeMap<&'static str, BTreeMap<Uuid, Held>>>,
}

struct Held {
    document: Document,
    keys: Vec<(&'static str, String)>,
}

impl Held {
    fn has(&self, field: &str, value: &str) -> bool {
        self.keys.iter().any(|(f, v)| *f == field && v == value)
    }
}

impl MemoryRecords {
    pub fn new() -> MemoryRecords {
        MemoryRecords::default()
    }

    fn select(&self, kind: &'static Kind, page: &PageRequest, wanted: impl Fn(&Held) -> bool) -> Vec<Document> {
        let kinds = self.kinds.lock();
        let Some(held) = kinds.get(kind.name) else { return Vec::new() };
        let limit = page.limit.min(limits::PAGE_ROWS);
        let matching = |held: &&Held| wanted(held);
        let documents = |held: &Held| held.document.clone();
        if page.descending {
            let until = page.after.unwrap_or(Uuid::max());
            let rows = held.range(..=until).rev().filter(|(id, _)| page.after != Some(**id)).map(|(_, held)| held);
            rows.filter(matching).take(limit).map(documents).collect()
        } else {
            let from = page.after.unwrap_or(Uuid::nil());
            let rows = held.range(from..).filter(|(id, _)| page.after != Some(**id)).map(|(_, held)| held);
            rows.filter(matching).take(limit).map(documents).collect()
        }
    }
}

#[async_trait]
impl Records for MemoryRecords {
    async fn get(&self, kind: &'static Kind, scope: Scope, id: Uuid) -> Result<Option<Document>, StoreError> {
        let kinds = self.kinds.lock();
        let held = kinds.get(kind.name).and_then(|held| held.get(&id));
        Ok(held.filter(|held| held.document.scope == scope).map(|held| held.document.clone()))
    }

    async fn by_unique(&self, kind: &'static Kind, field: &'static str, value: &str) -> Result<Option<Document>, StoreError> {
        let page = PageRequest {
            after: None,
            limit: 1,
            descending: false,
        };
        Ok(self.select(kind, &page, |held| held.has(field, value)).pop())
    }

    async fn by_lookup(&self, kind: &'static Kind, scope: Scope, field: &'static str, value: &str, page: PageRequest) -> Result<Vec<Document>, StoreError> {
        Ok(self.select(kind, &page, |held| held.document.scope == scope && held.has(field, value)))
    }

    async fn page(&self, kind: &'static Kind, scope: Scope, page: PageRequest) -> Result<Vec<Document>, StoreError> {
        Ok(self.select(kind, &page, |held| held.document.scope == scope))
    }

    async fn all(&self, kind: &'static Kind, page: PageRequest) -> Result<Vec<Document>, StoreError> {
        Ok(self.select(kind, &page, |_| true))
    }

    async fn count(&self, kind: &'static Kind, scope: Scope) -> Result<Option<u64>, StoreError> {
        let kinds = self.kinds.lock();
        let held = kinds.get(kind.name).into_iter().flatten();
        let count = held.filter(|(_, held)| held.document.scope == scope).count() as u64;
        Ok((count <= limits::COUNT).then_some(count))
    }

    async fn put(&self, put: Put) -> Result<u64, StoreError> {
        put.check()?;
        let mut kinds = self.kinds.lock();
        let held = kinds.entry(put.kind.name).or_default();
        let present = held.get(&put.id);
        if present.is_some_and(|held| held.document.scope != put.scope) {
            // Said to who would change it as if it were not there.
            return Err(put.expect.map_or(StoreError::Taken { field: "id" }, |_| StoreError::Version { current: None }));
        }
        let current = present.map(|held| held.document.version);
        if current != put.expect {
            return Err(StoreError::Version { current });
        }
        for (field, value) in put.keys.iter().filter(|(field, _)| put.kind.unique.contains(field)) {
            if held.iter().any(|(id, held)| *id != put.id && held.has(field, value)) {
                return Err(StoreError::Taken { field });
            }
        }
        let version = current.unwrap_or(0) + 1;
        let document = Document {
            scope: put.scope,
            id: put.id,
            version,
            body: put.body,
        };
        held.insert(put.id, Held { document, keys: put.keys });
        Ok(version)
    }

    async fn delete(&self, kind: &'static Kind, scope: Scope, id: Uuid, expect: u64) -> Result<(), StoreError> {
        let mut kinds = self.kinds.lock();
        let held = kinds.entry(kind.name).or_default();
        let current = held.get(&id).filter(|held| held.document.scope == scope).map(|held| held.document.version);
        if current != Some(expect) {
            return Err(StoreError::Version { current });
        }
        held.remove(&id);
        Ok(())
    }
}
