//! Making a tap, step by step, each track for itself.

use super::state::{About, Object, Pending, Step, Tapped, Track};
use super::{ATTEMPTS, RequestId, SETTLE, STEP_DEADLINE, Spy, TapEffect, TapFailure, TapLeg, TapMachine, TapPhase, TapReply, TapRequest};
use crate::calls::session::TapMode;
use aimg_domain::call::LegRole;
use aimg_domain::{Timestamp, TrackId};
use aimg_pbx::object::ObjectId;
use std::net::SocketAddr;

/// Without it each tap is two or three rows in the PBX's own CDRs.
pub(super) const QUIET: (&str, &str) = ("CDR_PROP(disable)", "1");

/// The caller's leg, else the one that has lived longest.
fn choose(legs: &[TapLeg]) -> Option<&TapLeg> {
    legs.iter()
        .filter(|leg| leg.up)
        .min_by_key(|leg| (leg.role != LegRole::Caller, leg.since, &leg.uniqueid))
}

impl TapMachine {
    pub(super) fn make(&mut self, now: Timestamp) {
        let Some(leg) = choose(&self.legs) else {
            self.state.phase = TapPhase::Waiting;
            return;
        };
        let (speaks, hears) = match leg.role {
            LegRole::Caller => (TrackId::Caller, TrackId::Callee),
            LegRole::Callee => (TrackId::Callee, TrackId::Caller),
        };
        let tracks = match self.config.mode {
            TapMode::Legs => vec![(speaks, Spy::In), (hears, Spy::Out)],
            TapMode::Mixed => vec![(TrackId::Mixed, Spy::Both)],
        };
        self.state.tapped = Some(Tapped {
            uniqueid: leg.uniqueid.clone(),
            role: leg.role,
        });
        self.state.n += 1;
        self.state.phase = TapPhase::Making;
        self.state.tracks = tracks.into_iter().map(|(track, spy)| self.new_track(track, spy, now)).collect();
        self.save();
        let tracks: Vec<TrackId> = self.state.tracks.iter().map(|track| track.track).collect();
        for track in tracks {
            if self.state.streams.contains_key(&track) {
                self.step(track, Step::Snoop, now);
            } else {
                self.effects.push(TapEffect::OpenStream {
                    track,
                    format: self.config.format,
                    local: None,
                });
            }
        }
    }

    fn new_track(&self, track: TrackId, spy: Spy, now: Timestamp) -> Track {
        let id = |what: &str| {
            let id = ObjectId {
                cluster: self.config.cluster.clone(),
                pbx: self.config.pbx.short(),
                epoch: self.config.epoch,
                call: self.config.call,
                purpose: format!("tap{}-{}-{what}", self.state.n, spy.as_str()),
            };
            id.to_string()
        };
        Track {
            track,
            spy,
            snoop: id("snoop"),
            external: id("media"),
            bridge: id("bridge"),
            step: Step::Stream,
            from: None,
            wants: None,
            replied: false,
            entered: false,
            snoop_entered: false,
            quiet_waits: false,
            due: Some(now.plus(STEP_DEADLINE)),
        }
    }

    pub(super) fn stream_opened(&mut self, track: TrackId, local: SocketAddr, now: Timestamp) {
        match self.state.phase {
            TapPhase::Making | TapPhase::Flowing | TapPhase::Waiting => {
                self.state.streams.insert(track, local);
                let waits = self.state.tracks.iter().any(|known| known.track == track && known.step == Step::Stream);
                if self.state.phase == TapPhase::Making && waits && !self.down {
                    self.step(track, Step::Snoop, now);
                }
            }
            TapPhase::Resuming => self.resumed_stream(track, local, now),
            // It comes too late: nobody wants it any more.
            TapPhase::Idle | TapPhase::Refused | TapPhase::Stopped => self.close_streams(),
        }
    }

    pub(super) fn stream_refused(&mut self, track: TrackId, why: &str, now: Timestamp) {
        if matches!(self.state.phase, TapPhase::Making | TapPhase::Resuming | TapPhase::Flowing) {
            self.give_up(&format!("no stream for the {} track: {why}", track.as_str()), now);
        }
    }

