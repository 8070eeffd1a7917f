//! The thread: drain, hand to slots, prove to be alive, sleep until the next tick.

use crate::batch::{BATCH, Batch};
use crate::slot::{CARE_EVERY, Slot, Visit, Visited};
use crate::socket::MediaSocket;
use aimg_domain::Clock;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// System calls a socket and tick: a flooded socket must not starve the others.
const ROUNDS_MAX: usize = 32;
/// Sleep of a pump that has no sockets.
const IDLE: Duration = Duration::from_millis(50);

/// One place for a thread. What it works on lies here, so that a successor finds it.
pub(crate) struct Worker {
    pub(crate) index: usize,
    /// Of the thread that may work. An older one ends as soon as it looks.
    generation: AtomicU64,
    pub(crate) sockets: ArcSwap<Vec<Arc<MediaSocket>>>,
    heartbeat_micros: AtomicU64,
    busy_micros: AtomicU64,
    pub(crate) failed_streams: AtomicU64,
    stopped: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Worker {
    pub(crate) fn new(index: usize) -> Arc<Worker> {
        Arc::new(Worker {
            index,
            generation: AtomicU64::new(0),
            sockets: ArcSwap::from_pointee(Vec::new()),
            heartbeat_micros: AtomicU64::new(0),
            busy_micros: AtomicU64::new(0),
            failed_streams: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            thread: Mutex::new(None),
        })
    }

    /// Starts a thread that works from now on instead of the one before, if there is one.
    pub(crate) fn start(self: &Arc<Self>, clock: Arc<dyn Clock>, tick: Duration) -> io::Result<u64> {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.beat(clock.monotonic());
        let worker = self.clone();
        let handle = thread::Builder::new()
            .name(format!("media-{}.{generation}", self.index))
            .spawn(move || Pump::new(worker, generation, clock, tick).run())?;
        *self.thread.lock() = Some(handle.thread().clone());
        Ok(generation)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends the sleep of an idle pump.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }

    fn beat(&self, now: Duration) {
        self.heartbeat_micros.store(micros(now), Ordering::Release);
    }

    pub(crate) fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_micros(self.heartbeat_micros.load(Ordering::Acquire)))
    }

    pub(crate) fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_micros.load(Ordering::Relaxed))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

struct Pump {
    worker: Arc<Worker>,
    generation: u64,
    clock: Arc<dyn Clock>,
    tick: Duration,
    batch: Batch,
    /// Streams with a hole to be given up soon.
    holding: Vec<Arc<Slot>>,
    cared_at: Duration,
}

/// A newer generation is at work.
struct Replaced;

impl Pump {
    fn new(worker: Arc<Worker>, generation: u64, clock: Arc<dyn Clock>, tick: Duration) -> Pump {
        Pump {
            worker,
            generation,
            clock,
            tick,
            batch: Batch::new(),
            holding: Vec::new(),
            cared_at: Duration::ZERO,
        }
    }

    fn run(mut self) {
        while !self.worker.stopped.load(Ordering::Acquire) {
            let began = self.clock.monotonic();
            if self.worker.generation.load(Ordering::Acquire) != self.generation {
                break;
            }
            self.worker.beat(began);
            let sockets = self.worker.sockets.load_full();
            if self.round(&sockets, began).is_err() {
                break;
            }
            let took = self.clock.monotonic().saturating_sub(began);
            self.worker.busy_micros.fetch_add(micros(took), Ordering::Relaxed);
            if sockets.is_empty() {
                thread::park_timeout(IDLE)
            } else {
                thread::sleep(self.tick.saturating_sub(took))
            }
        }
        tracing::debug!(thread = self.worker.index, generation = self.generation, "media pump ended");
    }

    fn round(&mut self, sockets: &[Arc<MediaSocket>], now: Duration) -> Result<(), Replaced> {
        for socket in sockets {
            self.drain(socket)?;
        }
        for slot in std::mem::take(&mut self.holding) {
            self.care(&slot, now)?;
        }
        if now.saturating_sub(self.cared_at) >= CARE_EVERY {
            self.cared_at = now;
            for socket in sockets {
                for slot in &socket.table().slots {
                    self.care(slot, now)?;
                }
            }
        }
        Ok(())
    }

    fn drain(&mut self, socket: &MediaSocket) -> Result<(), Replaced> {
        for _ in 0..ROUNDS_MAX {
            let count = match self.batch.receive(socket.fd()) {
                Ok(count) => count,
                Err(_) => {
                    socket.count_error();
                    0
                }
            };
            if count == 0 {
                break;
            }
            let now = self.clock.monotonic();
            self.worker.beat(now);
            self.hand_out(socket, count, now)?;
            if count < BATCH {
                break;
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, socket: &MediaSocket, count: usize, now: Duration) -> Result<(), Replaced> {
        socket.count(count);
        let table = socket.table();
        let visit = Visit {
            generation: self.generation,
            now,
            clock: &*self.clock,
        };
        for i in 0..count {
            let Some((source, datagram)) = self.batch.datagram(i) else {
                socket.count_unusable();
                continue;
            };
            let Some(slot) = socket.route(&table, source) else {
                socket.count_stranger(source, now);
                continue;
            };
            let failed_before = slot.has_failed();
            match slot.packet(datagram, &visit) {
                Visited::Done { holding: false } => {}
                Visited::Done { holding: true } => remember(&mut self.holding, slot),
                Visited::Refused => return Err(Replaced),
                Visited::Failed => {
                    self.worker.failed_streams.fetch_add(u64::from(!failed_before), Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    fn care(&mut self, slot: &Arc<Slot>, now: Duration) -> Result<(), Replaced> {
        match slot.care(&Visit {
            generation: self.generation,
            now,
            clock: &*self.clock,
        }) {
            Visited::Done { holding: true } => remember(&mut self.holding, slot),
            Visited::Refused => return Err(Replaced),
            _ => {}
        }
        Ok(())
    }
}

fn remember(holding: &mut Vec<Arc<Slot>>, slot: &Arc<Slot>) {
    if !holding.iter().any(|known| Arc::ptr_eq(known, slot)) {
        holding.push(slot.clone());
    }
}
