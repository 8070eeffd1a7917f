//! The thread that sends every stream. It wakes every 5 ms and serves a quarter of the streams each time, so that a thousand do not
//! leave in one burst.

use super::stream::{Outgoing, Stream};
use super::{MediaCommand, StreamInfo};
use crate::clock::WallClock;
use crate::config::Impairment;
use crate::gate::{Gate, Run};
use crate::rng::mix;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(5);
const PHASES: u64 = 4;
/// Behind by more than this (we were stopped), the lost time is skipped rather than made up in a burst.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);
/// In frames of 20 ms.
const LISTEN_EVERY: u64 = 5;
/// Datagrams read from one port in one turn.
const READ_MAX: usize = 64;

struct Line {
    stream: Stream,
    socket: UdpSocket,
    phase: u64,
}

/// What others may see while the thread works.
#[derive(Default)]
pub(crate) struct Board {
    pub(crate) infos: Mutex<BTreeMap<String, StreamInfo>>,
    pub(crate) impairment: Mutex<Impairment>,
}

pub(crate) struct Sender {
    lines: HashMap<String, Line>,
    delayed: BTreeMap<(u64, u64), (String, Vec<u8>)>,
    opened: u64,
    tick: u64,
    delayed_serial: u64,
    seed: u64,
    board: Arc<Board>,
}

/// Runs until the command channel closes or the gate is dead.
pub(crate) fn run(commands: &Receiver<MediaCommand>, gate: &Gate, board: Arc<Board>, seed: u64, clock: WallClock) {
    let mut sender = Sender {
        lines: HashMap::new(),
        delayed: BTreeMap::new(),
        opened: 0,
        tick: 0,
        delayed_serial: 0,
        seed,
        board,
    };
    let mut due = Instant::now() + TICK;
    loop {
        match commands.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(command) => {
                sender.obey(command);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        match gate.run() {
            Run::Dead => return,
            Run::Frozen => due = Instant::now() + TICK,
            Run::Running => {
                sender.turn();
                due += TICK;
                if Instant::now().saturating_duration_since(due) > CATCH_UP_MAX {
                    due = Instant::now() + TICK;
                    tracing::debug!(at = clock.now().0, "the RTP sender fell behind and skips");
                }
            }
        }
    }
}

impl Sender {
    fn obey(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Open { id, socket, to, format } => {
                let Ok(local) = socket.local_addr() else { return };
                self.opened += 1;
                let stream = Stream::new(id.clone(), local, to, format, mix(self.seed ^ self.opened));
                self.board.infos.lock().insert(id.clone(), stream.info.clone());
                self.lines.insert(
                    id,
                    Line {
                        stream,
                        socket,
                        phase: self.opened % PHASES,
                    },
                );
            }
            MediaCommand::Feed { id, feeds, at } => {
                if let Some(line) = self.lines.get_mut(&id) {
                    line.stream.feed(feeds, at);
                }
            }
            MediaCommand::Close { id } => {
                self.lines.remove(&id);
                self.board.infos.lock().remove(&id);
            }
        }
    }

    fn turn(&mut self) {
        self.tick += 1;
        let impairment = *self.board.impairment.lock();
        let phase = self.tick % PHASES;
        // What comes in is only counted: looking every 100 ms spares as many system calls as are spent on sending.
        let hears = (self.tick / PHASES).is_multiple_of(LISTEN_EVERY);
        let mut outgoing = Vec::new();
        for (id, line) in self.lines.iter_mut().filter(|(_, line)| line.phase == phase) {
            line.stream.next_packets(impairment, &mut outgoing);
            for Outgoing { packet, late_ms } in outgoing.drain(..) {
                if late_ms == 0 {
                    transmit(line, &packet);
                } else {
                    self.delayed_serial += 1;
                    self.delayed
                        .insert((self.tick + u64::from(late_ms).div_ceil(5), self.delayed_serial), (id.clone(), packet));
                }
            }
            if hears {
                listen(line);
            }
        }
        self.send_delayed();
        if self.tick.is_multiple_of(PHASES * 5) {
            let mut infos = self.board.infos.lock();
            for (id, line) in &self.lines {
                infos.insert(id.clone(), line.stream.info.clone());
            }
        }
    }

    fn send_delayed(&mut self) {
        let later = self.delayed.split_off(&(self.tick + 1, 0));
        for (id, packet) in std::mem::replace(&mut self.delayed, later).into_values() {
            if let Some(line) = self.lines.get_mut(&id) {
                transmit(line, &packet);
            }
        }
    }
}

/// A refused or full socket loses the packet, as UDP does; Asterisk goes on too.
fn transmit(line: &mut Line, packet: &[u8]) {
    if line.socket.send_to(packet, line.stream.info.remote).is_ok() {
        line.stream.info.packets_sent += 1;
    }
}

fn listen(line: &mut Line) {
    let mut buffer = [0u8; 2048];
    for _ in 0..READ_MAX {
        match line.socket.recv_from(&mut buffer) {
            Ok((length, _)) => line.stream.received(&buffer[..length]),
            Err(_) => return,
        }
    }
}
