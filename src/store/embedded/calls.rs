//! `Journal`, `Sessions` and `Retention` in `calls.redb`: one file, one transaction for an event and the session
//! it changes, one committer for all tenants.

mod committer;
mod cuts;
mod facts;
mod forget;
mod journal;
mod queue;
mod rows;
mod scan;
mod sessions;
mod tables;

use crate::Options;
use crate::failure::Failure;
use crate::file::DbFile;
use crate::folder::Folder;
use crate::reader::Door;
use crate::schema::{META, Step};
use aimg_store::StoreError;
use parking_lot::Mutex;
use queue::Queue;
use redb::ReadableTable;
use std::sync::Arc;
use std::thread::JoinHandle;

const STEPS: &[Step] = &[tables::create];
const CACHE_BYTES: usize = 128 << 20;
const EPOCH: &str = "epoch";

pub struct Calls {
    door: Door,
    queue: Arc<Queue>,
    epoch: u64,
    node: String,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// Held so that nobody else opens the folder while this lives.
    _folder: Arc<Folder>,
}

impl Calls {
    pub fn open(folder: &Arc<Folder>, options: &Options) -> Result<Calls, StoreError> {
        let file = Arc::new(DbFile::open(&folder.file("calls.redb"), STEPS, CACHE_BYTES)?);
        let epoch = file.write(raise_epoch)?;
        let queue = Arc::new(Queue::new(options.commit_queue_bytes));
        let committer = committer::start(file.clone(), queue.clone(), epoch)?;
        Ok(Calls {
            door: Door::new(file),
            queue,
            epoch,
            node: options.node.clone(),
            committer: Mutex::new(Some(committer)),
            _folder: folder.clone(),
        })
    }

    pub fn queue_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// What waits is committed, what comes after is refused.
    pub fn close(&self) {
        self.queue.close();
        if let Some(committer) = self.committer.lock().take()
            && committer.join().is_err()
        {
            tracing::error!("the committer panicked");
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.close();
    }
}

/// A new start is a new owner: its epoch is above every one before, whether that one wrote or not.
fn raise_epoch(txn: &redb::WriteTransaction) -> Result<u64, Failure> {
    let mut meta = txn.open_table(META)?;
    let epoch = meta.get(EPOCH)?.map_or(0, |epoch| epoch.value()) + 1;
    meta.insert(EPOCH, epoch)?;
    Ok(epoch)
}

fn corrupt(what: &str) -> Failure {
    Failure::Store(StoreError::Corrupt(format!("calls.redb: {what}")))
}
