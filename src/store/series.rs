//! Port `Series`: points and roll-ups of metrics.

use crate::error::StoreError;
use crate::records::Scope;
use aimg_domain::Timestamp;
use aimg_domain::metric::{Point, Resolution, Rollup};
use async_trait::async_trait;

/// `node.cpu`, `call.mos:<call>:<track>`; at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    pub scope: Scope,
    pub name: String,
}

#[async_trait]
pub trait Series: Send + Sync + 'static {
    async fn write(&self, points: Vec<(SeriesKey, Point)>) -> Result<(), StoreError>;
    /// Roll-ups whose interval starts in [from, to), oldest first, at most `limit`.
    async fn range(&self, key: &SeriesKey, resolution: Resolution, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<Rollup>, StoreError>;
    /// Forget what is older, by whole buckets.
    async fn expire(&self, resolution: Resolution, before: Timestamp) -> Result<u64, StoreError>;
}
