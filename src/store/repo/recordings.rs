//! Recordings, by call; those unfinished can be asked for, because a restart must finish them.

use super::{Repo, Stored, Versioned};
use crate::records::{Document, Kind, PageRequest, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::recording::{Recording, RecordingStatus};
use aimg_domain::{CallId, RecordingId, TenantId};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Clone)]
pub struct Recordings(Repo);

impl Recordings {
    pub fn new(records: Arc<dyn Records>) -> Recordings {
        Recordings(Repo::new(records, None))
    }

    pub async fn create(&self, recording: &Recording) -> Result<u64, StoreError> {
        self.0.create(recording).await
    }

    pub async fn get(&self, tenant: TenantId, id: RecordingId) -> Result<Option<Versioned<Recording>>, StoreError> {
        self.0.get(Scope::Tenant(tenant), id.0).await
    }

    pub async fn by_call(&self, tenant: TenantId, call: CallId, page: PageRequest) -> Result<Vec<Versioned<Recording>>, StoreError> {
        self.0.by_lookup(Scope::Tenant(tenant), "call", &call.to_string(), page).await
    }

    /// Active or paused.
    pub async fn unfinished(&self, tenant: TenantId, page: PageRequest) -> Result<Vec<Versioned<Recording>>, StoreError> {
        self.0.by_lookup(Scope::Tenant(tenant), "unfinished", "1", page).await
    }

    pub async fn update(&self, recording: &Recording, expect: u64) -> Result<u64, StoreError> {
        self.0.update(recording, expect).await
    }

    pub async fn delete(&self, tenant: TenantId, id: RecordingId, expect: u64) -> Result<(), StoreError> {
        self.0.delete::<Recording>(Scope::Tenant(tenant), id.0, expect).await
    }

    pub async fn list(&self, tenant: TenantId, page: PageRequest) -> Result<Vec<Versioned<Recording>>, StoreError> {
        self.0.list(Scope::Tenant(tenant), page).await
    }

    pub async fn count(&self, tenant: TenantId) -> Result<Option<u64>, StoreError> {
        self.0.count::<Recording>(Scope::Tenant(tenant)).await
    }
}

impl Stored for Recording {
    const KIND: &'static Kind = &kinds::RECORDING;

    fn scope(&self) -> Scope {
        Scope::Tenant(self.tenant_id)
    }

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = vec![("call", self.call_session_id.to_string())];
        if matches!(self.status, RecordingStatus::Active | RecordingStatus::Paused) {
            keys.push(("unfinished", "1".to_owned()));
        }
        keys
    }

    fn to_body(&self, _: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        row::encode(VERSION, self)
    }

    fn from_body(document: &Document, _: Option<&Keyring>) -> Result<Self, StoreError> {
        row::decode("a recording", VERSION, &document.body)
    }
}
