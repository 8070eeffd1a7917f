//! What waits for a lane. It outlives the lane's thread.

use crate::publication::{Publication, ReleaseOutcome};
use crate::shared::Shared;
use aimg_domain::Position;
use aimg_wire::close::CloseCode;
use aimg_wire::filter::Filter;
use aimg_wire::topic::Topic;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

pub(crate) enum Command {
    Publish(Arc<Publication>),
    Signal {
        topic: Topic,
        kind: Arc<str>,
        frame: Bytes,
    },
    Register(Arc<Shared>),
    ToSocket {
        socket: u64,
        what: ToSocket,
    },
    /// For tests of what a lane's death does.
    Panic,
}

pub(crate) enum ToSocket {
    Send {
        frames: Vec<Bytes>,
        drained: Option<oneshot::Sender<()>>,
    },
    Loose {
        frame: Vec<u8>,
        flag_at: usize,
        flag: u8,
    },
    Close {
        code: CloseCode,
        reason: String,
    },
    Attach(Attach),
    Release {
        topic: Topic,
        attachment: u64,
        through: Position,
        frames: Vec<Bytes>,
        outcome: oneshot::Sender<ReleaseOutcome>,
    },
    Detach {
        topic: Topic,
        attachment: u64,
        reply: Option<Bytes>,
    },
    Policy {
        revoked: Vec<Topic>,
        done: oneshot::Sender<()>,
    },
    Writable,
    /// Nobody holds the socket any more.
    Forget,
}

pub(crate) struct Attach {
    pub topic: Topic,
    pub attachment: u64,
    pub filter: Filter,
    pub signal_interval: Option<Duration>,
    /// The policy under which it was allowed.
    pub policy: u64,
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<Command>,
    /// Of publications and signals. Other commands are bounded by the connections' own mailboxes.
    bytes: usize,
    asleep: bool,
}

pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    awake: Condvar,
    bytes_max: usize,
    /// A publication was refused: subscribers of this lane have a gap.
    pub overrun: AtomicBool,
    /// The thread of this incarnation, and no other, may take from here.
    pub incarnation: AtomicU64,
    /// Raised each time the thread comes round.
    pub beat: AtomicU64,
}

impl Inbox {
    pub fn new(bytes_max: usize) -> Inbox {
        Inbox {
            waiting: Mutex::default(),
            awake: Condvar::new(),
            bytes_max,
            overrun: AtomicBool::new(false),
            incarnation: AtomicU64::new(0),
            beat: AtomicU64::new(0),
        }
    }

    pub fn push(&self, command: Command) {
        let mut waiting = self.waiting.lock();
        let bytes = command.bytes();
        if bytes > 0 && waiting.bytes + bytes > self.bytes_max {
            self.overrun.store(true, Ordering::Release);
        } else {
            waiting.bytes += bytes;
            waiting.commands.push_back(command);
        }
        let asleep = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if asleep {
            self.awake.notify_one();
        }
    }

    /// Waits until there is something, at most `timeout`; how much there is.
    pub fn wait(&self, timeout: Duration) -> usize {
        let mut waiting = self.waiting.lock();
        if waiting.commands.is_empty() && !self.overrun.load(Ordering::Acquire) {
            waiting.asleep = true;
            self.awake.wait_for(&mut waiting, timeout);
            waiting.asleep = false;
        }
        waiting.commands.len()
    }

    /// One at a time: should the lane die of it, what comes after is still here for its successor.
    pub fn pop(&self, incarnation: u64) -> Option<Command> {
        let mut waiting = self.waiting.lock();
        if self.incarnation.load(Ordering::Acquire) != incarnation {
            return None;
        }
        let command = waiting.commands.pop_front()?;
        waiting.bytes -= command.bytes();
        Some(command)
    }

    pub fn wake(&self) {
        self.waiting.lock().asleep = false;
        self.awake.notify_one();
    }

    /// Drops the publications that wait: their subscribers are about to be told that there is a gap.
    pub fn drop_publications(&self) {
        let mut waiting = self.waiting.lock();
        waiting
            .commands
            .retain(|command| !matches!(command, Command::Publish(_) | Command::Signal { .. }));
        waiting.bytes = 0;
        self.overrun.store(false, Ordering::Release);
    }
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Command::Publish(publication) => publication.frame.len(),
            Command::Signal { frame, .. } => frame.len(),
            _ => 0,
        }
    }
}
