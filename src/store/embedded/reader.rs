//! From async callers to a blocking file: at most a few at once, each on the blocking pool.

use crate::failure::Failure;
use crate::file::DbFile;
use aimg_store::StoreError;
use redb::{ReadTransaction, WriteTransaction};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What may be in the file at once. Those beyond it wait in turn; their number is their callers' business.
const AT_ONCE: usize = 16;

#[derive(Clone)]
pub struct Door {
    file: Arc<DbFile>,
    slots: Arc<Semaphore>,
}

impl Door {
    pub fn new(file: Arc<DbFile>) -> Door {
        Door {
            file,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    pub async fn read<T: Send + 'static>(&self, act: impl FnOnce(&ReadTransaction) -> Result<T, Failure> + Send + 'static) -> Result<T, StoreError> {
        self.enter(move |file| file.read(act)).await
    }

    pub async fn write<T: Send + 'static>(&self, act: impl FnOnce(&WriteTransaction) -> Result<T, Failure> + Send + 'static) -> Result<T, StoreError> {
        self.enter(move |file| file.write(act)).await
    }

    async fn enter<T: Send + 'static>(&self, act: impl FnOnce(&DbFile) -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
        let slot = self.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|_| StoreError::Unavailable("the store is closed".into()))?;
        let file = self.file.clone();
        // The slot goes with the work: a caller that gives up does not make room for a seventeenth.
        let work = tokio::task::spawn_blocking(move || {
            let outcome = act(&file);
            drop(slot);
            outcome
        });
        work.await.map_err(|_| StoreError::Unavailable("the store's work was broken off".into()))?
    }
}
