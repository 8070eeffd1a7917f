//! A tenant.

use crate::clock::Timestamp;
use crate::id::TenantId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    /// The subdomain: unique, lower-case letters, digits and inner hyphens, at most 63.
    pub slug: String,
    pub status: TenantStatus,
    /// What the placement of its shard is computed from; shared with its PBXs. Stored, never recomputed.
    pub placement_key: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    Active,
    Suspended,
}

/// A label of a DNS name (RFC 1123).
pub fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
