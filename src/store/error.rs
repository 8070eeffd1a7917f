//! What a store can answer besides the answer.

use aimg_domain::Position;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum StoreError {
    /// Another document already has this value of a unique field.
    #[error("{field} is taken")]
    Taken { field: &'static str },
    /// The document is not there, or its version is another one (`current`, `None` when absent).
    #[error("the stored version is {current:?}")]
    Version { current: Option<u64> },
    /// The writer's epoch is lower than the stored one: somebody else owns this now.
    #[error("epoch {epoch} is over")]
    Fenced { epoch: u64 },
    /// The position asked for is older than what is kept, or beyond the end of its epoch.
    #[error("not kept any more, the last valid position is {valid:?}")]
    Gap { valid: Position },
    /// A value or a batch beyond what the port takes.
    #[error("{what} is larger than {limit}")]
    TooLarge { what: &'static str, limit: usize },
    /// Full disk, lost server: may be tried again.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read: corruption, or a newer schema.
    #[error("stored data is unreadable: {0}")]
    Corrupt(String),
}
