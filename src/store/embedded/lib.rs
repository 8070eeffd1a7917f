//! The embedded store: every port of a lone node on one folder, `DATA/{lock, keys/, calls.redb, records.redb,
//! series.redb, open/, blobs/}`.
//!
//! Three redb files, because a bulk writer delays the commits of its own file only. Blocking work runs on
//! threads of its own or on the blocking pool, never on a worker of the runtime. This crate must never know
//! what a session or an event means, only by which keys it is found.

mod calls;
mod failure;
mod file;
mod folder;
mod keys;
mod reader;
mod records;
mod schema;
mod series;

use aimg_domain::Clock;
use aimg_store::StoreError;
use aimg_store::blobs::ObjectStore;
use aimg_store::blobs::object_store::local::LocalFileSystem;
use aimg_store::journal::Journal;
use aimg_store::leases::Leases;
use aimg_store::memory::MemoryShared;
use aimg_store::records::Records;
use aimg_store::repo::Repos;
use aimg_store::retention::Retention;
use aimg_store::secrets::Keyring;
use aimg_store::series::Series;
use aimg_store::sessions::Sessions;
use aimg_store::shared::Shared;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use calls::Calls;
use folder::{Folder, FolderLeases};
use records::EmbeddedRecords;
use series::EmbeddedSeries;

#[derive(Clone)]
pub struct Options {
    /// The node's name: it stands in every event.
    pub node: String,
    pub clock: Arc<dyn Clock>,
    /// Bytes that may wait for the committer; beyond it commits are refused with `Unavailable`.
    pub commit_queue_bytes: usize,
    /// Entries of the `Shared` port in memory.
    pub shared_entries: usize,
}

impl Options {
    pub fn new(node: impl Into<String>, clock: Arc<dyn Clock>) -> Options {
        Options {
            node: node.into(),
            clock,
            commit_queue_bytes: 64 << 20,
            shared_entries: 100_000,
        }
    }
}

/// Every port of one folder. Clones share it; the folder is free for another process when the last is dropped.
#[derive(Clone)]
pub struct Embedded {
    pub records: Arc<dyn Records>,
    pub journal: Arc<dyn Journal>,
    pub sessions: Arc<dyn Sessions>,
    pub retention: Arc<dyn Retention>,
    pub series: Arc<dyn Series>,
    pub shared: Arc<dyn Shared>,
    pub leases: Arc<dyn Leases>,
    pub blobs: Arc<dyn ObjectStore>,
    pub keyring: Arc<Keyring>,
    pub repos: Repos,
    /// `DATA/open`: where open segments of recordings are written.
    pub open_folder: PathBuf,
    calls: Arc<Calls>,
}

impl Embedded {
    /// Blocks while it creates, repairs or migrates: call it before serving, or on a blocking thread.
    /// `Unavailable` when another process has the folder, `Corrupt` when a newer aimg wrote it.
    pub fn open(data: &Path, options: Options) -> Result<Embedded, StoreError> {
        let folder = Arc::new(Folder::lock(data)?);
        let keyring = Arc::new(Keyring::open(&data.join("keys"))?);
        let open_folder = folder.subfolder("open")?;
        let blobs_folder = folder.subfolder("blobs")?;
        let blobs = LocalFileSystem::new_with_prefix(&blobs_folder)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", blobs_folder.display())))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        let calls = Arc::new(Calls::open(&folder, &options)?);
        let records: Arc<dyn Records> = Arc::new(EmbeddedRecords::open(&folder)?);
        let epoch = Journal::epoch(calls.as_ref());
        Ok(Embedded {
            repos: Repos::new(records.clone(), keyring.clone()),
            records,
            journal: calls.clone(),
            sessions: calls.clone(),
            retention: calls.clone(),
            series: Arc::new(EmbeddedSeries::open(&folder)?),
            shared: Arc::new(MemoryShared::new(options.clock, options.shared_entries)),
            leases: Arc::new(FolderLeases::new(folder, epoch)),
            blobs: Arc::new(blobs),
            keyring,
            open_folder,
            calls,
        })
    }

    /// What waits for the committer now, in bytes.
    pub fn commit_queue_bytes(&self) -> usize {
        self.calls.queue_bytes()
    }

    /// Commits what waits and refuses what comes after. Blocks until the last commit is on the disk.
    pub fn close(&self) {
        self.calls.close();
    }
}
