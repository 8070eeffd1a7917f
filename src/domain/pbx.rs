//! An Asterisk: where it is, how to sign in, what its names mean.

use crate::clock::Timestamp;
use crate::id::{PbxId, TenantId};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pbx {
    pub id: PbxId,
    /// `None`: the platform's own.
    pub tenant_id: Option<TenantId>,
    pub name: String,
    pub ami: AmiAccess,
    /// `None`: followed over AMI alone, without taps.
    pub ari: Option<AriAccess>,
    pub media: MediaAccess,
    /// Patterns of channel names that lead outside, such as `PJSIP/trunk-*`.
    pub trunks: Vec<String>,
    /// Patterns of channel names that belong to people, such as `PJSIP/10*`.
    pub extensions: Vec<String>,
    /// ISO 3166 code, for E.164 numbers: `DE`.
    pub country: Option<String>,
    pub national_prefix: Option<String>,
    pub timezone: Option<String>,
    /// Shared with the tenants tied to it: they live on one node.
    pub placement_key: String,
    pub detached: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmiAccess {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub tls: bool,
    pub username: String,
    pub secret: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AriAccess {
    /// `http://host:8088` or `https://…`; the path `/ari` is added when it is missing.
    pub url: String,
    pub username: String,
    pub password: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaAccess {
    /// Our address as this PBX sees it: what external media is sent to. `None`: found by the attach test.
    pub address: Option<IpAddr>,
    pub ports: MediaPorts,
    /// What taps ask the PBX to send.
    pub format: TapFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaPorts {
    /// Many streams a socket, told apart by source address.
    Shared,
    /// A socket a stream, for PBXs behind address translation that rewrites ports.
    Dedicated,
}

/// What external media carries. Asterisk's own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapFormat {
    Ulaw,
    Alaw,
    G722,
    Slin16,
}

impl TapFormat {
    pub fn asterisk_name(self) -> &'static str {
        match self {
            TapFormat::Ulaw => "ulaw",
            TapFormat::Alaw => "alaw",
            TapFormat::G722 => "g722",
            TapFormat::Slin16 => "slin16",
        }
    }

    /// Samples a second after decoding.
    pub fn sample_rate(self) -> u32 {
        match self {
            TapFormat::Ulaw | TapFormat::Alaw => 8000,
            TapFormat::G722 | TapFormat::Slin16 => 16000,
        }
    }
}

/// What is true now of the link to a PBX.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PbxStatus {
    pub state: PbxState,
    pub since: Timestamp,
    /// Why it is in this state, and what to do, in words.
    pub reason: Option<String>,
    /// `16.28.0`
    pub version: Option<String>,
    /// When the PBX itself started.
    pub booted_at: Option<Timestamp>,
    pub last_gap: Option<Gap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PbxState {
    Connecting,
    Attached,
    /// The link is lost; calls go on unseen.
    Blind,
    /// It answers but does not let us in, or lacks what we need.
    Refused,
    Detached,
}

/// An interval in which we saw nothing, and what the comparison afterwards changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from: Timestamp,
    pub to: Timestamp,
    pub adopted: u32,
    pub ended: u32,
    pub corrected: u32,
}

/// What `pbxs/test` found, step by step; the first that failed names what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PbxTest {
    pub ok: bool,
    pub version: Option<String>,
    pub steps: Vec<PbxTestStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PbxTestStep {
    /// `ami.connect`, `ami.banner`, `ami.login`, `ami.permissions`, `ari.connect`, `ari.login`, `ari.write`,
    /// `ari.websocket`, `media`
    pub step: String,
    pub ok: bool,
    /// What was found and, where it failed, what to do.
    pub detail: String,
}
