//! Access tokens revoked before they expired (logout), by their `jti`.

use super::{Repo, Stored};
use crate::records::{Document, Kind, Records, Scope};
use crate::secrets::Keyring;
use crate::{StoreError, kinds, row};
use aimg_domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

const VERSION: u16 = 1;

#[derive(Clone)]
pub struct RevokedTokens(Repo);

#[derive(Serialize, Deserialize)]
struct RevokedToken {
    jti: Uuid,
    expires_at: Timestamp,
}

impl RevokedTokens {
    pub fn new(records: Arc<dyn Records>) -> RevokedTokens {
        RevokedTokens(Repo::new(records, None))
    }

    /// Kept until the token would have expired anyway. Revoking twice is no error.
    pub async fn revoke(&self, jti: Uuid, expires_at: Timestamp) -> Result<(), StoreError> {
        match self.0.create(&RevokedToken { jti, expires_at }).await {
            Ok(_) | Err(StoreError::Version { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub async fn is_revoked(&self, jti: Uuid) -> Result<bool, StoreError> {
        Ok(self.0.get::<RevokedToken>(Scope::Platform, jti).await?.is_some())
    }

    /// (jti, expiry) of all: to fill a cache at start-up.
    pub async fn all(&self) -> Result<Vec<(Uuid, Timestamp)>, StoreError> {
        let tokens = self.0.all::<RevokedToken>().await?;
        Ok(tokens.into_iter().map(|(token, _)| (token.jti, token.expires_at)).collect())
    }

    /// Deletes those whose token has expired. How many.
    pub async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        for (token, version) in self.0.all::<RevokedToken>().await? {
            if token.expires_at <= now {
                self.0.delete::<RevokedToken>(Scope::Platform, token.jti, version).await?;
                purged += 1;
            }
        }
        Ok(purged)
    }
}

impl Stored for RevokedToken {
    const KIND: &'static Kind = &kinds::REVOKED_TOKEN;

    fn scope(&self) -> Scope {
        Scope::Platform
    }

    fn id(&self) -> Uuid {
        self.jti
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn to_body(&self, _: Option<&Keyring>) -> Result<Vec<u8>, StoreError> {
        row::encode(VERSION, self)
    }

    fn from_body(document: &Document, _: Option<&Keyring>) -> Result<Self, StoreError> {
        row::decode("a revoked token", VERSION, &document.body)
    }
}
