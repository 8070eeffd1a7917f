//! Starting, steering and stopping a simulator: the part with a clock.

use crate::audio::voice::Voice;
use crate::clock::{SimTime, WallClock};
use crate::config::{Impairment, SimConfig};
use crate::gate::{Gate, Run};
use crate::rtp::sender::{self, Board};
use crate::rtp::{MediaCommand, StreamInfo};
use crate::script::{CallId, CallScript, CallView, PlaceError, Side};
use crate::switch::Switch;
use crate::{ami, ari};
use aimg_domain::track::TrackId;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A second's worth of a busy PBX; beyond it commands are lost and said so.
const MEDIA_QUEUE: usize = 65_536;

/// One boot of the PBX, as its servers see it.
pub(crate) struct Shared {
    pub(crate) config: Arc<SimConfig>,
    pub(crate) gate: Arc<Gate>,
    switch: Mutex<Switch>,
    media: mpsc::SyncSender<MediaCommand>,
    board: Arc<Board>,
    clock: WallClock,
    wake: Notify,
}

impl Shared {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Switch) -> T) -> T {
        self.with_media(|switch, _| act(switch))
    }

    /// Lets `act` at the switch, up to date; media commands leave in order, those of `act` before the switch's own.
    pub(crate) fn with_media<T>(&self, act: impl FnOnce(&mut Switch, &mut dyn FnMut(MediaCommand)) -> T) -> T {
        let mut switch = self.switch.lock();
        switch.run_until(self.clock.now());
        let due = switch.next_due();
        let mut opened = Vec::new();
        let done = act(&mut switch, &mut |command| opened.push(command));
        for command in opened.into_iter().chain(std::mem::take(&mut switch.media)) {
            if self.media.try_send(command).is_err() && self.gate.run() != Run::Dead {
                tracing::warn!("the RTP sender does not keep up: a media command was dropped");
            }
        }
        let changed = switch.next_due() != due;
        drop(switch);
        if changed {
            self.wake.notify_one();
        }
        done
    }
}

