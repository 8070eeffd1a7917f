//! How calls and channels end, from whichever side.

use super::channel::{Kind, State};
use super::json::Json;
use super::tell::cause_text;
use super::{Switch, Timer};
use crate::ami::class::CALL;
use crate::ami::event::Event;
use crate::config::Style;
use crate::rtp::MediaCommand;
use crate::script::{CallId, Ending, Side};
use std::time::Duration;

impl Switch {
    /// The scripted talk time is over.
    pub(super) fn talked_out(&mut self, call: CallId) {
        let Some(found) = self.calls.get(&call) else { return };
        let side = match found.script.ending {
            Ending::Answered { hung_up_by, .. } => hung_up_by,
            _ => Side::Caller,
        };
        self.party_hangs_up(call, side);
    }

    /// One party puts the receiver down.
    pub(crate) fn party_hangs_up(&mut self, call: CallId, side: Side) -> bool {
        let Some(found) = self.calls.get(&call) else { return false };
        let (caller, callee, up) = (found.caller.clone(), found.callee.clone(), found.answered.is_some());
        let told = self.cause_told(call).then_some(16);
        match callee {
            Some(_) if !up => self.cancelled(call),
            Some(callee) => {
                let first = if side == Side::Caller { &caller } else { &callee };
                self.hangup_request(first, told, None);
                self.part(call, side);
            }
            None => {
                if told.is_none() && self.config.style == Style::Asterisk22 && self.channels.get(&caller).is_some_and(|channel| channel.stasis.is_none()) {
                    self.set_cause(&caller, 0, None);
                }
                self.hangup_request(&caller, told, None);
                self.leave(&caller);
                self.stasis_end(&caller);
                self.close_caller(&caller);
            }
        }
        true
    }

    /// The basic bridge dissolves; `first` left it.
    fn part(&mut self, call: CallId, first: Side) {
        let Some((caller, callee)) = self.legs(call) else { return };
        let bridge = self.channels.get(&caller).and_then(|channel| channel.bridge.clone());
        let order = if first == Side::Caller { [&caller, &callee] } else { [&callee, &caller] };
        self.leave(order[0]);
        self.dial_times(call, &caller);
        if first == Side::Caller {
            self.soft_hangup(&caller, 16);
        }
        self.leave(order[1]);
        if let Some(bridge) = bridge {
            self.destroy_bridge(&bridge);
        }
        if let Some(found) = self.calls.get_mut(&call) {
            found.callee = None;
        }
        let row = self.cdr_event(&caller);
        if first == Side::Callee {
            self.bury(&callee);
            self.soft_hangup(&caller, 16);
        }
        if self.config.style == Style::Asterisk16 {
            self.bury(&caller);
            self.bury(&callee);
        } else {
            self.bury(&callee);
        }
        if let Some(row) = row {
            self.emit(row);
        }
        self.bury(&caller);
        self.forget(call);
    }

    fn dial_times(&mut self, call: CallId, caller: &str) {
        let Some(found) = self.calls.get(&call) else { return };
        let (answered, placed) = (found.answered.unwrap_or(self.now), found.placed);
        let (talked, dialled) = (self.now.since(answered), self.now.since(placed));
        for (variable, span) in [("ANSWEREDTIME", talked), ("DIALEDTIME", dialled)] {
            self.varset(caller, variable, &span.as_secs().to_string());
            self.varset(caller, &format!("{variable}_MS"), &span.as_millis().to_string());
        }
        self.varset(caller, "DIALSTATUS", "ANSWER");
    }

    /// The dialplan of a caller is over: SoftHangupRequest, Hangup and its row, in the order of the version.
    pub(super) fn close_caller(&mut self, caller: &str) {
        self.soft_hangup(caller, 16);
        let row = self.cdr_event(caller);
        let call = self.channels.get(caller).and_then(|channel| channel.party()).map(|(call, _)| call);
        if self.config.style == Style::Asterisk16 {
            self.bury(caller);
        }
        if let Some(row) = row {
            self.emit(row);
        }
        self.bury(caller);
        if let Some(call) = call {
            self.forget(call);
        }
    }

    /// The end of a channel of any kind: its snoops, its stream, its Hangup.
    pub(super) fn bury(&mut self, id: &str) {
        self.leave(id);
        let snoops = self.channels.get_mut(id).map(|channel| std::mem::take(&mut channel.snoops)).unwrap_or_default();
        for snoop in snoops.iter().rev() {
            self.end_snoop(snoop);
        }
        let Some(channel) = self.channels.get(id) else { return };
        let mut event = Event::new("Hangup", CALL)
            .channel("", channel)
            .put("Cause", channel.cause)
            .put("Cause-txt", cause_text(channel.cause));
        if let Some(cause) = channel.tech_cause {
            event = event.put("TechCause", cause);
        }
        self.emit(event);
        self.destroyed(id);
        if let Some(channel) = self.channels.remove(id) {
            self.names.remove(&channel.name);
            if matches!(channel.kind, Kind::External { .. }) {
                self.media.push(MediaCommand::Close { id: channel.id });
            }
        }
    }

