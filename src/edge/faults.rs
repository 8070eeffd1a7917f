//! Store errors as faults. What only operators may know goes to the log under a reference.

use aimg_domain::Fault;
use aimg_store::StoreError;

pub fn of_store(error: StoreError) -> Fault {
    match error {
        StoreError::Taken { field } => Fault::invalid(field, "a value that is not taken yet"),
        StoreError::Version { .. } => Fault::Conflict {
            detail: "changed by somebody else meanwhile, try again".into(),
        },
        StoreError::Fenced { .. } => Fault::unavailable("this node is no longer the owner; its store"),
        StoreError::Gap { .. } => Fault::invalid("after", "a position that is still kept"),
        StoreError::TooLarge { limit, .. } => Fault::TooLarge { limit_bytes: limit as u64 },
        StoreError::Unavailable(why) => {
            tracing::warn!(why, "store unavailable");
            Fault::unavailable("the store")
        }
        StoreError::Corrupt(why) => internal(&why),
    }
}

/// As [`of_store`], for a write that named the version it expects (`If-Match`).
pub fn of_write(error: StoreError, named: Option<u64>) -> Fault {
    match (error, named) {
        (StoreError::Version { current: Some(current) }, Some(_)) => Fault::VersionMismatch { current },
        (error, _) => of_store(error),
    }
}

/// Our own mistake: `why` is logged under a reference that the client gets.
pub fn internal(why: &str) -> Fault {
    let reference = uuid::Uuid::now_v7().to_string();
    tracing::error!(reference, why, "internal error");
    Fault::Internal { reference }
}
