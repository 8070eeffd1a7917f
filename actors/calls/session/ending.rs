//! The end: when, how, and by whom.

use super::CallSessionMachine;
use super::outcome::{Evidence, decide};
use aimg_domain::call::{CallState, Hangup, HangupBy, Leg, LegRole};
use aimg_domain::{EventKind, Outcome, Timestamp};
use serde_json::json;
use std::time::Duration;

/// Legs that ended this close to the call's end took part in it: the first of them to ask hung up.
const TOGETHER: Duration = Duration::from_secs(2);

impl CallSessionMachine {
    pub(super) fn hung_up(&mut self, uniqueid: &str, cause: u16, text: &str, at: Timestamp) {
        let Some(channel) = self.saved.channel_mut(uniqueid).filter(|channel| !channel.ended) else {
            return;
        };
        channel.ended = true;
        let primary = self.saved.primary.as_deref() == Some(uniqueid);
        if primary && self.saved.primary_cause.is_none() {
            self.saved.primary_cause = Some(cause);
        }
        let hangup = Hangup {
            cause,
            text: text.to_owned(),
            by: self.asked_by(uniqueid),
        };
        if let Some(stay) = self
            .saved
            .queue
            .as_mut()
            .filter(|stay| primary && stay.waited_ms.is_none() && stay.agent.is_none())
        {
            stay.waited_ms = Some(u64::try_from(at.since(stay.joined_at).as_millis()).unwrap_or(0));
        }
        self.end_leg(uniqueid, Some(hangup), at);
        self.note_stasis();
    }

    pub(super) fn end_leg(&mut self, uniqueid: &str, hangup: Option<Hangup>, at: Timestamp) {
        let Some(leg) = self.leg_mut(uniqueid).filter(|leg| leg.ended_at.is_none()) else {
            return;
        };
        leg.ended_at = Some(at);
        leg.hangup = hangup;
        leg.held = false;
        leg.parked = false;
        leg.muted = false;
        self.dirty = true;
        if self.saved.joined.iter().any(|joined| joined == uniqueid) {
            let data = json!({ "leg": self.leg_data(uniqueid) });
            self.event(EventKind::ParticipantLeft, at, data);
        }
    }

    fn role_of(&self, uniqueid: &str) -> Option<LegRole> {
        self.session.legs.iter().find(|leg| leg.uniqueid == uniqueid).map(|leg| leg.role)
    }

    /// Who ended this leg: itself if it asked, else whoever of the call asked first.
    fn asked_by(&self, uniqueid: &str) -> HangupBy {
        if self.saved.platform_hangup {
            return HangupBy::Platform;
        }
        let own = self.saved.asked.iter().find(|asked| asked.uniqueid == uniqueid);
        let first = own.or_else(|| self.saved.asked.first());
        match first.and_then(|asked| self.role_of(&asked.uniqueid)) {
            Some(LegRole::Caller) => HangupBy::Caller,
            Some(LegRole::Callee) => HangupBy::Callee,
            None => HangupBy::Pbx,
        }
    }

    /// The leg whose asking ended the call.
    fn ender(&self, ended_at: Timestamp) -> Option<&Leg> {
        let asked = self
            .saved
            .asked
            .iter()
            .filter_map(|asked| self.session.legs.iter().find(|leg| leg.uniqueid == asked.uniqueid));
        asked.into_iter().find(|leg| leg.ended_at.is_some_and(|at| ended_at.since(at) <= TOGETHER))
    }

    /// Every channel is gone.
    pub(super) fn end_of_channels(&mut self, at: Timestamp) {
        let caller = self.session.legs.iter().find(|leg| leg.role == LegRole::Caller);
        let cause = |leg: &Leg| leg.hangup.as_ref().map(|hangup| hangup.cause);
        let first_asked = self.saved.asked.first().and_then(|asked| self.role_of(&asked.uniqueid));
        let evidence = Evidence {
            answered: self.session.answered_at.is_some(),
            abandoned: self.saved.queue.as_ref().is_some_and(|stay| stay.abandoned) && self.session.connected_at.is_none(),
            platform: self.saved.platform_hangup,
            busy: self.saved.busy,
            dialled: self.saved.dialled,
            caller_asked: first_asked == Some(LegRole::Caller),
            caller_cause: caller.and_then(cause).or(self.saved.primary_cause),
            callee_causes: self.session.legs.iter().filter(|leg| leg.role == LegRole::Callee).filter_map(cause).collect(),
        };
        let outcome = decide(&evidence);
        self.end(outcome, at, None);
    }

    fn hangup(&self, at: Timestamp) -> Option<Hangup> {
        let ender = self.ender(at);
        let by = match ender.map(|leg| leg.role) {
            _ if self.saved.platform_hangup => HangupBy::Platform,
            Some(LegRole::Caller) => HangupBy::Caller,
            Some(LegRole::Callee) => HangupBy::Callee,
            None => HangupBy::Pbx,
        };
        let caller = || self.session.legs.iter().find(|leg| leg.role == LegRole::Caller && leg.hangup.is_some());
        let last = || self.session.legs.iter().filter(|leg| leg.hangup.is_some()).max_by_key(|leg| leg.ended_at);
        let told = ender
            .filter(|leg| leg.hangup.is_some())
            .or_else(caller)
            .or_else(last)
            .and_then(|leg| leg.hangup.clone());
        let told = told.or_else(|| {
            self.saved.primary_cause.map(|cause| Hangup {
                cause,
                text: String::new(),
                by,
            })
        });
        told.map(|hangup| Hangup { by, ..hangup })
    }

    /// Once. What is still open ends with it.
    pub(super) fn end(&mut self, outcome: Outcome, at: Timestamp, reason: Option<&str>) {
        if self.session.is_ended() {
            return;
        }
        let at = at.max(self.session.started_at);
        let open: Vec<String> = self
            .session
            .legs
            .iter()
            .filter(|leg| leg.ended_at.is_none())
            .map(|leg| leg.uniqueid.clone())
            .collect();
        for uniqueid in open {
            self.end_leg(&uniqueid, None, at);
        }
        for channel in &mut self.saved.channels {
            channel.ended = true;
        }
        if let Some(blind) = self.session.blind.last_mut().filter(|blind| blind.to.is_none()) {
            blind.to = Some(at);
        }
        self.session.hangup = if outcome == Outcome::Merged { None } else { self.hangup(at) };
        self.session.state = CallState::Ended;
        self.session.outcome = Some(outcome);
        self.session.ended_at = Some(at);
        self.session.in_stasis = false;
        self.set_direction();
        let queue = self
            .saved
            .queue
            .as_ref()
            .map(|stay| json!({ "name": stay.name, "waited_ms": stay.waited_ms, "agent": stay.agent }));
        let kind = if outcome == Outcome::Failed {
            EventKind::CallFailed
        } else {
            EventKind::CallEnded
        };
        self.event(kind, at, json!({ "reason": reason, "queue": queue }));
    }
}
