//! What crosses between nodes as bytes: a version byte, then the secrets, then the value, in bincode. The only place that names bincode.
//!
//! `Secret` serialises as `***`, so that no log or JSON ever shows one. What must travel is taken out by [`Carries`], written
//! beside the value and put back on arrival. The matches in there are exhaustive on purpose: a new request has to say what it carries.
//! `Fault` cannot be decoded by a format that does not describe itself: replies carry it as its JSON text.

use crate::request::{Asked, CallReply, CallRequest, TenantReply, TenantRequest};
use aimg_domain::Fault;
use aimg_domain::secret::Secret;
use bincode::config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Raised when the bytes of any value change their meaning.
pub const VERSION: u8 = 1;
/// Longest encoded message, in bytes.
pub const MESSAGE_MAX: usize = 256 * 1024;

#[derive(Debug, Error)]
pub enum CodecError {
    #[error("longer than {MESSAGE_MAX} bytes")]
    TooLarge,
    #[error("version {0} is not spoken here")]
    Version(u8),
    #[error("not a valid message")]
    Malformed,
}

/// The secrets inside a value, always in the same order.
pub trait Carries: Serialize + DeserializeOwned {
    fn secrets(&self) -> Vec<&Secret>;
    fn secrets_mut(&mut self) -> Vec<&mut Secret>;
}

pub fn encode<T: Carries>(value: &T) -> Result<Vec<u8>, CodecError> {
    let secrets: Vec<&str> = value.secrets().into_iter().map(Secret::expose).collect();
    let mut bytes = vec![VERSION];
    let written = bincode::serde::encode_into_std_write((&secrets, value), &mut bytes, config::standard());
    written.map_err(|_| CodecError::Malformed)?;
    if bytes.len() > MESSAGE_MAX {
        return Err(CodecError::TooLarge);
    }
    Ok(bytes)
}

pub fn decode<T: Carries>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > MESSAGE_MAX {
        return Err(CodecError::TooLarge);
    }
    let (&version, rest) = bytes.split_first().ok_or(CodecError::Malformed)?;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    // The limit also bounds what a forged length may make us allocate.
    let config = config::standard().with_limit::<MESSAGE_MAX>();
    let decoded = bincode::serde::decode_from_slice::<(Vec<String>, T), _>(rest, config);
    let ((secrets, mut value), read) = decoded.map_err(|_| CodecError::Malformed)?;
    let places = value.secrets_mut();
    if read != rest.len() || places.len() != secrets.len() {
        return Err(CodecError::Malformed);
    }
    for (place, secret) in places.into_iter().zip(secrets) {
        *place = Secret::new(secret);
    }
    Ok(value)
}

impl<T: Carries> Carries for Asked<T> {
    fn secrets(&self) -> Vec<&Secret> {
        self.body.secrets()
    }

    fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        self.body.secrets_mut()
    }
}

impl Carries for TenantRequest {
    fn secrets(&self) -> Vec<&Secret> {
        match self {
            TenantRequest::TestPbx { access } => std::iter::once(&access.ami.secret)
                .chain(access.ari.as_ref().map(|ari| &ari.password))
                .collect(),
            TenantRequest::ApplyPbx { .. }
            | TenantRequest::DetachPbx { .. }
            | TenantRequest::ApplyLink { .. }
            | TenantRequest::RemoveLink { .. }
            | TenantRequest::PbxStatuses
            | TenantRequest::Originate(_)
            | TenantRequest::ActiveCalls => Vec::new(),
        }
    }

    fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        match self {
            TenantRequest::TestPbx { access } => {
                let access = access.as_mut();
                std::iter::once(&mut access.ami.secret)
                    .chain(access.ari.as_mut().map(|ari| &mut ari.password))
                    .collect()
            }
            TenantRequest::ApplyPbx { .. }
            | TenantRequest::DetachPbx { .. }
            | TenantRequest::ApplyLink { .. }
            | TenantRequest::RemoveLink { .. }
            | TenantRequest::PbxStatuses
            | TenantRequest::Originate(_)
            | TenantRequest::ActiveCalls => Vec::new(),
        }
    }
}

macro_rules! carries_none {
    ($($name:ty),*) => {
        $(impl Carries for $name {
            fn secrets(&self) -> Vec<&Secret> {
                Vec::new()
            }

            fn secrets_mut(&mut self) -> Vec<&mut Secret> {
                Vec::new()
            }
        })*
    };
}

carries_none!(CallRequest, TenantReply, CallReply, Answer<TenantReply>, Answer<CallReply>);

/// A reply or a fault, as it travels.
#[derive(Debug, Serialize, serde::Deserialize)]
pub enum Answer<T> {
    Reply(T),
    /// JSON of the fault.
    Fault(String),
}

impl<T> From<Result<T, Fault>> for Answer<T> {
    fn from(result: Result<T, Fault>) -> Answer<T> {
        match result {
            Ok(reply) => Answer::Reply(reply),
            Err(fault) => Answer::Fault(serde_json::to_string(&fault).unwrap_or_default()),
        }
    }
}

impl<T> Answer<T> {
    pub fn into_result(self) -> Result<T, Fault> {
        match self {
            Answer::Reply(reply) => Ok(reply),
            Answer::Fault(text) => Err(serde_json::from_str(&text).unwrap_or(Fault::Internal {
                reference: "an unreadable fault of another node".into(),
            })),
        }
    }
}

#[cfg(test)]
mod tests;
