//! Going on with a tap after a lost link or a restart: what still works is kept, the rest made again.

use super::state::{Debris, Object, Step};
use super::{TapConfig, TapEffect, TapLeg, TapMachine, TapPhase, TapState};
use aimg_domain::{Timestamp, TrackId};
use aimg_pbx::object::ObjectId;
use serde::Deserialize;
use serde_json::Value;
use std::net::SocketAddr;

impl TapMachine {
    /// After a restart, from `snapshot`. The streams are to be bound again, on the same ports, before `Exists` is told.
    pub fn resume(config: TapConfig, snapshot: &Value, legs: Vec<TapLeg>) -> (TapMachine, Vec<TapEffect>) {
        let mut state = TapState::deserialize(snapshot).unwrap_or_default();
        let mut effects = Vec::new();
        if matches!(state.phase, TapPhase::Making | TapPhase::Flowing | TapPhase::Resuming) {
            if state.phase == TapPhase::Making {
                // Unfinished: which parts exist will be said.
                state.tracks.iter_mut().for_each(|track| track.from = None);
            }
            state.phase = TapPhase::Resuming;
        }
        let streams = std::mem::take(&mut state.streams);
        if state.phase == TapPhase::Resuming {
            for track in &mut state.tracks {
                // Bound to another port it does not hear what the PBX sends to the old one.
                let local = streams.get(&track.track).copied();
                track.wants = local;
                effects.push(TapEffect::OpenStream {
                    track: track.track,
                    format: config.format,
                    local,
                });
            }
        }
        let mut machine = TapMachine::with(config, state, legs);
        machine.down = true;
        (machine, effects)
    }

    pub(super) fn resumed_stream(&mut self, track: TrackId, local: SocketAddr, now: Timestamp) {
        self.state.streams.insert(track, local);
        if !self.down {
            self.judge(now);
        }
    }

    /// Whatever was asked and not answered may be done or not: `exists` will tell.
    pub(super) fn link_down(&mut self) {
        self.down = true;
        self.pending.clear();
        for debris in &mut self.state.debris {
            debris.asked = None;
            debris.due = None;
        }
    }

    pub(super) fn exists(&mut self, objects: &[String], now: Timestamp) {
        self.down = false;
        let there = |id: &str| objects.iter().any(|object| object == id);
        self.state.debris.retain(|debris| there(debris.object.id()));
        self.find_strays(objects);
        for debris in &mut self.state.debris {
            debris.asked = None;
            debris.due = Some(now);
            debris.tries = 0;
            debris.sure = true;
        }
        match self.state.phase {
            TapPhase::Making | TapPhase::Flowing | TapPhase::Resuming => {
                let whole = self
                    .state
                    .tracks
                    .iter()
                    .all(|track| track.step == Step::Flowing && [&track.snoop, &track.external, &track.bridge].iter().all(|id| there(id)));
                self.state.whole = whole && !self.state.tracks.is_empty();
                if !self.state.whole {
                    self.again(objects, now);
                } else if self.state.phase == TapPhase::Resuming {
                    self.judge(now);
                } else {
                    self.follow(now);
                }
            }
            TapPhase::Waiting => self.follow(now),
            TapPhase::Idle | TapPhase::Refused | TapPhase::Stopped => {}
        }
    }

    /// Parts of earlier makings that nobody remembers, such as one whose request was slower than its deletion.
    fn find_strays(&mut self, objects: &[String]) {
        for id in objects {
            let ours = ObjectId::parse(id).filter(|object| object.call == self.config.call && object.purpose.starts_with("tap"));
            let known = self.state.tracks.iter().any(|track| track.has(id)) || self.state.debris.iter().any(|debris| debris.object.id() == id);
            let Some(object) = ours.filter(|_| !known) else { continue };
            let object = if object.purpose.ends_with("bridge") {
                Object::Bridge(id.clone())
            } else {
                Object::Channel(id.clone())
            };
            self.state.debris.push(Debris {
                loud: id.ends_with("-snoop"),
                object,
                tries: 0,
                sure: true,
                asked: None,
                due: None,
            });
        }
    }

    /// All parts exist; with our ends on the same ports it goes on as if nothing had been.
    fn judge(&mut self, now: Timestamp) {
        if !self.state.whole || self.state.tracks.iter().any(|track| !self.state.streams.contains_key(&track.track)) {
            return;
        }
        let same = self
            .state
            .tracks
            .iter()
            .all(|track| track.wants.is_some() && track.wants == self.state.streams.get(&track.track).copied());
        let sending: Vec<(TrackId, SocketAddr)> = self
            .state
            .tracks
            .iter()
            .filter_map(|track| track.from.map(|from| (track.track, from)))
            .collect();
        if !same || sending.len() != self.state.tracks.len() {
            self.interrupt("our end of the stream has another address", now);
            self.follow(now);
            return;
        }
        for (track, from) in sending {
            self.effects.push(TapEffect::ExpectFrom { track, from });
        }
        self.state.phase = TapPhase::Flowing;
        let n = self.state.n;
        self.effects.push(TapEffect::Flowing { n, adopted: true });
        self.save();
        self.follow(now);
    }

    /// Not whole any more: what is left is deleted, and another making begins.
    fn again(&mut self, objects: &[String], now: Timestamp) {
        self.interrupt("the tap did not survive the loss of the link", now);
        self.state.debris.retain(|debris| objects.iter().any(|object| object == debris.object.id()));
        self.follow(now);
    }
}