    /// ChannelDestroyed goes to whoever made the channel, and to whoever wants everything.
    fn destroyed(&mut self, id: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        if !channel.made_by_ari {
            channel.watchers.clear();
        }
        if matches!(channel.kind, Kind::External { .. }) || (matches!(channel.kind, Kind::Local { .. }) && channel.made_by_ari) {
            "AppDial2".clone_into(&mut channel.app);
            "(Outgoing Line)".clone_into(&mut channel.app_data);
        }
        let cause = channel.cause;
        let mut message = self
            .message(Json::object(), "ChannelDestroyed")
            .number("cause", u64::from(cause))
            .text("cause_txt", cause_text(cause));
        if let Some(tech_cause) = self.channels.get(id).and_then(|channel| channel.tech_cause) {
            message = message.number("tech_cause", u64::from(tech_cause));
        }
        self.tell_channel(id, message);
    }

    fn end_snoop(&mut self, id: &str) {
        self.leave(id);
        self.stasis_end(id);
        self.spy_event("ChanSpyStop", id);
        let row = self.cdr_event(id);
        self.bury(id);
        if let Some(row) = row {
            self.emit(row);
        }
    }

    /// Asked for by AMI or ARI, whatever kind of channel it is. `reason` as `soft_hangup` has it.
    pub(crate) fn hang_up(&mut self, id: &str, reason: u16) {
        let Some(kind) = self.channels.get(id).map(|channel| channel.kind.clone()) else {
            return;
        };
        match kind {
            Kind::Party { call, side } => self.hang_up_party(call, side, id, reason),
            Kind::Snoop { of, .. } => {
                if let Some(channel) = self.channels.get_mut(&of) {
                    channel.snoops.retain(|snoop| snoop != id);
                }
                self.soft_hangup(id, reason);
                self.end_snoop(id);
            }
            Kind::External { .. } => {
                self.soft_hangup(id, reason);
                self.leave(id);
                self.stasis_end(id);
                self.varset(id, "STASISSTATUS", "SUCCESS");
                let row = self.cdr_event(id);
                self.bury(id);
                if let Some(row) = row {
                    self.emit(row);
                }
            }
            Kind::Local { peer, .. } => self.hang_up_local(id, &peer, reason),
        }
    }

    fn hang_up_party(&mut self, call: CallId, side: Side, id: &str, reason: u16) {
        self.soft_hangup(id, reason);
        let Some(found) = self.calls.get(&call) else { return };
        let (caller, callee, up) = (found.caller.clone(), found.callee.clone(), found.answered.is_some());
        match callee {
            Some(_) if up => self.part(call, side),
            Some(callee) => {
                self.give_up_ringing(call, &caller, &callee);
                self.close_caller(&caller);
            }
            None => {
                self.leave(&caller);
                self.stasis_end(&caller);
                self.close_caller(&caller);
            }
        }
    }

    fn hang_up_local(&mut self, id: &str, peer: &str, reason: u16) {
        self.soft_hangup(id, reason);
        self.leave(id);
        self.stasis_end(id);
        self.hangup_request(peer, Some(16), None);
        self.leave(peer);
        self.stasis_end(peer);
        let second = if id.ends_with(";2") { id } else { peer };
        let row = self.cdr_event(second);
        self.bury(id);
        self.soft_hangup(peer, 16);
        self.bury(peer);
        if let Some(row) = row {
            self.emit(row);
        }
    }

    /// A call without legs: its voices stay known for a while, and the office places another.
    pub(super) fn forget(&mut self, call: CallId) {
        let Some(found) = self.calls.remove(&call) else { return };
        self.remember(call, found.voices);
        self.counts.calls_ended += 1;
        if found.generated {
            let pause = Duration::from_millis(200 + self.rng.below(1800));
            self.after(pause, Timer::Populate);
        }
    }

    pub(super) fn solo_over(&mut self, call: CallId) {
        let Some(found) = self.calls.get(&call) else { return };
        let caller = found.caller.clone();
        let tech = |code| (self.config.style == Style::Asterisk22).then_some(code);
        let (cause, tech_cause) = if self.channels.get(&caller).is_some_and(|channel| channel.state == State::Busy) {
            (17, tech(486))
        } else {
            (127, tech(487))
        };
        self.set_cause(&caller, cause, tech_cause);
        let told = self.cause_told(call).then_some(cause);
        self.hangup_request(&caller, told, told.and(tech_cause));
        self.close_caller(&caller);
    }
}
