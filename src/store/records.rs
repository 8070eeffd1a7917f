//! Port `Records`: versioned documents with declared unique and lookup keys, compare-and-set by version.

use crate::error::StoreError;
use crate::limits;
use aimg_domain::TenantId;
use async_trait::async_trait;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Platform,
    Tenant(TenantId),
}

/// A kind of document and its keys, declared once (`kinds.rs`).
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Short and stable: it is part of keys at rest.
    pub name: &'static str,
    /// Fields whose value no two documents of the kind share, in any scope.
    pub unique: &'static [&'static str],
    /// Fields by which documents are looked up, within a scope.
    pub lookup: &'static [&'static str],
}

#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub scope: Scope,
    pub id: Uuid,
    /// 1 at creation, one more at each change.
    pub version: u64,
    pub body: Vec<u8>,
}

/// A write of one document with the values of its declared keys.
#[derive(Clone, Debug)]
pub struct Put {
    pub kind: &'static Kind,
    pub scope: Scope,
    pub id: Uuid,
    pub body: Vec<u8>,
    /// `None`: it must not exist. `Some(v)`: it must be at version v.
    pub expect: Option<u64>,
    /// (field, value) for every declared field that has a value.
    pub keys: Vec<(&'static str, String)>,
}

impl Put {
    /// What every adapter refuses: too large a body or key, a key that the kind does not declare.
    pub fn check(&self) -> Result<(), StoreError> {
        limits::check("document", self.body.len(), limits::DOCUMENT_BYTES)?;
        for (field, value) in &self.keys {
            limits::check(field, value.len(), limits::KEY_BYTES)?;
            if !self.kind.unique.contains(field) && !self.kind.lookup.contains(field) {
                return Err(StoreError::Corrupt(format!("{} declares no key {field}", self.kind.name)));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The id after which the page begins, in the direction of reading.
    pub after: Option<Uuid>,
    pub limit: usize,
    /// Newest (highest id) first.
    pub descending: bool,
}

#[async_trait]
pub trait Records: Send + Sync + 'static {
    async fn get(&self, kind: &'static Kind, scope: Scope, id: Uuid) -> Result<Option<Document>, StoreError>;
    async fn by_unique(&self, kind: &'static Kind, field: &'static str, value: &str) -> Result<Option<Document>, StoreError>;
    async fn by_lookup(&self, kind: &'static Kind, scope: Scope, field: &'static str, value: &str, page: PageRequest) -> Result<Vec<Document>, StoreError>;
    /// Documents of a kind in a scope, by id (UUIDv7: by creation).
    async fn page(&self, kind: &'static Kind, scope: Scope, page: PageRequest) -> Result<Vec<Document>, StoreError>;
    /// Of every scope: for start-up only.
    async fn all(&self, kind: &'static Kind, page: PageRequest) -> Result<Vec<Document>, StoreError>;
    /// How many there are, `None` above 10,000.
    async fn count(&self, kind: &'static Kind, scope: Scope) -> Result<Option<u64>, StoreError>;
    /// The new version. Durable when it returns.
    async fn put(&self, put: Put) -> Result<u64, StoreError>;
    async fn delete(&self, kind: &'static Kind, scope: Scope, id: Uuid, expect: u64) -> Result<(), StoreError>;
}
