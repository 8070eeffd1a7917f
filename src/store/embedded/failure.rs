//! Errors inside a transaction: ours, or redb's.

use aimg_store::StoreError;

pub enum Failure {
    Store(StoreError),
    Redb(redb::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::Redb(error.into())
            }
        })*
    };
}

from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError
);

impl Failure {
    /// Whether the handle is of no use any more and the file must be opened again.
    pub fn ends_handle(&self) -> bool {
        use redb::Error as E;
        matches!(
            self,
            Failure::Redb(E::Io(_) | E::PreviousIo | E::DatabaseClosed | E::LockPoisoned(_) | E::Corrupted(_))
        )
    }

    pub fn into_store(self, file: &str) -> StoreError {
        use redb::Error as E;
        match self {
            Failure::Store(error) => error,
            Failure::Redb(E::Corrupted(detail)) => StoreError::Corrupt(format!("{file}: {detail}")),
            Failure::Redb(E::UpgradeRequired(format)) => StoreError::Corrupt(format!("{file}: redb file format {format} is not ours")),
            Failure::Redb(error @ (E::TableTypeMismatch { .. } | E::TableDoesNotExist(_))) => StoreError::Corrupt(format!("{file}: {error}")),
            Failure::Redb(error) => StoreError::Unavailable(format!("{file}: {error}")),
        }
    }
}
