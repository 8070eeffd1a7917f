//! Tenants, by slug. They live in the platform's scope.

use super::{Repo, Stored, Versioned};
use crate::records::{Document, Kind, PageRequest, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::TenantId;
use aimg_domain::tenant::Tenant;
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Clone)]
pub struct Tenants(Repo);

impl Tenants {
    pub fn new(records: Arc<dyn Records>) -> Tenants {
        Tenants(Repo::new(records, None))
    }

    /// `Taken { field: "slug" }` when another tenant has the slug.
    pub async fn create(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.0.create(tenant).await
    }

    pub async fn get(&self, id: TenantId) -> Result<Option<Versioned<Tenant>>, StoreError> {
        self.0.get(Scope::Platform, id.0).await
    }

    pub async fn by_slug(&self, slug: &str) -> Result<Option<Versioned<Tenant>>, StoreError> {
        self.0.by_unique("slug", &slug.to_ascii_lowercase()).await
    }

    pub async fn update(&self, tenant: &Tenant, expect: u64) -> Result<u64, StoreError> {
        self.0.update(tenant, expect).await
    }

    /// Only the tenant itself: what belongs to it is deleted before, by who knows what that is.
    pub async fn delete(&self, id: TenantId, expect: u64) -> Result<(), StoreError> {
        self.0.delete::<Tenant>(Scope::Platform, id.0, expect).await
    }

    pub async fn list(&self, page: PageRequest) -> Result<Vec<Versioned<Tenant>>, StoreError> {
        self.0.list(Scope::Platform, page).await
    }

    pub async fn count(&self) -> Result<Option<u64>, StoreError> {
        self.0.count::<Tenant>(Scope::Platform).await
    }

    /// For start-up.
    pub async fn all(&self) -> Result<Vec<Versioned<Tenant>>, StoreError> {
        self.0.all().await
    }
}

impl Stored for Tenant {
    const KIND: &'static Kind = &kinds::TENANT;

    fn scope(&self) -> Scope {
        Scope::Platform
    }

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("slug", self.slug.to_ascii_lowercase())]
    }

    fn to_body(&self, _: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        row::encode(VERSION, self)
    }

    fn from_body(document: &Document, _: Option<&Keyring>) -> Result<Self, StoreError> {
        row::decode("a tenant", VERSION, &document.body)
    }
}