    fn step(&mut self, track: TrackId, step: Step, now: Timestamp) {
        let due = now.plus(STEP_DEADLINE);
        let Some(known) = self.state.tracks.iter_mut().find(|known| known.track == track) else {
            return;
        };
        known.step = step;
        known.replied = false;
        known.entered = false;
        known.due = Some(due);
        let known = known.clone();
        let Some(request) = self.request(&known) else { return };
        let makes = match step {
            Step::Snoop => Some(Object::Channel(known.snoop)),
            Step::External => Some(Object::Channel(known.external)),
            Step::Bridge => Some(Object::Bridge(known.bridge)),
            Step::Stream | Step::Quiet | Step::Add | Step::Flowing => None,
        };
        let n = self.state.n;
        self.ask(request, About::Step { n, track, step, makes }, due);
    }

    /// What the PBX is asked for in the step that the track is at.
    fn request(&self, track: &Track) -> Option<TapRequest> {
        let app = || self.config.pbx.tap_app(self.config.epoch);
        Some(match track.step {
            Step::Snoop => TapRequest::CreateSnoop {
                channel: self.state.tapped.as_ref()?.uniqueid.clone(),
                id: track.snoop.clone(),
                spy: track.spy,
                app: app(),
            },
            Step::Quiet => TapRequest::SetVariable {
                channel: track.snoop.clone(),
                name: QUIET.0,
                value: QUIET.1,
            },
            Step::External => TapRequest::ExternalMedia {
                id: track.external.clone(),
                app: app(),
                host: *self.state.streams.get(&track.track)?,
                format: self.config.format,
                variables: vec![QUIET],
            },
            Step::Bridge => TapRequest::CreateBridge { id: track.bridge.clone() },
            Step::Add => TapRequest::AddToBridge {
                bridge: track.bridge.clone(),
                channels: vec![track.snoop.clone(), track.external.clone()],
            },
            Step::Stream | Step::Flowing => return None,
        })
    }

    pub(super) fn ask(&mut self, request: TapRequest, about: About, deadline: Timestamp) -> RequestId {
        self.next_request += 1;
        let id = self.next_request;
        self.pending.insert(
            id,
            Pending {
                about,
                deadline: Some(deadline),
            },
        );
        self.effects.push(TapEffect::Request { id, request });
        id
    }

    pub(super) fn reply(&mut self, request: RequestId, result: Result<TapReply, TapFailure>, now: Timestamp) {
        let Some(pending) = self.pending.remove(&request) else { return };
        match pending.about {
            About::Hush(object) => self.hushed(&object, request, now),
            About::Delete(object) => self.deleted(&object, request, &result, now),
            About::Step { n, track, step, makes } => {
                let current = n == self.state.n
                    && self.state.phase == TapPhase::Making
                    && self
                        .state
                        .tracks
                        .iter()
                        .any(|known| known.track == track && known.step == step && !known.replied);
                if current {
                    self.step_replied(track, step, result, now);
                } else if let Some(object) = makes {
                    self.made_late(object, request, &result, now);
                }
            }
        }
    }

    fn step_replied(&mut self, track: TrackId, step: Step, result: Result<TapReply, TapFailure>, now: Timestamp) {
        match result {
            Ok(reply) => {
                if let Some(known) = self.state.tracks.iter_mut().find(|known| known.track == track) {
                    known.replied = true;
                    if let TapReply::External { from } = reply {
                        known.from = Some(from);
                        self.effects.push(TapEffect::ExpectFrom { track, from });
                    }
                }
                self.advance(track, now);
            }
            Err(TapFailure::NotFound) if step == Step::Quiet && self.quiet_may_wait(track) => {}
            // The leg is about to leave: who else there is will be said.
            Err(TapFailure::NotFound) if matches!(step, Step::Snoop | Step::Quiet) => self.try_later("the leg to be tapped is gone", now),
            Err(failure) => {
                let why = match failure {
                    TapFailure::NotFound => "not found".to_owned(),
                    TapFailure::Refused(why) => why,
                    TapFailure::Lost => "no answer".to_owned(),
                };
                self.give_up(&format!("{}: {why}", step.in_words()), now);
            }
        }
    }

