//! The one closed list of what can go wrong for a caller. HTTP codes are given in one file of the edge.
//!
//! A fault travels between nodes and to clients: it never holds a secret or another tenant's data. What is
//! only for operators goes to the log under `reference`.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One field that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFault {
    /// Dotted path, as in the request: `ami.port`.
    pub field: String,
    /// What was expected, in words.
    pub expected: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The request does not say what it must.
    Invalid {
        fields: Vec<FieldFault>,
    },
    Unauthenticated {
        detail: String,
    },
    Forbidden {
        detail: String,
    },
    /// Also said of what exists but belongs to somebody else.
    NotFound {
        what: String,
    },
    /// A value that must be unique is taken, or the thing is in a state that forbids this.
    Conflict {
        detail: String,
    },
    /// `If-Match` named another version than the stored one.
    VersionMismatch {
        current: u64,
    },
    /// `call already ended`
    CallEnded {
        at: Option<Timestamp>,
    },
    /// `not possible here: …`
    NotPossibleHere {
        why: String,
    },
    /// `PBX link down since …`
    PbxDown {
        since: Timestamp,
        reason: String,
    },
    /// `the PBX refused: …`
    PbxRefused {
        reason: String,
    },
    /// The deadline passed; it is not known whether the thing was done.
    Timeout {
        what: String,
    },
    Unavailable {
        what: String,
        retry_after_ms: u64,
    },
    TooLarge {
        limit_bytes: u64,
    },
    TooMany {
        detail: String,
        retry_after_ms: u64,
    },
    /// Our own mistake. `reference` finds it in the log.
    Internal {
        reference: String,
    },
}

impl Fault {
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>) -> Fault {
        Fault::Invalid {
            fields: vec![FieldFault {
                field: field.into(),
                expected: expected.into(),
            }],
        }
    }

    pub fn not_found(what: impl Into<String>) -> Fault {
        Fault::NotFound { what: what.into() }
    }

    pub fn not_possible(why: impl Into<String>) -> Fault {
        Fault::NotPossibleHere { why: why.into() }
    }

    pub fn unavailable(what: impl Into<String>) -> Fault {
        Fault::Unavailable {
            what: what.into(),
            retry_after_ms: 1000,
        }
    }

    /// Stable code of RFC 9457 problems.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Invalid { .. } => "invalid",
            Fault::Unauthenticated { .. } => "unauthenticated",
            Fault::Forbidden { .. } => "forbidden",
            Fault::NotFound { .. } => "not_found",
            Fault::Conflict { .. } => "conflict",
            Fault::VersionMismatch { .. } => "version_mismatch",
            Fault::CallEnded { .. } => "call_ended",
            Fault::NotPossibleHere { .. } => "not_possible_here",
            Fault::PbxDown { .. } => "pbx_down",
            Fault::PbxRefused { .. } => "pbx_refused",
            Fault::Timeout { .. } => "timeout",
            Fault::Unavailable { .. } => "unavailable",
            Fault::TooLarge { .. } => "too_large",
            Fault::TooMany { .. } => "too_many",
            Fault::Internal { .. } => "internal",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Invalid { fields } => {
                for (n, fault) in fields.iter().enumerate() {
                    let comma = if n > 0 { "; " } else { "" };
                    write!(f, "{comma}{}: {}", fault.field, fault.expected)?;
                }
                Ok(())
            }
            Fault::Unauthenticated { detail } | Fault::Forbidden { detail } | Fault::Conflict { detail } => f.write_str(detail),
            Fault::NotFound { what } => write!(f, "{what} not found"),
            Fault::VersionMismatch { current } => write!(f, "changed meanwhile: the stored version is {current}"),
            Fault::CallEnded { at: Some(at) } => write!(f, "call already ended at {at}"),
            Fault::CallEnded { at: None } => f.write_str("call already ended"),
            Fault::NotPossibleHere { why } => write!(f, "not possible here: {why}"),
            Fault::PbxDown { since, reason } => write!(f, "PBX link down since {since}: {reason}"),
            Fault::PbxRefused { reason } => write!(f, "the PBX refused: {reason}"),
            Fault::Timeout { what } => write!(f, "no answer in time: {what}"),
            Fault::Unavailable { what, .. } => write!(f, "{what} is unavailable, try again"),
            Fault::TooLarge { limit_bytes } => write!(f, "larger than {limit_bytes} bytes"),
            Fault::TooMany { detail, .. } => f.write_str(detail),
            Fault::Internal { reference } => write!(f, "internal error, reference {reference}"),
        }
    }
}

impl std::error::Error for Fault {}
