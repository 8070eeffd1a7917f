//! Ties of tenants to PBXs.

use super::{Repo, Stored, Versioned};
use crate::records::{Document, Kind, PageRequest, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::link::PbxLink;
use aimg_domain::{PbxId, PbxLinkId, TenantId};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Clone)]
pub struct Links(Repo);

impl Links {
    pub fn new(records: Arc<dyn Records>) -> Links {
        Links(Repo::new(records, None))
    }

    pub async fn create(&self, link: &PbxLink) -> Result<u64, StoreError> {
        self.0.create(link).await
    }

    pub async fn get(&self, tenant: TenantId, id: PbxLinkId) -> Result<Option<Versioned<PbxLink>>, StoreError> {
        self.0.get(Scope::Tenant(tenant), id.0).await
    }

    pub async fn update(&self, link: &PbxLink, expect: u64) -> Result<u64, StoreError> {
        self.0.update(link, expect).await
    }

    pub async fn delete(&self, tenant: TenantId, id: PbxLinkId, expect: u64) -> Result<(), StoreError> {
        self.0.delete::<PbxLink>(Scope::Tenant(tenant), id.0, expect).await
    }

    pub async fn list(&self, tenant: TenantId, page: PageRequest) -> Result<Vec<Versioned<PbxLink>>, StoreError> {
        self.0.list(Scope::Tenant(tenant), page).await
    }

    /// A tenant's ties to one PBX.
    pub async fn list_by_pbx(&self, tenant: TenantId, pbx: PbxId, page: PageRequest) -> Result<Vec<Versioned<PbxLink>>, StoreError> {
        self.0.by_lookup(Scope::Tenant(tenant), "pbx", &pbx.to_string(), page).await
    }

    pub async fn count(&self, tenant: TenantId) -> Result<Option<u64>, StoreError> {
        self.0.count::<PbxLink>(Scope::Tenant(tenant)).await
    }

    /// Of every tenant: for start-up.
    pub async fn all(&self) -> Result<Vec<Versioned<PbxLink>>, StoreError> {
        self.0.all().await
    }

    /// Every tenant's ties to a PBX. Reads all links: for changes of configuration, not for calls.
    pub async fn by_pbx(&self, pbx: PbxId) -> Result<Vec<Versioned<PbxLink>>, StoreError> {
        let mut links = self.all().await?;
        links.retain(|(link, _)| link.pbx_id == pbx);
        Ok(links)
    }
}

impl Stored for PbxLink {
    const KIND: &'static Kind = &kinds::LINK;

    fn scope(&self) -> Scope {
        Scope::Tenant(self.tenant_id)
    }

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("pbx", self.pbx_id.to_string())]
    }

    fn to_body(&self, _: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        row::encode(VERSION, self)
    }

    fn from_body(document: &Document, _: Option<&Keyring>) -> Result<Self, StoreError> {
        row::decode("a link", VERSION, &document.body)
    }
}
