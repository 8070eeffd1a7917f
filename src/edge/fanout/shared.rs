//! What is known of a socket outside its lane: enough to go on when the lane's thread dies.

use crate::stats::{Counters, count};
use aimg_wire::topic::Topic;
use parking_lot::{Mutex, RwLock};
use socket2::SockRef;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// What a lane tells whoever registered a socket. Called on the lane's thread: hand it on, do not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneEvent {
    /// Nothing more is written. `None`: the socket broke, or its lane died inside a frame.
    Closed { code: Option<u16> },
    /// The lane was replaced or revoked these: the client was told to subscribe again.
    Lost { topics: Vec<Topic> },
}

pub type LaneListener = Arc<dyn Fn(LaneEvent) + Send + Sync>;

pub(crate) struct Shared {
    pub id: u64,
    pub lane: usize,
    pub stream: Arc<TcpStream>,
    pub listener: LaneListener,
    /// Topic to attachment. Whoever removes one lowers the interest with it.
    pub attached: Mutex<HashMap<Topic, u64>>,
    pub writer: Mutex<Writer>,
    /// Nothing waits to be written to it.
    pub clean: AtomicBool,
    /// Attachments of a lower version are not taken.
    pub policy: AtomicU64,
}

/// The right to write, and whether the last write ended inside a frame.
pub(crate) struct Writer {
    pub incarnation: u64,
    pub mid_frame: bool,
}

pub(crate) enum Wrote {
    Bytes(usize),
    Blocked,
    Broken,
    /// Another incarnation of the lane writes this socket now.
    Retired,
}

impl Shared {
    /// Writes chunks, each of whole frames. `begun`: bytes of the first chunk that were written before.
    pub fn write(&self, incarnation: u64, chunks: &[IoSlice<'_>]) -> Wrote {
        let mut writer = self.writer.lock();
        if writer.incarnation != incarnation {
            return Wrote::Retired;
        }
        let outcome = match chunks {
            [one] => self.stream.try_write(one),
            several => self.stream.try_write_vectored(several),
        };
        match outcome {
            Ok(0) => Wrote::Broken,
            Ok(written) => {
                let mut ends = chunks.iter().scan(0, |end, chunk| {
                    *end += chunk.len();
                    Some(*end)
                });
                writer.mid_frame = !ends.any(|end| end == written);
                Wrote::Bytes(written)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Wrote::Blocked,
            Err(_) => Wrote::Broken,
        }
    }

    pub fn shutdown(&self, how: Shutdown) {
        // It may be closed already.
        let _ = SockRef::from(&*self.stream).shutdown(how);
    }

    /// Takes the socket over for a new incarnation; false when it cannot go on: inside a frame, something not written, or the
    /// old thread hangs in a write.
    pub fn take_over(&self, incarnation: u64) -> bool {
        let Some(mut writer) = self.writer.try_lock_for(Duration::from_millis(50)) else {
            return false;
        };
        writer.incarnation = incarnation;
        !writer.mid_frame && self.clean.load(Ordering::Acquire)
    }
}

/// Which lanes have subscribers of a topic: how many each.
pub(crate) struct Interest {
    lanes: usize,
    counts: RwLock<HashMap<Topic, Vec<u32>>>,
}

impl Interest {
    pub fn new(lanes: usize) -> Interest {
        Interest {
            lanes,
            counts: RwLock::default(),
        }
    }

    pub fn raise(&self, topic: Topic, lane: usize) {
        let mut counts = self.counts.write();
        counts.entry(topic).or_insert_with(|| vec![0; self.lanes])[lane] += 1;
    }

    fn lower(&self, topic: Topic, lane: usize) {
        let mut counts = self.counts.write();
        if let Some(lanes) = counts.get_mut(&topic) {
            lanes[lane] = lanes[lane].saturating_sub(1);
            if lanes.iter().all(|&count| count == 0) {
                counts.remove(&topic);
            }
        }
    }

    pub fn any(&self, topic: &Topic) -> bool {
        self.counts.read().contains_key(topic)
    }

    pub fn for_each(&self, topic: &Topic, mut to: impl FnMut(usize)) {
        if let Some(lanes) = self.counts.read().get(topic) {
            lanes.iter().enumerate().filter(|(_, count)| **count > 0).for_each(|(lane, _)| to(lane));
        }
    }

    /// True if exactly this attachment was still there.
    pub fn unsubscribe(&self, shared: &Shared, topic: Topic, attachment: u64) -> bool {
        let mut attached = shared.attached.lock();
        if attached.get(&topic) != Some(&attachment) {
            return false;
        }
        attached.remove(&topic);
        self.lower(topic, shared.lane);
        true
    }

    pub fn unsubscribe_all(&self, shared: &Shared) -> Vec<Topic> {
        let topics: Vec<Topic> = shared.attached.lock().drain().map(|(topic, _)| topic).collect();
        topics.iter().for_each(|topic| self.lower(*topic, shared.lane));
        topics
    }
}

/// Every socket, by id: what a new incarnation of a lane takes over.
#[derive(Default)]
pub(crate) struct Registry {
    pub sockets: Mutex<HashMap<u64, Arc<Shared>>>,
}

impl Registry {
    /// True the first time.
    pub fn remove(&self, shared: &Shared, counters: &Counters) -> bool {
        let removed = self.sockets.lock().remove(&shared.id).is_some();
        if removed {
            counters.sockets.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }

    pub fn insert(&self, shared: Arc<Shared>, counters: &Counters) {
        count(&counters.sockets, 1);
        self.sockets.lock().insert(shared.id, shared);
    }

    pub fn of_lane(&self, lane: usize) -> Vec<Arc<Shared>> {
        self.sockets.lock().values().filter(|shared| shared.lane == lane).cloned().collect()
    }
}
