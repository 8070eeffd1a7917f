//! Typed repositories over `Records`. Each owns the row its kind has at rest: domain types may change shape,
//! rows only by a new schema version. Everything is answered with its version, for ETags and compare-and-set.

mod links;
mod pbxs;
mod recordings;
mod refresh_tokens;
mod revoked_tokens;
mod tenants;
mod users;

pub use links::Links;
pub use pbxs::Pbxs;
pub use recordings::Recordings;
pub use refresh_tokens::{Redeemed, RefreshFamily, RefreshTokens};
pub use revoked_tokens::RevokedTokens;
pub use tenants::Tenants;
pub use users::Users;

use crate::records::{Document, Kind, PageRequest, Put, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, limits};
use std::sync::Arc;
use uuid::Uuid;

/// A value and its stored version.
pub type Versioned<T> = (T, u64);

/// All repositories of a store.
#[derive(Clone)]
pub struct Repos {
    pub tenants: Tenants,
    pub users: Users,
    pub pbxs: Pbxs,
    pub links: Links,
    pub recordings: Recordings,
    pub refresh_tokens: RefreshTokens,
    pub revoked_tokens: RevokedTokens,
}

impl Repos {
    pub fn new(records: Arc<dyn Records>, keyring: Arc<Keyring>) -> Repos {
        Repos {
            tenants: Tenants::new(records.clone()),
            users: Users::new(records.clone()),
            pbxs: Pbxs::new(records.clone(), keyring),
            links: Links::new(records.clone()),
            recordings: Recordings::new(records.clone()),
            refresh_tokens: RefreshTokens::new(records.clone()),
            revoked_tokens: RevokedTokens::new(records),
        }
    }
}

/// How a type is kept.
pub(crate) trait Stored: Sized + Send {
    const KIND: &'static Kind;
    fn scope(&self) -> Scope;
    fn id(&self) -> Uuid;
    fn keys(&self) -> Vec<(&'static str, String)>;
    fn to_body(&self, keyring: Option<&Keyring>) -> Result<Vec<u8>, StoreError>;
    fn from_body(document: &Document, keyring: Option<&Keyring>) -> Result<Self, StoreError>;
}

/// What every repository does the same way.
#[derive(Clone)]
pub(crate) struct Repo {
    records: Arc<dyn Records>,
    keyring: Option<Arc<Keyring>>,
}

impl Repo {
    fn new(records: Arc<dyn Records>, keyring: Option<Arc<Keyring>>) -> Repo {
        Repo { records, keyring }
    }

    async fn create<T: Stored>(&self, value: &T) -> Result<u64, StoreError> {
        self.records.put(self.as_put(value, None)?).await
    }

    async fn update<T: Stored>(&self, value: &T, expect: u64) -> Result<u64, StoreError> {
        self.records.put(self.as_put(value, Some(expect))?).await
    }

    fn as_put<T: Stored>(&self, value: &T, expect: Option<u64>) -> Result<Put, StoreError> {
        Ok(Put {
            kind: T::KIND,
            scope: value.scope(),
            id: value.id(),
            body: value.to_body(self.keyring.as_deref())?,
            expect,
            keys: value.keys(),
        })
    }

    async fn get<T: Stored>(&self, scope: Scope, id: Uuid) -> Result<Option<Versioned<T>>, StoreError> {
        self.one(self.records.get(T::KIND, scope, id).await?)
    }

    async fn by_unique<T: Stored>(&self, field: &'static str, value: &str) -> Result<Option<Versioned<T>>, StoreError> {
        self.one(self.records.by_unique(T::KIND, field, value).await?)
    }

    async fn by_lookup<T: Stored>(&self, scope: Scope, field: &'static str, value: &str, page: PageRequest) -> Result<Vec<Versioned<T>>, StoreError> {
        self.many(self.records.by_lookup(T::KIND, scope, field, value, page).await?)
    }

    async fn list<T: Stored>(&self, scope: Scope, page: PageRequest) -> Result<Vec<Versioned<T>>, StoreError> {
        self.many(self.records.page(T::KIND, scope, page).await?)
    }

    /// Of every scope, however many pages it takes.
    async fn all<T: Stored>(&self) -> Result<Vec<Versioned<T>>, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest {
                after,
                limit: 1000,
                descending: false,
            };
            let documents = self.records.all(T::KIND, page).await?;
            let Some(last) = documents.last() else { return Ok(found) };
            after = Some(last.id);
            found.extend(self.many::<T>(documents)?);
        }
    }

    async fn delete<T: Stored>(&self, scope: Scope, id: Uuid, expect: u64) -> Result<(), StoreError> {
        self.records.delete(T::KIND, scope, id, expect).await
    }

    async fn count<T: Stored>(&self, scope: Scope) -> Result<Option<u64>, StoreError> {
        self.records.count(T::KIND, scope).await
    }

    fn one<T: Stored>(&self, document: Option<Document>) -> Result<Option<Versioned<T>>, StoreError> {
        document.map(|document| self.read(&document)).transpose()
    }

    fn many<T: Stored>(&self, documents: Vec<Document>) -> Result<Vec<Versioned<T>>, StoreError> {
        documents.iter().map(|document| self.read(document)).collect()
    }

    fn read<T: Stored>(&self, document: &Document) -> Result<Versioned<T>, StoreError> {
        Ok((T::from_body(document, self.keyring.as_deref())?, document.version))
    }
}

/// Pages that a repository walks on its own account.
pub(crate) fn everything() -> PageRequest {
    PageRequest {
        after: None,
        limit: limits::PAGE_ROWS,
        descending: false,
    }
}
