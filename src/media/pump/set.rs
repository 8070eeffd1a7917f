//! All pumps of a node, and which stream is where.

mod ports;
mod streams;

use crate::batch::canonical;
use crate::error::PumpError;
use crate::lease::StreamLease;
use crate::pump::Worker;
use crate::slot::StreamKey;
use crate::snapshot::{PumpStats, Stranger};
use aimg_domain::pbx::{MediaPorts, TapFormat};
use aimg_domain::{CallId, Clock, PbxId, TrackId};
use parking_lot::Mutex;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use streams::State;

#[derive(Clone, Debug)]
pub struct PumpConfig {
    pub bind: IpAddr,
    /// From which sockets take their ports, lowest free first.
    pub ports: RangeInclusive<u16>,
    pub threads: usize,
    pub tick: Duration,
    /// How long a missing packet is waited for; also the listener's buffer that quality supposes.
    pub jitter_delay: Duration,
    /// Frames a stream keeps for its readers.
    pub ring_frames: usize,
    /// How long a closed stream may be taken back.
    pub rest: Duration,
    /// A pump thread that shows no life for so long is replaced.
    pub silent_after: Duration,
    /// Sockets without streams are closed after this.
    pub socket_idle: Duration,
}

impl PumpConfig {
    pub fn new(bind: IpAddr, ports: RangeInclusive<u16>) -> PumpConfig {
        PumpConfig {
            bind,
            ports,
            threads: 1,
            tick: Duration::from_millis(2),
            jitter_delay: Duration::from_millis(60),
            ring_frames: aimg_media::ring::DEFAULT_FRAMES,
            rest: Duration::from_secs(2),
            silent_after: Duration::from_secs(1),
            socket_idle: Duration::from_secs(120),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct StreamSpec {
    pub pbx: PbxId,
    pub call: CallId,
    pub track: TrackId,
    /// Sets the rate of the frames, whatever arrives.
    pub format: TapFormat,
    pub ports: MediaPorts,
    /// The port of a tap that was adopted. Only the port counts: the address is the configured one.
    pub want_local: Option<SocketAddr>,
}

/// A pump thread that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub thread: usize,
    /// Of the successor.
    pub generation: u64,
    pub silent_for: Duration,
}

/// What became of a stored port.
#[derive(Debug)]
pub struct Rebound {
    pub pbx: PbxId,
    pub address: SocketAddr,
    pub result: Result<(), PumpError>,
}

/// Made once, at boot.
pub struct PumpSet {
    config: PumpConfig,
    clock: Arc<dyn Clock>,
    workers: Vec<Arc<Worker>>,
    state: Mutex<State>,
    replaced: AtomicU64,
}

impl PumpSet {
    pub fn start(config: PumpConfig, clock: Arc<dyn Clock>) -> io::Result<Arc<PumpSet>> {
        let workers: Vec<_> = (0..config.threads.clamp(1, 64)).map(Worker::new).collect();
        for worker in &workers {
            worker.start(clock.clone(), config.tick)?;
        }
        Ok(Arc::new(PumpSet {
            config,
            clock,
            workers,
            state: Mutex::new(State::default()),
            replaced: AtomicU64::new(0),
        }))
    }

    /// A stream of its own, or the resting (or still leased) one of the same call and track: the newest lease holds it.
    pub fn open(self: &Arc<Self>, spec: StreamSpec) -> Result<StreamLease, PumpError> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        state.expire(now);
        let (key, number) = match state.take_back(&spec) {
            Some(taken) => taken,
            None => {
                let socket = self.socket_for(&mut state, &spec, now)?;
                state.add(&spec, socket, self.stream_config(&spec), self.config.ring_frames, now)
            }
        };
        let Some(stream) = state.stream(&key) else { return Err(PumpError::Gone) };
        Ok(StreamLease::new(self.clone(), number, stream.slot.clone(), stream.socket.local))
    }

    pub(crate) fn expect_from(&self, key: &StreamKey, lease: u64, source: SocketAddr) -> Result<(), PumpError> {
        let mut state = self.state.lock();
        state.expire(self.clock.monotonic());
        state.expect_from(key, lease, canonical(source))
    }

    pub(crate) fn release(&self, key: &StreamKey, lease: u64) {
        self.state.lock().rest(key, lease, self.clock.monotonic() + self.config.rest);
    }

    /// Binds stored ports, before ARI connects. A socket that nobody then opens a stream on is closed when idle.
    pub fn rebind(&self, addresses: &[(PbxId, SocketAddr)]) -> Vec<Rebound> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        addresses
            .iter()
            .map(|&(pbx, address)| Rebound {
                pbx,
                address,
                result: self.bind_again(&mut state, pbx, address, false, now).map(|_| ()),
            })
            .collect()
    }

    /// Ends rests and closes idle sockets; replaces pump threads that went silent. To be called a few times a second.
    pub fn check(&self, now: Duration) -> Vec<Replaced> {
        self.housekeep(now);
        let mut replaced = Vec::new();
        for worker in &self.workers {
            let silent_for = worker.silent_for(now);
            if silent_for < self.config.silent_after {
                continue;
            }
            match worker.start(self.clock.clone(), self.config.tick) {
                Ok(generation) => {
                    tracing::error!(
                        thread = worker.index,
                        generation,
                        silent_for_ms = silent_for.as_millis() as u64,
                        "a media pump went silent and was replaced"
                    );
                    self.replaced.fetch_add(1, Ordering::Relaxed);
                    replaced.push(Replaced {
                        thread: worker.index,
                        generation,
                        silent_for,
                    });
                }
                Err(error) => tracing::error!(thread = worker.index, %error, "a media pump went silent and cannot be replaced"),
            }
        }
        replaced
    }

    pub fn stats(&self) -> PumpStats {
        let state = self.state.lock();
        let sockets: Vec<_> = state.sockets().map(|socket| socket.stats()).collect();
        let (streams, resting) = state.counted();
        PumpStats {
            threads: self.workers.len(),
            streams,
            resting,
            packets: sockets.iter().map(|socket| socket.packets).sum(),
            unknown: sockets.iter().map(|socket| socket.unknown).sum(),
            failed: self.workers.iter().map(|worker| worker.failed_streams.load(Ordering::Relaxed)).sum(),
            replaced: self.replaced.load(Ordering::Relaxed),
            busy: self.workers.iter().map(|worker| worker.busy()).sum(),
            sockets,
        }
    }

    /// Sources from which a PBX's sockets heard something that no stream waits for: where packets really come from.
    pub fn strangers(&self, pbx: PbxId) -> Vec<(SocketAddr, Stranger)> {
        let state = self.state.lock();
        state
            .sockets()
            .filter(|socket| socket.pbx == pbx)
            .flat_map(|socket| socket.strangers().into_iter().map(|stranger| (socket.local, stranger)))
            .collect()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Ends the threads and all rings. Leases that are still held see `Closed`.
    pub fn stop(&self) {
        self.workers.iter().for_each(|worker| worker.stop());
        self.state.lock().close_all();
    }
}

impl Drop for PumpSet {
    fn drop(&mut self) {
        self.stop();
    }
}
