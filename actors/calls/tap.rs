//! The machine that hears a call: it makes, adopts, remakes and removes snoops, external media and bridges.
//!
//! A tap belongs to the call, not to a channel. Each making has a number `n` and ids of its own; whatever was
//! asked for is deleted in the end, also when its reply is late or lost. It must never know of HTTP or sockets:
//! requests are abstract, each gets exactly one `Reply` (or the link goes down).

mod clearing;
mod making;
mod resuming;
mod state;
#[cfg(test)]
mod tests;

pub use state::{TapPhase, TapState};

use crate::calls::session::TapMode;
use aimg_domain::call::LegRole;
use aimg_domain::pbx::TapFormat;
use aimg_domain::{CallId, PbxId, Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use state::Pending;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A living leg that a tap may sit on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapLeg {
    pub uniqueid: String,
    pub channel: String,
    pub role: LegRole,
    pub up: bool,
    pub since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// Names the installation, see `ObjectId`.
    pub cluster: String,
    pub pbx: PbxId,
    /// Under which this node owns the PBX now: new objects carry it.
    pub epoch: u64,
    pub call: CallId,
    pub format: TapFormat,
    pub mode: TapMode,
}

pub type RequestId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapInput {
    Start {
        legs: Vec<TapLeg>,
    },
    /// The call's living legs changed.
    Legs(Vec<TapLeg>),
    /// Our end of a track: where external media shall send to.
    StreamOpened {
        track: TrackId,
        local: SocketAddr,
    },
    StreamRefused {
        track: TrackId,
        why: String,
    },
    Reply {
        request: RequestId,
        result: Result<TapReply, TapFailure>,
    },
    /// StasisStart of a channel of ours in the tap application.
    Entered {
        channel: String,
    },
    /// StasisEnd, ChannelDestroyed or BridgeDestroyed of an object of ours.
    Gone {
        object: String,
    },
    /// ARI is lost: open requests get no reply any more, nothing can be asked.
    LinkDown,
    /// ARI is back: our objects of this call that exist, channels and bridges.
    Exists {
        objects: Vec<String>,
    },
    /// The call ended, or nobody wants to hear it any more.
    Stop,
    Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapReply {
    Done,
    /// Of external media: from where its packets will come (`UNICASTRTP_LOCAL_ADDRESS`, `UNICASTRTP_LOCAL_PORT`).
    External {
        from: SocketAddr,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapFailure {
    /// 404.
    NotFound,
    /// Any other refusal, in words.
    Refused(String),
    /// No answer: it may have been done or not.
    Lost,
}

/// ARI, in abstract form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapRequest {
    /// `POST /channels/{channel}/snoop`, `snoopId` = id, whisper none.
    CreateSnoop {
        channel: String,
        id: String,
        spy: Spy,
        app: String,
    },
    /// `POST /channels/{channel}/variable`
    SetVariable {
        channel: String,
        name: &'static str,
        value: &'static str,
    },
    /// `POST /channels/externalMedia`, direction both, encapsulation rtp, transport udp; variables in the body.
    ExternalMedia {
        id: String,
        app: String,
        host: SocketAddr,
        format: TapFormat,
        variables: Vec<(&'static str, &'static str)>,
    },
    /// `POST /bridges/{id}`, type mixing.
    CreateBridge {
        id: String,
    },
    /// `POST /bridges/{bridge}/addChannel`
    AddToBridge {
        bridge: String,
        channels: Vec<String>,
    },
    DeleteChannel {
        id: String,
    },
    DeleteBridge {
        id: String,
    },
}

/// Which direction of the tapped channel: `in` is what it says, `out` what it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spy {
    In,
    Out,
    Both,
}

impl Spy {
    pub fn as_str(self) -> &'static str {
        match self {
            Spy::In => "in",
            Spy::Out => "out",
            Spy::Both => "both",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapEffect {
    /// Open our end. `local`: the same address again if at all possible (the PBX still sends there).
    OpenStream {
        track: TrackId,
        format: TapFormat,
        local: Option<SocketAddr>,
    },
    /// Packets of the track come from here from now on; an earlier address is over.
    ExpectFrom {
        track: TrackId,
        from: SocketAddr,
    },
    Request {
        id: RequestId,
        request: TapRequest,
    },
    /// `Tick` is due then. A later one replaces an earlier one.
    WakeAt(Timestamp),
    /// The state is worth storing: `snapshot` changed in what a restart needs.
    Save,
    /// Audio arrives: making `n` is complete. A recorder begins a new segment for a new `n`.
    Flowing {
        n: u32,
        /// It was made before a restart and goes on.
        adopted: bool,
    },
    /// What was flowing is over; another making follows when there is a leg for it.
    Interrupted {
        n: u32,
        why: String,
    },
    /// There is no tap, and none is tried any more until `Start`.
    Refused {
        why: String,
    },
    CloseStreams,
    /// After `Stop`: nothing that was made is left.
    Ended,
}

/// For every single wait.
pub const STEP_DEADLINE: Duration = Duration::from_secs(5);
/// Before a leg that seemed to leave is tried again.
const SETTLE: Duration = Duration::from_millis(500);
/// Makings in a row that did not come to flow.
const ATTEMPTS: u32 = 4;

pub struct TapMachine {
    config: TapConfig,
    state: TapState,
    legs: Vec<TapLeg>,
    next_request: RequestId,
    pending: BTreeMap<RequestId, Pending>,
    /// ARI is away: nothing is asked until `Exists`.
    down: bool,
    /// When a making that found no leg is tried again.
    retry_at: Option<Timestamp>,
    failures: u32,
    told_ended: bool,
    wake_at: Option<Timestamp>,
    effects: Vec<TapEffect>,
}

impl TapMachine {
    pub fn new(config: TapConfig) -> TapMachine {
        TapMachine::with(config, TapState::default(), Vec::new())
    }

    fn with(config: TapConfig, state: TapState, legs: Vec<TapLeg>) -> TapMachine {
        TapMachine {
            config,
            state,
            legs,
            next_request: 0,
            pending: BTreeMap::new(),
            down: false,
            retry_at: None,
            failures: 0,
            told_ended: false,
            wake_at: None,
            effects: Vec::new(),
        }
    }

    /// For `calls::resume::pack`.
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&self.state).unwrap_or(Value::Null)
    }

    pub fn state(&self) -> &TapState {
        &self.state
    }

    /// The making that flows or is being made.
    pub fn n(&self) -> u32 {
        self.state.n
    }

    pub fn apply(&mut self, input: TapInput, now: Timestamp) -> Vec<TapEffect> {
        match input {
            TapInput::Start { legs } => self.start(legs, now),
            TapInput::Legs(legs) => {
                self.legs = legs;
                self.follow(now);
            }
            TapInput::StreamOpened { track, local } => self.stream_opened(track, local, now),
            TapInput::StreamRefused { track, why } => self.stream_refused(track, &why, now),
            TapInput::Reply { request, result } => self.reply(request, result, now),
            TapInput::Entered { channel } => self.entered(&channel, now),
            TapInput::Gone { object } => self.object_gone(&object, now),
            TapInput::LinkDown => self.link_down(),
            TapInput::Exists { objects } => self.exists(&objects, now),
            TapInput::Stop => self.stop(now),
            TapInput::Tick => {}
        }
        self.tick(now);
        self.finish();
        std::mem::take(&mut self.effects)
    }

    fn start(&mut self, legs: Vec<TapLeg>, now: Timestamp) {
        self.legs = legs;
        if matches!(self.state.phase, TapPhase::Idle | TapPhase::Refused | TapPhase::Stopped) {
            self.told_ended = false;
            self.failures = 0;
            self.state.phase = TapPhase::Waiting;
        }
        self.follow(now);
    }

    fn stop(&mut self, now: Timestamp) {
        if self.state.phase == TapPhase::Stopped {
            return;
        }
        self.dismantle(now);
        self.retry_at = None;
        self.state.phase = TapPhase::Stopped;
        self.close_streams();
        self.save();
    }

    /// The tap stays where it works; when its leg left it is made again elsewhere.
    fn follow(&mut self, now: Timestamp) {
        match self.state.phase {
            TapPhase::Making | TapPhase::Flowing if !self.down => {
                let sits = self
                    .state
                    .tapped
                    .as_ref()
                    .is_some_and(|tapped| self.legs.iter().any(|leg| leg.uniqueid == tapped.uniqueid));
                if !sits {
                    self.interrupt("the tapped leg left the call", now);
                    self.make(now);
                }
            }
            TapPhase::Waiting if !self.down && self.retry_at.is_none() => self.make(now),
            _ => {}
        }
    }

    fn tick(&mut self, now: Timestamp) {
        let overdue: Vec<RequestId> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.deadline.is_some_and(|due| due <= now))
            .map(|(id, _)| *id)
            .collect();
        for request in overdue {
            self.overdue(request, now);
        }
        if let Some(why) = self.state.overdue_wait(now) {
            self.give_up(&why, now);
        }
        if self.retry_at.is_some_and(|due| due <= now) {
            self.retry_at = None;
            self.follow(now);
        }
        self.retry_deletes(now);
        self.schedule();
    }

    fn schedule(&mut self) {
        let pending = self.pending.values().filter_map(|pending| pending.deadline);
        let waits = if self.down { None } else { self.state.next_wait() };
        let debris = self.state.debris.iter().filter(|_| !self.down).filter_map(|debris| debris.due);
        let next = pending.chain(waits).chain(debris).chain(self.retry_at).min();
        if next != self.wake_at {
            self.wake_at = next;
            self.effects.extend(next.map(TapEffect::WakeAt));
        }
    }

    fn finish(&mut self) {
        let over = self.state.phase == TapPhase::Stopped && self.state.debris.is_empty() && self.pending.is_empty();
        if over && !self.told_ended {
            self.told_ended = true;
            self.effects.push(TapEffect::Ended);
        }
    }

    fn save(&mut self) {
        if !self.effects.contains(&TapEffect::Save) {
            self.effects.push(TapEffect::Save);
        }
    }

    fn close_streams(&mut self) {
        self.state.streams.clear();
        self.effects.push(TapEffect::CloseStreams);
    }
}
