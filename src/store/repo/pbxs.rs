//! PBXs, of the platform or of a tenant. Their passwords are sealed by the keyring, each bound to its place.

use super::{Repo, Stored, Versioned};
use crate::records::{Document, Kind, PageRequest, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::pbx::{AmiAccess, AriAccess, MediaAccess, Pbx};
use aimg_domain::secret::Secret;
use aimg_domain::{PbxId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Clone)]
pub struct Pbxs(Repo);

impl Pbxs {
    pub fn new(records: Arc<dyn Records>, keyring: Arc<Keyring>) -> Pbxs {
        Pbxs(Repo::new(records, Some(keyring)))
    }

    pub async fn create(&self, pbx: &Pbx) -> Result<u64, StoreError> {
        self.0.create(pbx).await
    }

    /// Of one owner: a tenant's PBX is not found in another's scope.
    pub async fn get(&self, owner: Scope, id: PbxId) -> Result<Option<Versioned<Pbx>>, StoreError> {
        self.0.get(owner, id.0).await
    }

    /// Whoever owns it. Only for who has decided already that the caller may know of it.
    pub async fn find(&self, id: PbxId) -> Result<Option<Versioned<Pbx>>, StoreError> {
        self.0.by_unique("id", &id.to_string()).await
    }

    pub async fn update(&self, pbx: &Pbx, expect: u64) -> Result<u64, StoreError> {
        self.0.update(pbx, expect).await
    }

    pub async fn delete(&self, owner: Scope, id: PbxId, expect: u64) -> Result<(), StoreError> {
        self.0.delete::<Pbx>(owner, id.0, expect).await
    }

    pub async fn list(&self, owner: Scope, page: PageRequest) -> Result<Vec<Versioned<Pbx>>, StoreError> {
        self.0.list(owner, page).await
    }

    pub async fn count(&self, owner: Scope) -> Result<Option<u64>, StoreError> {
        self.0.count::<Pbx>(owner).await
    }

    /// Of every owner, attached or not.
    pub async fn all(&self) -> Result<Vec<Versioned<Pbx>>, StoreError> {
        self.0.all().await
    }

    /// Of every owner, those that shall be connected: for start-up.
    pub async fn all_attached(&self) -> Result<Vec<Versioned<Pbx>>, StoreError> {
        let mut pbxs = self.all().await?;
        pbxs.retain(|(pbx, _)| !pbx.detached);
        Ok(pbxs)
    }
}

fn owner(tenant: Option<TenantId>) -> Scope {
    tenant.map_or(Scope::Platform, Scope::Tenant)
}

#[derive(Serialize, Deserialize)]
struct PbxRow {
    id: PbxId,
    tenant_id: Option<TenantId>,
    name: String,
    ami: AmiRow,
    ari: Option<AriRow>,
    media: MediaAccess,
    trunks: Vec<String>,
    extensions: Vec<String>,
    country: Option<String>,
    national_prefix: Option<String>,
    timezone: Option<String>,
    placement_key: String,
    detached: bool,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct AmiRow {
    host: String,
    port: u16,
    tls: bool,
    username: String,
    secret_sealed: String,
}

#[derive(Serialize, Deserialize)]
struct AriRow {
    url: String,
    username: String,
    password_sealed: String,
}

fn keyring(given: Option<&Keyring>) -> Result<&Keyring, StoreError> {
    given.ok_or_else(|| StoreError::Unavailable("no keyring".into()))
}

impl Stored for Pbx {
    const KIND: &'static Kind = &kinds::PBX;

    fn scope(&self) -> Scope {
        owner(self.tenant_id)
    }

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("id", self.id.to_string())]
    }

    fn to_body(&self, given: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        let keyring = keyring(given)?;
        let seal = |field: &str, secret: &Secret| keyring.seal(kinds::PBX.name, self.id.0, field, secret);
        let ari = match &self.ari {
            Some(ari) => Some(AriRow {
                url: ari.url.clone(),
                username: ari.username.clone(),
                password_sealed: seal("ari.password", &ari.password)?,
            }),
            None => None,
        };
        let row = PbxRow {
            id: self.id,
            tenant_id: self.tenant_id,
            name: self.name.clone(),
            ami: AmiRow {
                host: self.ami.host.clone(),
                port: self.ami.port,
                tls: self.ami.tls,
                username: self.ami.username.clone(),
                secret_sealed: seal("ami.secret", &self.ami.secret)?,
            },
            ari,
            media: self.media.clone(),
            trunks: self.trunks.clone(),
            extensions: self.extensions.clone(),
            country: self.country.clone(),
            national_prefix: self.national_prefix.clone(),
            timezone: self.timezone.clone(),
            placement_key: self.placement_key.clone(),
            detached: self.detached,
            created_at: self.created_at,
        };
        row::encode(VERSION, &row)
    }

    fn from_body(document: &Document, given: Option<&Keyring>) -> Result<Self, StoreError> {
        let row: PbxRow = row::decode("a pbx", VERSION, &document.body)?;
        let keyring = keyring(given)?;
        let open = |field: &str, sealed: &str| keyring.unseal(kinds::PBX.name, document.id, field, sealed);
        let ari = match row.ari {
            Some(ari) => Some(AriAccess {
                password: open("ari.password", &ari.password_sealed)?,
                url: ari.url,
                username: ari.username,
            }),
            None => None,
        };
        Ok(Pbx {
            id: row.id,
            tenant_id: row.tenant_id,
            name: row.name,
            ami: AmiAccess {
                secret: open("ami.secret", &row.ami.secret_sealed)?,
                host: row.ami.host,
                port: row.ami.port,
                tls: row.ami.tls,
                username: row.ami.username,
            },
            ari,
            media: row.media,
            trunks: row.trunks,
            extensions: row.extensions,
            country: row.country,
            national_prefix: row.national_prefix,
            timezone: row.timezone,
            placement_key: row.placement_key,
            detached: row.detached,
            created_at: row.created_at,
        })
    }
}
