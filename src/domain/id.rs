//! Identifiers: UUIDv7 outside, one type each so that they cannot be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map($name)
            }
        }
    };
}

id!(/// A tenant.
    TenantId);
id!(/// A person or a machine that signs in.
    UserId);
id!(/// An Asterisk.
    PbxId);
id!(/// A tie of a tenant to a PBX.
    PbxLinkId);
id!(/// A call session as one tenant sees it: the only call id that is shown outside.
    CallId);
id!(/// A recording.
    RecordingId);

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Ten lower-case base32 characters of the id's random part (its last 50 bits): short names that stand in
/// dialplans and object ids, where a whole UUID would not fit.
pub fn short(id: Uuid) -> String {
    let bits = id.as_u128() & ((1 << 50) - 1);
    (0..10).rev().map(|i| BASE32[((bits >> (i * 5)) & 31) as usize] as char).collect()
}

impl PbxId {
    /// See [`short`].
    pub fn short(&self) -> String {
        short(self.0)
    }

    /// The stable Stasis application of this PBX: the only one that a dialplan names.
    pub fn stasis_app(&self) -> String {
        format!("aimg-{}", self.short())
    }

    /// The Stasis application of the taps that the owner of `epoch` makes.
    pub fn tap_app(&self, epoch: u64) -> String {
        format!("{}-{epoch}", self.stasis_app())
    }
}
