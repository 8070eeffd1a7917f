//! Values at rest: a big-endian u16 schema version, then JSON of a row that the store owns.

use crate::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub fn encode<T: Serialize>(version: u16, row: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = version.to_be_bytes().to_vec();
    serde_json::to_writer(&mut bytes, row).map_err(|error| StoreError::Corrupt(format!("a row that has no JSON: {error}")))?;
    Ok(bytes)
}

/// The schema version and the JSON behind it.
pub fn split(bytes: &[u8]) -> Result<(u16, &[u8]), StoreError> {
    match bytes.split_first_chunk::<2>() {
        Some((version, json)) => Ok((u16::from_be_bytes(*version), json)),
        None => Err(StoreError::Corrupt("a value without a schema version".into())),
    }
}

/// A row of the one version that this program writes.
pub fn decode<T: DeserializeOwned>(what: &str, known: u16, bytes: &[u8]) -> Result<T, StoreError> {
    let (version, json) = split(bytes)?;
    if version != known {
        return Err(StoreError::Corrupt(format!(
            "{what} has schema version {version}, this program knows {known}: use the newer aimg that wrote it"
        )));
    }
    // serde_json quotes the offending value for some errors; a row may hold personal data, so only the place is told.
    serde_json::from_slice(json).map_err(|error| StoreError::Corrupt(format!("{what}: unreadable at column {}", error.column())))
}