/// Fires the switch's timers when they are due.
async fn drive(shared: Arc<Shared>) {
    loop {
        shared.gate.until(Run::Running).await;
        if shared.gate.run() == Run::Dead {
            return;
        }
        let due = shared.with(|switch| switch.next_due());
        let pause = due.map_or(Duration::from_secs(3600), |due| due.since(shared.clock.now()));
        tokio::select! {
            () = tokio::time::sleep(pause.max(Duration::from_millis(1))) => {}
            () = shared.wake.notified() => {}
            () = shared.gate.until(Run::Frozen) => {}
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimStats {
    pub calls_up: usize,
    pub calls_placed: u64,
    pub calls_answered: u64,
    pub calls_ended: u64,
    pub channels: usize,
    pub bridges: usize,
    pub managers: usize,
    pub apps_connected: usize,
    pub ami_events: u64,
    pub ari_events: u64,
    pub streams: usize,
}

/// Where simulators come from.
pub struct Simulator;

impl Simulator {
    /// Binds, starts the servers and, if the configuration says so, the calls.
    pub async fn start(config: SimConfig) -> io::Result<SimHandle> {
        let config = Arc::new(config);
        let clock = WallClock::start();
        let (shared, ami_addr, ari_addr) = boot(&config, config.ami_bind, config.ari_bind, clock).await?;
        Ok(SimHandle {
            config,
            ami_addr,
            ari_addr,
            ari_url: format!("http://{ari_addr}/ari"),
            clock,
            shared: Mutex::new(shared),
        })
    }
}

async fn boot(config: &Arc<SimConfig>, ami_bind: SocketAddr, ari_bind: SocketAddr, clock: WallClock) -> io::Result<(Arc<Shared>, SocketAddr, SocketAddr)> {
    let (ami, ari) = (TcpListener::bind(ami_bind).await?, TcpListener::bind(ari_bind).await?);
    let (ami_addr, ari_addr) = (ami.local_addr()?, ari.local_addr()?);
    let (media, commands) = mpsc::sync_channel(MEDIA_QUEUE);
    let board = Arc::new(Board::default());
    *board.impairment.lock() = config.impairment;
    let gate = Gate::new();
    let shared = Arc::new(Shared {
        config: Arc::clone(config),
        gate: Arc::clone(&gate),
        switch: Mutex::new(Switch::new(Arc::clone(config), clock.now())),
        media,
        board: Arc::clone(&board),
        clock,
        wake: Notify::new(),
    });
    let seed = config.seed;
    std::thread::Builder::new()
        .name("sim-rtp".to_owned())
        .spawn(move || sender::run(&commands, &gate, board, seed, clock))?;
    tokio::spawn(ami::server::serve(ami, Arc::clone(&shared)));
    tokio::spawn(ari::server::serve(ari, Arc::clone(&shared)));
    tokio::spawn(drive(Arc::clone(&shared)));
    Ok((shared, ami_addr, ari_addr))
}

/// A running simulator. Dropping it ends it.
pub struct SimHandle {
    pub config: Arc<SimConfig>,
    pub ami_addr: SocketAddr,
    pub ari_addr: SocketAddr,
    /// `http://127.0.0.1:port/ari`
    pub ari_url: String,
    clock: WallClock,
    shared: Mutex<Arc<Shared>>,
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl SimHandle {
    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared.lock())
    }

    pub fn now(&self) -> SimTime {
        self.clock.now()
    }

    pub fn stats(&self) -> SimStats {
        let shared = self.shared();
        let streams = shared.board.infos.lock().len();
        shared.with(|switch| SimStats {
            calls_up: switch.calls.len(),
            calls_placed: switch.counts.calls_placed,
            calls_answered: switch.counts.calls_answered,
            calls_ended: switch.counts.calls_ended,
            channels: switch.channels.len(),
            bridges: switch.bridges.len(),
            managers: switch.managers.values().filter(|manager| manager.user.is_some()).count(),
            apps_connected: switch.apps.values().filter(|app| app.socket.is_some()).count(),
            ami_events: switch.counts.ami_events,
            ari_events: switch.counts.ari_events,
            streams,
        })
    }

    /// Places one call exactly as scripted; its first events are out when this returns.
    pub fn place_call(&self, script: CallScript) -> Result<CallView, PlaceError> {
        let shared = self.shared();
        if shared.gate.run() == Run::Dead {
            return Err(PlaceError::Down);
        }
        // A call that an absent Stasis application killed at once has nothing to show.
        shared.with(|switch| switch.place(script, false).and_then(|call| switch.view(call).ok_or(PlaceError::Down)))
    }

    /// `None` once the call is over.
    pub fn call(&self, call: CallId) -> Option<CallView> {
        self.shared().with(|switch| switch.view(call))
    }

    pub fn calls(&self) -> Vec<CallView> {
        self.shared().with(|switch| switch.calls.keys().filter_map(|call| switch.view(*call)).collect())
    }

    /// A party hangs up. False if there is no such call.
    pub fn hangup(&self, call: CallId, side: Side) -> bool {
        self.shared().with(|switch| switch.party_hangs_up(call, side))
    }

    /// A party presses a key for 140 ms.
    pub fn press(&self, call: CallId, side: Side, digit: char) -> bool {
        self.shared().with(|switch| match switch.leg(call, side) {
            Some(id) => {
                switch.digit_down(&id, digit, true, Duration::from_millis(140));
                true
            }
            None => false,
        })
    }

    /// From now on this party is (or is again not) unheard: taps of it send nothing.
    pub fn set_silent(&self, call: CallId, side: Side, silent: bool) -> bool {
        self.shared().with(|switch| switch.set_silent(call, side, silent))
    }

    pub fn set_impairment(&self, impairment: Impairment) {
        *self.shared().board.impairment.lock() = impairment;
    }

    /// What a party says, 16 kHz, counted from the moment the call was placed; known for the last few thousand calls.
    /// RTP frames start within 20 ms of it, on a border of 320 samples.
    pub fn reference(&self, call: CallId, track: TrackId, from_sample: u64, samples: usize) -> Option<Vec<i16>> {
        let voices: [Voice; 2] = self.shared().with(|switch| switch.voices(call))?;
        let mut out = vec![0i16; samples];
        if track != TrackId::Callee {
            voices[0].mix_into(from_sample, &mut out);
        }
        if track != TrackId::Caller {
            voices[1].mix_into(from_sample, &mut out);
        }
        Some(out)
    }

    /// The external media streams, as of the last 100 ms.
    pub fn streams(&self) -> Vec<StreamInfo> {
        self.shared().board.infos.lock().values().cloned().collect()
    }

    /// STOP: sockets stay open, nothing is read, written or sent; calls stand still.
    pub fn freeze(&self) {
        self.shared().gate.set(Run::Frozen);
    }

    /// CONT.
    pub fn thaw(&self) {
        self.shared().gate.set(Run::Running);
    }

    /// kill -9: every socket drops, channels, bridges and applications are forgotten. `restart` boots it again.
    pub fn crash(&self) {
        self.shared().gate.set(Run::Dead);
    }

    /// Boots again on the same ports, with a new boot time, in the next second at the earliest; a living simulator crashes first.
    pub async fn restart(&self) -> io::Result<()> {
        self.crash();
        // Uniqueids carry the second of their making: two boots must not share one.
        let died = self.clock.now().epoch_secs();
        while self.clock.now().epoch_secs() == died {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        // The dead servers' listeners go as soon as their tasks have run.
        for _ in 0..200 {
            match boot(&self.config, self.ami_addr, self.ari_addr, self.clock).await {
                Ok((shared, ..)) => {
                    *self.shared.lock() = shared;
                    return Ok(());
                }
                Err(error) => last = error,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(last)
    }

    /// Ends everything; the same as a crash, but meant.
    pub fn shutdown(&self) {
        self.crash();
    }
}
