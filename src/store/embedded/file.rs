//! One redb file. redb gives a handle up after its first I/O error (a full disk); here the file is then opened
//! again at the next use, so that the store comes back when there is space.

use crate::failure::Failure;
use crate::schema::{self, Step};
use aimg_store::StoreError;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use std::path::{Path, PathBuf};

/// A row of a range: key and value.
pub type Row<'a> = Result<(AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>), redb::StorageError>;

pub struct DbFile {
    path: PathBuf,
    name: String,
    steps: &'static [Step],
    cache_bytes: usize,
    /// `None` after an I/O error, until the next use.
    db: RwLock<Option<Database>>,
}

impl DbFile {
    pub fn open(path: &Path, steps: &'static [Step], cache_bytes: usize) -> Result<DbFile, StoreError> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let file = DbFile {
            path: path.to_owned(),
            name,
            steps,
            cache_bytes,
            db: RwLock::new(None),
        };
        drop(file.handle()?);
        Ok(file)
    }

    /// Blocks on the disk.
    pub fn read<T>(&self, act: impl FnOnce(&ReadTransaction) -> Result<T, Failure>) -> Result<T, StoreError> {
        let handle = self.handle()?;
        let outcome = match handle.as_ref() {
            Some(db) => db.begin_read().map_err(Failure::from).and_then(|txn| act(&txn)),
            None => Err(self.closed()),
        };
        self.settle(handle, outcome)
    }

    /// Blocks on the disk and on the file's other writer. Durable when it returns `Ok`; nothing is stored when
    /// `act` fails; when the commit itself fails it is unknown until the file is read again.
    pub fn write<T>(&self, act: impl FnOnce(&WriteTransaction) -> Result<T, Failure>) -> Result<T, StoreError> {
        let handle = self.handle()?;
        let outcome = match handle.as_ref() {
            Some(db) => write_in(db, act),
            None => Err(self.closed()),
        };
        self.settle(handle, outcome)
    }

    fn handle(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, StoreError> {
        let handle = self.db.read();
        if handle.is_some() {
            return Ok(handle);
        }
        drop(handle);
        let mut slot = self.db.write();
        if slot.is_none() {
            *slot = Some(self.open_database().map_err(|failure| failure.into_store(&self.name))?);
        }
        Ok(RwLockWriteGuard::downgrade(slot))
    }

    fn open_database(&self) -> Result<Database, Failure> {
        let db = redb::Builder::new().set_cache_size(self.cache_bytes).create(&self.path)?;
        schema::migrate(&self.name, &db, self.steps)?;
        Ok(db)
    }

    fn settle<T>(&self, handle: RwLockReadGuard<'_, Option<Database>>, outcome: Result<T, Failure>) -> Result<T, StoreError> {
        drop(handle);
        outcome.map_err(|failure| {
            if failure.ends_handle() {
                tracing::error!(file = self.name, "an I/O error: the file will be opened again");
                *self.db.write() = None;
            }
            failure.into_store(&self.name)
        })
    }

    fn closed(&self) -> Failure {
        Failure::Store(StoreError::Unavailable(format!("{} is closed", self.name)))
    }
}

fn write_in<T>(db: &Database, act: impl FnOnce(&WriteTransaction) -> Result<T, Failure>) -> Result<T, Failure> {
    let txn = db.begin_write()?;
    match act(&txn) {
        Ok(value) => {
            txn.commit()?;
            Ok(value)
        }
        Err(failure) => {
            txn.abort()?;
            Err(failure)
        }
    }
}
