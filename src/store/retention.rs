//! Port `Retention`: forgetting on purpose. Called by the retention job, which decides what may go (legal hold).

use crate::error::StoreError;
use aimg_domain::{CallId, TenantId};
use async_trait::async_trait;

#[async_trait]
pub trait Retention: Send + Sync + 'static {
    /// Forgets the tenant's events up to and including this offset, but never the last one: the position of
    /// the head must stay known. Readers that stand before it get `Gap`. How many were forgotten.
    async fn forget_events(&self, tenant: TenantId, through_offset: u64) -> Result<u64, StoreError>;
    /// Forgets a session that has ended. `false` when there is none, or it has not ended.
    async fn forget_session(&self, tenant: TenantId, call: CallId) -> Result<bool, StoreError>;
}
