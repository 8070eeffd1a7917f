//! A mailbox: bounded, counted, and alive while its actor is being restarted.

use crate::shell::Packet;
use parking_lot::Mutex;
use ractor::ActorRef;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What happens to a message that finds the mailbox full. Every refusal is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The sender is told.
    Refuse,
    /// The oldest waiting message makes room.
    DropOldest,
}

impl Overflow {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Overflow::Refuse => "refuse",
            Overflow::DropOldest => "drop_oldest",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Full,
    /// The actor is gone for good.
    Gone,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub received: AtomicU64,
    pub handled: AtomicU64,
    pub refused: AtomicU64,
    pub failed: AtomicU64,
    pub busy_us: AtomicU64,
    pub depth: AtomicU64,
    pub depth_max: AtomicU64,
}

impl Counters {
    pub fn done(&self, ok: bool, busy: Duration) {
        if ok { &self.handled } else { &self.failed }.fetch_add(1, Relaxed);
        self.busy_us.fetch_add(u64::try_from(busy.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

struct Inside<M> {
    waiting: VecDeque<M>,
    /// Whom to wake; `None` while down.
    runner: Option<ActorRef<Packet>>,
    closed: bool,
}

pub(crate) struct Queue<M> {
    inside: Mutex<Inside<M>>,
    /// A wake-up is on its way: the next sender need not send another.
    woken: AtomicBool,
    bound: usize,
    overflow: Overflow,
    pub counters: std::sync::Arc<Counters>,
}

impl<M> Queue<M> {
    pub fn new(bound: usize, overflow: Overflow) -> Queue<M> {
        let inside = Inside {
            waiting: VecDeque::new(),
            runner: None,
            closed: false,
        };
        Queue {
            inside: Mutex::new(inside),
            woken: AtomicBool::new(false),
            bound,
            overflow,
            counters: Default::default(),
        }
    }

    pub fn push(&self, message: M) -> Result<(), Refused> {
        let mut inside = self.inside.lock();
        if inside.closed {
            return Err(Refused::Gone);
        }
        let mut pushed_out = None;
        if inside.waiting.len() >= self.bound {
            self.counters.refused.fetch_add(1, Relaxed);
            match self.overflow {
                Overflow::Refuse => return Err(Refused::Full),
                Overflow::DropOldest => pushed_out = inside.waiting.pop_front(),
            }
        }
        inside.waiting.push_back(message);
        let depth = inside.waiting.len() as u64;
        self.counters.received.fetch_add(1, Relaxed);
        self.counters.depth.store(depth, Relaxed);
        self.counters.depth_max.fetch_max(depth, Relaxed);
        self.wake(&inside);
        drop(inside);
        drop(pushed_out);
        Ok(())
    }

    fn wake(&self, inside: &Inside<M>) {
        if let Some(runner) = &inside.runner
            && !self.woken.swap(true, Relaxed)
        {
            // A runner that cannot be reached is dying: its successor is woken when it takes the queue.
            let _ = runner.cast(Packet::Wake);
        }
    }

    /// The actor (again) reads from here.
    pub fn attach(&self, runner: ActorRef<Packet>) {
        let mut inside = self.inside.lock();
        inside.runner = Some(runner);
        self.woken.store(false, Relaxed);
        if !inside.waiting.is_empty() {
            self.wake(&inside);
        }
    }

    pub fn detach(&self) {
        self.inside.lock().runner = None;
    }

    pub fn pop(&self) -> Option<M> {
        let mut inside = self.inside.lock();
        let message = inside.waiting.pop_front();
        self.counters.depth.store(inside.waiting.len() as u64, Relaxed);
        if message.is_none() {
            self.woken.store(false, Relaxed);
        }
        message
    }

    /// Gone for good: what waited is dropped, and with it the reply ports inside.
    pub fn close(&self) {
        let mut inside = self.inside.lock();
        inside.closed = true;
        inside.runner = None;
        let dropped = std::mem::take(&mut inside.waiting);
        self.counters.depth.store(0, Relaxed);
        drop(inside);
        drop(dropped);
    }

    pub fn is_closed(&self) -> bool {
        self.inside.lock().closed
    }

    pub fn runner(&self) -> Option<ActorRef<Packet>> {
        self.inside.lock().runner.clone()
    }

    pub fn bound(&self) -> usize {
        self.bound
    }

    pub fn overflow(&self) -> Overflow {
        self.overflow
    }
}
