//! Refresh tokens, kept as families: one document a sign-in, which names the only token of it that is still
//! good. Every other token of the family was used before; showing one again revokes the family.

use super::{Repo, Stored, Versioned, everything};
use crate::records::{Document, Kind, PageRequest, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::{TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

/// One sign-in and what has come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFamily {
    pub id: Uuid,
    pub user: UserId,
    /// The user's home tenant.
    pub tenant: TenantId,
    /// The one token that may still be redeemed.
    pub current: Uuid,
    /// Of the current token.
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// When the current token was issued.
    pub refreshed_at: Timestamp,
    /// Why it is revoked, if it is: `logout`, `reused`, …
    pub revoked: Option<String>,
}

/// What became of a token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// It was good and is now used; the next one is in its place.
    Rotated(RefreshFamily),
    /// It had been used before: the family is revoked now.
    Reused(RefreshFamily),
    Expired,
    Revoked,
    /// No such family.
    Unknown,
}

#[derive(Clone)]
pub struct RefreshTokens(Repo);

impl RefreshTokens {
    pub fn new(records: Arc<dyn Records>) -> RefreshTokens {
        RefreshTokens(Repo::new(records, None))
    }

    /// A sign-in: the family with its first token.
    pub async fn begin(&self, family: &RefreshFamily) -> Result<u64, StoreError> {
        self.0.create(family).await
    }

    /// Uses `token` and puts `next` in its place, good until `expires_at`. Of two that show the same token at
    /// once, one wins and the other counts as reuse.
    pub async fn redeem(&self, tenant: TenantId, family: Uuid, token: Uuid, next: Uuid, now: Timestamp, expires_at: Timestamp) -> Result<Redeemed, StoreError> {
        loop {
            let Some((mut stored, version)) = self.get(tenant, family).await? else {
                return Ok(Redeemed::Unknown);
            };
            if stored.revoked.is_some() {
                return Ok(Redeemed::Revoked);
            }
            if stored.current != token {
                stored.revoked = Some("reused".into());
            } else if stored.expires_at <= now {
                return Ok(Redeemed::Expired);
            } else {
                stored.current = next;
                stored.refreshed_at = now;
                stored.expires_at = expires_at;
            }
            match self.0.update(&stored, version).await {
                Ok(_) if stored.revoked.is_some() => return Ok(Redeemed::Reused(stored)),
                Ok(_) => return Ok(Redeemed::Rotated(stored)),
                // Somebody was quicker, which ends in a few rounds: each of them uses or revokes the token.
                Err(StoreError::Version { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub async fn get(&self, tenant: TenantId, family: Uuid) -> Result<Option<Versioned<RefreshFamily>>, StoreError> {
        self.0.get(Scope::Tenant(tenant), family).await
    }

    /// `false` when there is none or it was revoked already.
    pub async fn revoke(&self, tenant: TenantId, family: Uuid, why: &str) -> Result<bool, StoreError> {
        loop {
            let Some((mut stored, version)) = self.get(tenant, family).await? else {
                return Ok(false);
            };
            if stored.revoked.is_some() {
                return Ok(false);
            }
            stored.revoked = Some(why.to_owned());
            match self.0.update(&stored, version).await {
                Ok(_) => return Ok(true),
                Err(StoreError::Version { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Every sign-in of a user. How many were revoked.
    pub async fn revoke_user(&self, tenant: TenantId, user: UserId, why: &str) -> Result<u64, StoreError> {
        let mut revoked = 0;
        for (family, _) in self.by_user(tenant, user, everything()).await? {
            revoked += u64::from(self.revoke(tenant, family.id, why).await?);
        }
        Ok(revoked)
    }

    /// A user's sign-ins, revoked ones too, until they are purged.
    pub async fn by_user(&self, tenant: TenantId, user: UserId, page: PageRequest) -> Result<Vec<Versioned<RefreshFamily>>, StoreError> {
        self.0.by_lookup(Scope::Tenant(tenant), "user", &user.to_string(), page).await
    }

    /// Deletes families whose last token has expired. How many.
    pub async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        for (family, version) in self.0.all::<RefreshFamily>().await? {
            if family.expires_at > now {
                continue;
            }
            match self.0.delete::<RefreshFamily>(Scope::Tenant(family.tenant), family.id, version).await {
                Ok(()) => purged += 1,
                Err(StoreError::Version { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(purged)
    }
}

impl Stored for RefreshFamily {
    const KIND: &'static Kind = &kinds::REFRESH_FAMILY;

    fn scope(&self) -> Scope {
        Scope::Tenant(self.tenant)
    }

    fn id(&self) -> Uuid {
        self.id
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        vec![("user", self.user.to_string())]
    }

    fn to_body(&self, _: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        row::encode(VERSION, self)
    }

    fn from_body(document: &Document, _: Option<&Keyring>) -> Result<Self, StoreError> {
        row::decode("a refresh family", VERSION, &document.body)
    }
}
