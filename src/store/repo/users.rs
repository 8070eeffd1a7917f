//! Users, by email in the whole system. The password's hash is written by a row of the store's own, because the
//! domain's `Secret` refuses to be serialised.

use super::{Repo, Stored, Versioned};
use crate::records::{Document, Kind, PageRequest, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::secret::Secret;
use aimg_domain::user::User;
use aimg_domain::{Role, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Clone)]
pub struct Users(Repo);

impl Users {
    pub fn new(records: Arc<dyn Records>) -> Users {
        Users(Repo::new(records, None))
    }

    /// Stored with the email in lower case. `Taken { field: "email" }` when anybody has it, in any tenant.
    pub async fn create(&self, user: &User) -> Result<u64, StoreError> {
        self.0.create(user).await
    }

    pub async fn get(&self, tenant: TenantId, id: UserId) -> Result<Option<Versioned<User>>, StoreError> {
        self.0.get(Scope::Tenant(tenant), id.0).await
    }

    /// Without regard to case.
    pub async fn by_email(&self, email: &str) -> Result<Option<Versioned<User>>, StoreError> {
        self.0.by_unique("email", &folded(email)).await
    }

    pub async fn update(&self, user: &User, expect: u64) -> Result<u64, StoreError> {
        self.0.update(user, expect).await
    }

    pub async fn delete(&self, tenant: TenantId, id: UserId, expect: u64) -> Result<(), StoreError> {
        self.0.delete::<User>(Scope::Tenant(tenant), id.0, expect).await
    }

    pub async fn list(&self, tenant: TenantId, page: PageRequest) -> Result<Vec<Versioned<User>>, StoreError> {
        self.0.list(Scope::Tenant(tenant), page).await
    }

    pub async fn count(&self, tenant: TenantId) -> Result<Option<u64>, StoreError> {
        self.0.count::<User>(Scope::Tenant(tenant)).await
    }

    /// Of every tenant: for start-up (is there anybody yet?).
    pub async fn all(&self) -> Result<Vec<Versioned<User>>, StoreError> {
        self.0.all().await
    }
}

fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

#[derive(Serialize, Deserialize)]
struct UserRow {
    id: UserId,
    tenant_id: TenantId,
    email: String,
    name: String,
    role: Role,
    disabled: bool,
    password_hash: String,
    generation: u64,
    created_at: Timestamp,
}

impl Stored for User {
    const KIND: &'static Kind = &kinds::USER;

    fn scope(&self) -> Scope {
        Scope::Tenant(self.tenant_id)
    }

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("email", folded(&self.email))]
    }

    fn to_body(&self, _: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        row::encode(
            VERSION,
            &UserRow {
                id: self.id,
                tenant_id: self.tenant_id,
                email: folded(&self.email),
                name: self.name.clone(),
                role: self.role,
                disabled: self.disabled,
                password_hash: self.password_hash.expose().to_owned(),
                generation: self.generation,
                created_at: self.created_at,
            },
        )
    }

    fn from_body(document: &Document, _: Option<&Keyring>) -> Result<Self, StoreError> {
        let row: UserRow = row::decode("a user", VERSION, &document.body)?;
        Ok(User {
            id: row.id,
            tenant_id: row.tenant_id,
            email: row.email,
            name: row.name,
            role: row.role,
            disabled: row.disabled,
            password_hash: Secret::new(row.password_hash),
            generation: row.generation,
            created_at: row.created_at,
        })
    }
}
