//! What can go wrong between us and an Asterisk, in one enum for AMI and ARI.

use aimg_domain::{Fault, Timestamp};
use aimg_pbx::ami::session::Unanswered;
use aimg_pbx::ami::{ActionFault, Broken};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PbxError {
    /// Said at once, nothing was sent.
    #[error("link down since {since}: {reason}")]
    Down { since: Timestamp, reason: String },
    /// The PBX is followed over AMI alone.
    #[error("this PBX has no ARI access configured")]
    NoAri,
    /// What was asked cannot be carried; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// 401, or `Authentication failed`.
    #[error("the PBX does not accept user name and password")]
    Unauthorized,
    /// 403, or `Permission denied`.
    #[error("the PBX forbids this to our account: {0}")]
    Forbidden(String),
    /// 404, or `No such channel`.
    #[error("not there: {0}")]
    NotFound(String),
    /// 409: such as a channel that is not in a Stasis application, or an id in use.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Any other refusal; `status` is 0 for AMI.
    #[error("refused: {text}")]
    Refused { status: u16, text: String },
    /// It is not known whether it was done.
    #[error("no answer in time: {what}")]
    Timeout { what: String },
    /// Too much is under way on this link already.
    #[error("too many requests under way to this PBX")]
    Busy,
    /// No connection, or it broke on the way: it is not known whether it was done.
    #[error("unreachable: {0}")]
    Unreachable(String),
}

impl PbxError {
    /// A refusal by status code, with Asterisk's words.
    pub(crate) fn from_status(status: u16, text: String) -> PbxError {
        let text = if text.is_empty() { format!("HTTP {status}") } else { text };
        match status {
            401 => PbxError::Unauthorized,
            403 => PbxError::Forbidden(text),
            404 => PbxError::NotFound(text),
            409 => PbxError::Conflict(text),
            _ => PbxError::Refused { status, text },
        }
    }

    /// A `Response: Error` of AMI.
    pub(crate) fn from_ami_text(text: &str) -> PbxError {
        let lower = text.to_ascii_lowercase();
        if lower.contains("permission denied") || lower.contains("forbidden") {
            PbxError::Forbidden(text.to_owned())
        } else if lower.contains("no such channel") || lower.contains("not found") || lower.contains("does not exist") {
            PbxError::NotFound(text.to_owned())
        } else {
            PbxError::Refused {
                status: 0,
                text: text.to_owned(),
            }
        }
    }

    pub(crate) fn from_unanswered(why: Unanswered, what: &str) -> PbxError {
        match why {
            Unanswered::Fault(fault) => fault.into(),
            Unanswered::Busy => PbxError::Busy,
            Unanswered::Timeout => PbxError::Timeout { what: what.to_owned() },
            Unanswered::Broken(broken) => broken.into(),
            Unanswered::NotSignedIn | Unanswered::ListTooLong => PbxError::Refused {
                status: 0,
                text: why.to_string(),
            },
        }
    }
}

impl From<ActionFault> for PbxError {
    fn from(fault: ActionFault) -> PbxError {
        PbxError::Invalid(fault.to_string())
    }
}

impl From<Broken> for PbxError {
    fn from(broken: Broken) -> PbxError {
        match broken {
            Broken::AuthenticationFailed => PbxError::Unauthorized,
            Broken::LoginRefused(text) => PbxError::Forbidden(text),
            other => PbxError::Unreachable(other.to_string()),
        }
    }
}

impl From<PbxError> for Fault {
    fn from(error: PbxError) -> Fault {
        match error {
            PbxError::Down { since, reason } => Fault::PbxDown { since, reason },
            PbxError::NoAri => Fault::not_possible("this PBX is attached without ARI"),
            PbxError::NotFound(what) => Fault::not_found(what),
            PbxError::Conflict(detail) => Fault::Conflict { detail },
            PbxError::Timeout { what } => Fault::Timeout { what },
            PbxError::Busy => Fault::TooMany {
                detail: error.to_string(),
                retry_after_ms: 1000,
            },
            PbxError::Unreachable(_) => Fault::unavailable("the PBX"),
            PbxError::Invalid(_) | PbxError::Unauthorized | PbxError::Forbidden(_) | PbxError::Refused { .. } => {
                Fault::PbxRefused { reason: error.to_string() }
            }
        }
    }
}
