//! The tie of a tenant to a PBX: which calls are its own, and what may be done with them.

use crate::clock::Timestamp;
use crate::id::{PbxId, PbxLinkId, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PbxLink {
    pub id: PbxLinkId,
    pub tenant_id: TenantId,
    pub pbx_id: PbxId,
    pub claims: Claims,
    pub audio: AudioPolicy,
    pub recording: RecordingPolicy,
    pub control: ControlPolicy,
    /// How many calls may be tapped at once.
    pub tap_budget: u32,
    pub created_at: Timestamp,
}

/// A rule that finds a tenant's calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    #[serde(rename = "match")]
    pub by: ClaimBy,
    /// Patterns (`pattern`), none for `all`.
    #[serde(default)]
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimBy {
    All,
    Context,
    Endpoint,
    Accountcode,
    Trunk,
    Number,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioPolicy {
    /// Tapped while somebody listens, records or transcribes.
    OnDemand,
    /// Always, caller and callee apart.
    Legs,
    /// Always, both in one.
    Mixed,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingPolicy {
    Always,
    OnDemand,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlPolicy {
    Observe,
    Takeover,
}
