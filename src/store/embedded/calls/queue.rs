//! What waits for the committer. Bounded by bytes; overflow policy: refuse the newcomer.

use super::facts::Indexed;
use aimg_domain::{CallId, TenantId};
use aimg_store::StoreError;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// One commit, encoded by its caller so that the committer only inserts.
pub struct Work {
    pub tenant: TenantId,
    pub events: Vec<EventWork>,
    pub sessions: Vec<SessionWork>,
    pub bytes: usize,
    pub reply: oneshot::Sender<Result<Done, StoreError>>,
}

/// The event's call and its row.
pub type EventWork = (Option<CallId>, Vec<u8>);

pub struct SessionWork {
    pub call: CallId,
    pub indexed: Indexed,
    pub row: Vec<u8>,
}

/// The offset of the commit's first event, if it has one, and the head after it.
#[derive(Clone, Copy)]
pub struct Done {
    pub first: u64,
    pub head: aimg_domain::Position,
}

/// What one transaction takes at most.
const BATCH_BYTES: usize = 16 << 20;

pub struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Of what waits and of what is being committed.
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub fn new(bytes_max: usize) -> Queue {
        Queue {
            bytes_max,
            state: Mutex::new(State::default()),
            arrived: Condvar::new(),
        }
    }

    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    pub fn push(&self, work: Work) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        if state.bytes + work.bytes > self.bytes_max {
            return Err(StoreError::Unavailable(format!(
                "{} bytes wait for the disk, the bound is {}",
                state.bytes, self.bytes_max
            )));
        }
        state.bytes += work.bytes;
        state.waiting.push_back(work);
        self.arrived.notify_one();
        Ok(())
    }

    /// All that waits, at most a batch. `None` when the queue is closed and empty.
    pub fn take(&self) -> Option<Vec<Work>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            self.arrived.wait(&mut state);
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(work) = state.waiting.pop_front() {
            bytes += work.bytes;
            batch.push(work);
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        Some(batch)
    }

    /// A batch is settled: its room is free.
    pub fn release(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    pub fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }
}
