//! A document at rest: u16 schema version of the envelope, u64 version, the declared keys (u32 length, JSON) so
//! that a change finds its old index rows, then the body as it was given.

use aimg_store::StoreError;
use aimg_store::records::{Document, Scope};
use uuid::Uuid;

const SCHEMA: u16 = 1;

/// (field, value)
pub type Keys = Vec<(String, String)>;

pub struct Envelope {
    pub version: u64,
    pub keys: Keys,
}

impl Envelope {
    pub fn write(version: u64, keys: &[(&'static str, String)], body: &[u8]) -> Result<Vec<u8>, StoreError> {
        let keys = serde_json::to_vec(keys).map_err(|_| unreadable())?;
        let length = u32::try_from(keys.len()).map_err(|_| unreadable())?;
        let mut bytes = Vec::with_capacity(body.len() + keys.len() + 14);
        bytes.extend_from_slice(&SCHEMA.to_be_bytes());
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&keys);
        bytes.extend_from_slice(body);
        Ok(bytes)
    }

    pub fn read(bytes: &[u8]) -> Result<Envelope, StoreError> {
        let (version, keys, _) = split(bytes).ok_or_else(unreadable)?;
        let keys = serde_json::from_slice(keys).map_err(|_| unreadable())?;
        Ok(Envelope { version, keys })
    }

    pub fn document(scope: Scope, id: Uuid, bytes: &[u8]) -> Result<Document, StoreError> {
        let (version, _, body) = split(bytes).ok_or_else(unreadable)?;
        Ok(Document {
            scope,
            id,
            version,
            body: body.to_vec(),
        })
    }
}

fn split(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (schema, rest) = bytes.split_first_chunk()?;
    if u16::from_be_bytes(*schema) != SCHEMA {
        return None;
    }
    let (version, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (keys, body) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((u64::from_be_bytes(*version), keys, body))
}

fn unreadable() -> StoreError {
    StoreError::Corrupt("records.redb: a document's envelope".into())
}
