//! Port `Sessions`: typed call sessions, found by tenant and day, number, outcome and time, newest first.

use crate::error::StoreError;
use aimg_domain::call::{CallSession, Direction, Outcome};
use aimg_domain::{CallId, PbxId, TenantId, Timestamp};
use async_trait::async_trait;
use serde_json::Value;

/// A session and what its actors need to go on after a death (taps, machine snapshot). `resume` is theirs: the
/// store keeps it and never looks inside; it is dropped when the session ends.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    pub session: CallSession,
    pub resume: Value,
}

/// Every condition given must hold.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    pub active: Option<bool>,
    pub states: Vec<aimg_domain::CallState>,
    pub outcomes: Vec<Outcome>,
    pub directions: Vec<Direction>,
    pub pbx: Option<PbxId>,
    /// Caller's or callee's number, exactly (as dialled or E.164).
    pub number: Option<String>,
    /// Inclusive.
    pub started_after: Option<Timestamp>,
    /// Exclusive.
    pub started_before: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
}

/// Where a page ended: (started_at, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCursor {
    pub started_at: Timestamp,
    pub id: CallId,
}

#[derive(Clone, Debug)]
pub struct SessionPage {
    pub sessions: Vec<CallSession>,
    /// `None` when this was the last page.
    pub next: Option<SessionCursor>,
}

#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    async fn get(&self, tenant: TenantId, call: CallId) -> Result<Option<SessionRow>, StoreError>;
    async fn list(&self, tenant: TenantId, query: &SessionQuery, after: Option<SessionCursor>, limit: usize) -> Result<SessionPage, StoreError>;
    /// `None` above 10,000.
    async fn count(&self, tenant: TenantId, query: &SessionQuery) -> Result<Option<u64>, StoreError>;
    /// Sessions of a pbx that have not ended, of every tenant: what a restart goes on with.
    async fn active_of_pbx(&self, pbx: PbxId) -> Result<Vec<SessionRow>, StoreError>;
}
