//! The folder and its lock: one process a folder.

use aimg_store::StoreError;
use aimg_store::leases::{Lease, Leases};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Held by everything that is open in it; the lock goes with the last holder, also when the process dies.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    pub fn lock(path: &Path) -> Result<Folder, StoreError> {
        let failed = |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        make(path).map_err(failed)?;
        let path = fs::canonicalize(path).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let signed = (|| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        })();
        // The lock is what counts; the pid in it only makes the refusal of others readable (a full disk).
        if let Err(error) = signed {
            tracing::warn!(%error, "the lock file does not name this process");
        }
        Ok(Folder { path, lock: file })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn subfolder(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.path.join(name);
        make(&path).map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Folder {
    /// Said outright: a process that was forked but has not yet become another still shares the descriptor.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the folder's lock goes with the process");
        }
    }
}

/// What a folder holds is nobody else's business: recordings and call records.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn in_use(path: &Path, file: &mut File) -> StoreError {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    let owner = match text.trim() {
        pid if read.is_ok() && pid.parse::<u32>().is_ok() => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    StoreError::Unavailable(format!(
        "{} is in use by {owner}: a folder serves one node; stop that one or choose another folder",
        path.display()
    ))
}

/// The lone node owns its folder: whoever has it open may own every subject in it, each once.
pub struct FolderLeases {
    folder: Arc<Folder>,
    epoch: u64,
    given: Mutex<HashMap<String, Weak<Arc<Folder>>>>,
}

impl FolderLeases {
    pub fn new(folder: Arc<Folder>, epoch: u64) -> FolderLeases {
        FolderLeases {
            folder,
            epoch,
            given: Mutex::new(HashMap::new()),
        }
    }
}

#[async_trait]
impl Leases for FolderLeases {
    async fn acquire(&self, subject: &str) -> Result<Lease, StoreError> {
        let mut given = self.given.lock();
        given.retain(|_, guard| guard.strong_count() > 0);
        if given.contains_key(subject) {
            return Err(StoreError::Unavailable(format!("{subject} is owned within this process")));
        }
        let guard = Arc::new(self.folder.clone());
        given.insert(subject.to_owned(), Arc::downgrade(&guard));
        Ok(Lease::new(subject, self.epoch, guard))
    }

    /// For as long as it exists: the kernel frees the folder's lock only with the process.
    async fn holds(&self, lease: &Lease) -> Result<bool, StoreError> {
        let given = self.given.lock();
        let alive = given.get(&lease.subject).is_some_and(|guard| guard.strong_count() > 0);
        Ok(alive && lease.epoch == self.epoch)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_folder_is_refused_while_another_holder_has_it_and_the_refusal_names_the_process() {
        let data = tempfile::tempdir().unwrap();
        let first = Folder::lock(data.path()).unwrap();
        let refused = Folder::lock(data.path()).expect_err("held").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        Folder::lock(data.path()).unwrap();
    }

    #[tokio::test]
    async fn a_subject_is_leased_once_until_its_lease_is_dropped() {
        let data = tempfile::tempdir().unwrap();
        let leases = FolderLeases::new(Arc::new(Folder::lock(data.path()).unwrap()), 3);
        let lease = leases.acquire("node").await.unwrap();
        assert_eq!(lease.epoch, 3);
        assert!(leases.holds(&lease).await.unwrap());
        assert!(leases.acquire("node").await.is_err());
        drop(lease);
        assert!(leases.acquire("node").await.is_ok());
    }
}
