//! Port `Journal`: append-only by tenant position, and by call. Commits sessions in the same transaction.

use crate::error::StoreError;
use crate::sessions::SessionRow;
use aimg_domain::{CallId, Event, NewEvent, Position, TenantId};
use async_trait::async_trait;

/// What belongs together: all of it is stored or none.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub events: Vec<NewEvent>,
    pub sessions: Vec<SessionRow>,
}

/// The events a commit numbered, in order, with their positions.
#[derive(Clone, Debug)]
pub struct Committed {
    pub events: Vec<Event>,
    /// The tenant's position after the commit.
    pub head: Position,
}

#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// The epoch this node writes under: a stored counter, raised once at each start.
    fn epoch(&self) -> u64;
    /// Numbers, stores durably and returns. One committer groups what waits. `Fenced` when `epoch` is not the owner's.
    async fn commit(&self, tenant: TenantId, epoch: u64, commit: Commit) -> Result<Committed, StoreError>;
    /// Position of the last event, `{0,0}`-like default when there is none.
    async fn head(&self, tenant: TenantId) -> Result<Position, StoreError>;
    /// Events after `after`, oldest first, at most `limit`. `Gap` when `after` is no longer (or not) valid.
    async fn read(&self, tenant: TenantId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError>;
    /// The newest events first, before `before` if given: for history pages.
    async fn read_back(&self, tenant: TenantId, before: Option<Position>, limit: usize) -> Result<Vec<Event>, StoreError>;
    /// A call's events after a position, oldest first.
    async fn read_call(&self, tenant: TenantId, call: CallId, after: Position, limit: usize) -> Result<Vec<Event>, StoreError>;
}
