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
mod words;

pub use state::{TapPhase, TapState};
pub use words::{RequestId, Spy, TapConfig, TapEffect, TapFailure, TapInput, TapLeg, TapReply, TapRequest};

use aimg_domain::Timestamp;
use serde_json::Value;
use state::Pending;
use std::collections::BTreeMap;
use std::time::Duration;

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

    /// The legs it knows, for another `Start`.
    pub fn legs(&self) -> &[TapLeg] {
        &self.legs
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