    /// The reply to a snoop can come before others see its channel: then its StasisStart is waited for.
    fn quiet_may_wait(&mut self, track: TrackId) -> bool {
        let known = self.state.tracks.iter_mut().find(|known| known.track == track);
        let Some(known) = known.filter(|known| !known.snoop_entered) else {
            return false;
        };
        known.quiet_waits = true;
        true
    }

    pub(super) fn entered(&mut self, channel: &str, now: Timestamp) {
        if self.state.phase != TapPhase::Making {
            return;
        }
        let waits = |track: &&mut Track| track.snoop == channel || track.external == channel && track.step == Step::External;
        if let Some(known) = self.state.tracks.iter_mut().find(waits) {
            if known.snoop == channel {
                known.snoop_entered = true;
                if std::mem::take(&mut known.quiet_waits) {
                    let track = known.track;
                    return self.step(track, Step::Quiet, now);
                }
            } else {
                known.entered = true;
            }
            let track = known.track;
            self.advance(track, now);
        }
    }

    /// To the next step, when all that this one waits for is there.
    fn advance(&mut self, track: TrackId, now: Timestamp) {
        let Some(known) = self.state.tracks.iter_mut().find(|known| known.track == track) else {
            return;
        };
        if !known.replied || known.step == Step::External && !(known.entered && known.snoop_entered) {
            return;
        }
        match known.step {
            // At once: a call that ends before it is quiet leaves a row in the PBX's CDRs.
            Step::Snoop => self.step(track, Step::Quiet, now),
            Step::Quiet => self.step(track, Step::External, now),
            Step::External if known.from.is_none() => self.give_up("external media did not say where it sends from", now),
            // Joined before its StasisStart a quarter of them would fail.
            Step::External => self.step(track, Step::Bridge, now),
            Step::Bridge => self.step(track, Step::Add, now),
            Step::Add => {
                known.step = Step::Flowing;
                known.due = None;
                self.flow();
            }
            Step::Stream | Step::Flowing => {}
        }
    }

    fn flow(&mut self) {
        if self.state.tracks.iter().all(|track| track.step == Step::Flowing) {
            self.state.phase = TapPhase::Flowing;
            self.failures = 0;
            let n = self.state.n;
            self.effects.push(TapEffect::Flowing { n, adopted: false });
            self.save();
        }
    }

    /// The tap is over for now; another making may succeed.
    pub(super) fn interrupt(&mut self, why: &str, now: Timestamp) {
        if matches!(self.state.phase, TapPhase::Flowing | TapPhase::Resuming) {
            let n = self.state.n;
            self.effects.push(TapEffect::Interrupted { n, why: why.to_owned() });
        }
        self.dismantle(now);
        self.state.phase = TapPhase::Waiting;
        self.save();
    }

    pub(super) fn try_later(&mut self, why: &str, now: Timestamp) {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            self.give_up(why, now);
            return;
        }
        self.interrupt(why, now);
        self.retry_at = Some(now.plus(SETTLE));
    }

    pub(super) fn give_up(&mut self, why: &str, now: Timestamp) {
        self.dismantle(now);
        self.state.phase = TapPhase::Refused;
        self.retry_at = None;
        self.close_streams();
        self.effects.push(TapEffect::Refused { why: why.to_owned() });
        self.save();
    }

    /// A part of the tap ended by itself: its leg hung up, or somebody deleted it.
    pub(super) fn object_gone(&mut self, object: &str, now: Timestamp) {
        let living = matches!(self.state.phase, TapPhase::Making | TapPhase::Flowing) && self.state.tracks.iter().any(|track| track.has(object));
        if living && !self.down {
            self.try_later("a part of the tap ended", now);
        }
    }
}
