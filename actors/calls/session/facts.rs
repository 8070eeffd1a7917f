//! What each fact means for the call.

use super::CallSessionMachine;
use super::saved::{Asked, Dialled, QueueStay};
use crate::calls::channel::{ChannelKind, channels_of};
use aimg_domain::call::{CallState, DtmfDigit, LegRole, RecordingState};
use aimg_domain::{EventKind, Timestamp};
use aimg_pbx::fact::{Channel, ChannelState, Fact, Told};
use serde_json::{Value, json};

/// Of digits and of askers, in the record: beyond it the oldest go.
const DIGITS_KEPT: usize = 256;
const ASKERS_KEPT: usize = 64;
const NORMAL_CLEARING: u16 = 16;
const SOFT_EXPLICIT: u16 = 32;
/// Interworking: what a caller's CANCEL becomes.
const GIVEN_UP: u16 = 127;

impl CallSessionMachine {
    pub(super) fn told(&mut self, told: &Told) {
        // Asterisk's clock may have been set back: a call never moves before its own beginning.
        let at = told.at.max(self.session.started_at);
        if let Fact::NewChannel(channel) = &told.fact {
            self.new_channel(channel, told.at);
        }
        for channel in channels_of(&told.fact) {
            self.refresh(channel, at);
        }
        self.mean(&told.fact, at);
        self.settle(at);
    }

    fn mean(&mut self, fact: &Fact, at: Timestamp) {
        match fact {
            Fact::ChannelRenamed { uniqueid, name } => self.renamed(uniqueid, name),
            Fact::DialEnd { to, status, .. } => self.dial_ended(to, Dialled::from_status(*status), at),
            Fact::BridgeEntered { bridge, channel } => self.parked(&channel.uniqueid, bridge.kind == "parking", at),
            Fact::Held { channel } => self.held(&channel.uniqueid, true, at),
            Fact::Unheld { channel } => self.held(&channel.uniqueid, false, at),
            Fact::Dtmf { channel, digit, duration_ms } => self.dtmf(&channel.uniqueid, *digit, *duration_ms, at),
            Fact::HangupRequested { channel, cause } => self.asked(&channel.uniqueid, *cause, at),
            Fact::HungUp { channel, cause, cause_text } => self.hung_up(&channel.uniqueid, *cause, cause_text, at),
            Fact::BlindTransferred {
                transferer, exten, context, ..
            } => {
                let data = json!({ "kind": "blind", "by": self.leg_id(&transferer.uniqueid), "exten": exten, "context": context });
                self.transferred(data, at);
            }
            Fact::AttendedTransferred { transferer, target } => {
                let target = target.as_ref().and_then(|target| self.leg_id(&target.uniqueid));
                self.transferred(json!({ "kind": "attended", "by": self.leg_id(&transferer.uniqueid), "target": target }), at);
            }
            Fact::Parked { channel, .. } => self.parked(&channel.uniqueid, true, at),
            Fact::Unparked { channel, .. } => self.parked(&channel.uniqueid, false, at),
            Fact::QueueJoined { channel, queue } => self.queue_joined(channel, queue, at),
            Fact::QueueAbandoned { waited_s, .. } => self.queue_left(Some(*waited_s), None, at),
            Fact::QueueAnswered { agent, waited_s, .. } => self.queue_left(Some(*waited_s), Some(agent.clone()), at),
            Fact::Muted { uniqueid, on } => self.muted(uniqueid, *on, at),
            Fact::Stasis { uniqueid, entered, .. } => self.stasis(uniqueid, *entered),
            // Told for their channels only, or of no meaning for the record.
            Fact::NewChannel(_)
            | Fact::ChannelChanged { .. }
            | Fact::DialBegin { .. }
            | Fact::BridgeLeft { .. }
            | Fact::QueueLeft { .. }
            | Fact::LocalOptimized { .. }
            | Fact::Rtcp { .. }
            | Fact::Cdr { .. } => {}
        }
    }

    fn dial_ended(&mut self, to: &Channel, dialled: Option<Dialled>, at: Timestamp) {
        let Some(dialled) = dialled else { return };
        // Of several that were called the losers are cancelled: that says nothing of how it went.
        let loser = dialled == Dialled::Canceled && self.saved.dialled.is_some();
        if !loser {
            self.saved.dialled = Some(dialled);
        }
        if dialled == Dialled::Answered
            && let Some(channel) = self.saved.channel_mut(&to.uniqueid)
            && !channel.ended
            && !channel.up
        {
            channel.up = true;
            self.leg_answered(&to.uniqueid, at);
        }
        if dialled == Dialled::Answered && to.name.is_empty() && self.session.connected_at.is_none() {
            // Another tenant's: its leg is not shown, that it answered is.
            self.saved.far_answered = true;
        }
    }

    fn asked(&mut self, uniqueid: &str, cause: Option<u16>, at: Timestamp) {
        let Some(channel) = self.saved.channel(uniqueid) else { return };
        // Asterisk's own: it hangs up what it has signalled busy to or passed a refusal on to, what a manager told it to
        // (32, a flag of its soft hang-ups and no cause of Q.850), and what was never answered when its dialplan ends
        // (16: who gives up waiting says otherwise).
        let refused = matches!(self.saved.dialled, Some(Dialled::Busy | Dialled::Rejected | Dialled::Failed)) && cause != Some(GIVEN_UP);
        let signalled = self.saved.primary.as_deref() == Some(uniqueid) && (self.saved.busy || refused && !channel.up);
        let own = signalled || cause == Some(SOFT_EXPLICIT) || cause == Some(NORMAL_CLEARING) && !channel.up;
        let asks = channel.kind == ChannelKind::Party && !channel.ended && !own;
        if asks && self.saved.asked.len() < ASKERS_KEPT && !self.saved.asked.iter().any(|asked| asked.uniqueid == uniqueid) {
            self.saved.asked.push(Asked {
                uniqueid: uniqueid.to_owned(),
                at,
                cause,
            });
        }
    }

    fn held(&mut self, uniqueid: &str, on: bool, at: Timestamp) {
        let Some(leg) = self.leg_mut(uniqueid).filter(|leg| leg.ended_at.is_none() && leg.held != on) else {
            return;
        };
        leg.held = on;
        self.hold_event(uniqueid, on, "held", at);
    }

    fn parked(&mut self, uniqueid: &str, on: bool, at: Timestamp) {
        let Some(leg) = self.leg_mut(uniqueid).filter(|leg| leg.ended_at.is_none() && leg.parked != on) else {
            return;
        };
        leg.parked = on;
        self.hold_event(uniqueid, on, "parked", at);
    }

    fn hold_event(&mut self, uniqueid: &str, on: bool, reason: &str, at: Timestamp) {
        let kind = if on { EventKind::CallHeld } else { EventKind::CallUnheld };
        let leg = self.leg_data(uniqueid);
        self.event(kind, at, json!({ "leg": leg, "reason": reason }));
    }

    pub(super) fn muted(&mut self, uniqueid: &str, on: bool, at: Timestamp) {
        let Some(leg) = self.leg_mut(uniqueid).filter(|leg| leg.ended_at.is_none() && leg.muted != on) else {
            return;
        };
        leg.muted = on;
        let kind = if on { EventKind::CallMuted } else { EventKind::CallUnmuted };
        let leg = self.leg_data(uniqueid);
        self.event(kind, at, json!({ "leg": leg }));
    }

    fn dtmf(&mut self, uniqueid: &str, digit: char, duration_ms: u32, at: Timestamp) {
        let Some(role) = self.leg_mut(uniqueid).map(|leg| leg.role) else { return };
        let shown = self.config.show_dtmf && self.session.recording != RecordingState::Paused;
        let digit = Some(digit).filter(|_| shown);
        if self.session.dtmf.len() >= DIGITS_KEPT {
            self.session.dtmf.remove(0);
        }
        self.session.dtmf.push(DtmfDigit {
            digit,
            at,
            duration_ms,
            leg: uniqueid.to_owned(),
        });
        self.event(
            EventKind::CallDtmf,
            at,
            json!({ "digit": digit, "masked": digit.is_none(), "duration_ms": duration_ms, "leg": uniqueid, "role": role }),
        );
    }

    fn transferred(&mut self, data: Value, at: Timestamp) {
        self.event(EventKind::CallTransferred, at, data);
    }

    fn queue_joined(&mut self, channel: &Channel, queue: &str, at: Timestamp) {
        if self.saved.channel(&channel.uniqueid).is_some() && self.saved.queue.as_ref().is_none_or(|stay| stay.waited_ms.is_some()) {
            self.saved.queue = Some(QueueStay {
                name: queue.to_owned(),
                joined_at: at,
                waited_ms: None,
                agent: None,
                abandoned: false,
            });
            self.dirty = true;
        }
    }

    /// `agent`: `Some` when one took the call, named or not.
    fn queue_left(&mut self, waited_s: Option<u64>, agent: Option<Option<String>>, at: Timestamp) {
        let Some(stay) = self.saved.queue.as_mut() else { return };
        stay.waited_ms = Some(waited_s.map_or_else(|| u64::try_from(at.since(stay.joined_at).as_millis()).unwrap_or(0), |s| s.saturating_mul(1000)));
        stay.abandoned = agent.is_none();
        if let Some(agent) = agent {
            stay.agent = agent;
            self.saved.far_answered = true;
        }
        self.dirty = true;
    }

    fn stasis(&mut self, uniqueid: &str, entered: bool) {
        if let Some(channel) = self.saved.channel_mut(uniqueid) {
            channel.in_stasis = entered;
            self.note_stasis();
        }
    }

    pub(super) fn note_stasis(&mut self) {
        let in_stasis = self.saved.live().any(|channel| channel.in_stasis);
        if self.session.in_stasis != in_stasis && !self.session.is_ended() {
            self.session.in_stasis = in_stasis;
            self.dirty = true;
        }
    }

    /// Draws the conclusions of what was told: begin, ring, answer, join, end. Only ever forward.
    pub(super) fn settle(&mut self, at: Timestamp) {
        if self.saved.channels.is_empty() || self.session.is_ended() {
            return;
        }
        self.begin(at);
        if self.session.state == CallState::Up {
            self.connect(at);
        } else if self.is_answered() {
            self.session.state = CallState::Up;
            self.session.answered_at = Some(at);
            self.connect(at);
            self.set_direction();
            self.event(EventKind::CallAnswered, at, json!({}));
        }
        self.set_direction();
        self.join_answered(at);
        if self.saved.live().next().is_none() {
            self.end_of_channels(at);
        }
    }

    /// The call is answered when the channel it began with is; when that is gone, when any other is.
    fn is_answered(&self) -> bool {
        let primary = self.saved.primary.as_deref().and_then(|id| self.saved.channel(id));
        match primary {
            Some(primary) if primary.up => true,
            Some(primary) if !primary.ended => false,
            _ => self.saved.live().any(|channel| channel.up),
        }
    }

    fn connect(&mut self, at: Timestamp) {
        let person = self.session.legs.iter().any(|leg| leg.role == LegRole::Callee && leg.answered_at.is_some());
        if self.session.connected_at.is_none() && (person || self.saved.far_answered) {
            self.session.connected_at = Some(at);
            self.dirty = true;
        }
    }

    pub(super) fn ring(&mut self, at: Timestamp) {
        if self.session.state == CallState::Detected {
            self.begin(at);
            self.session.state = CallState::Ringing;
            self.set_direction();
            self.event(EventKind::CallRinging, at, json!({}));
        }
    }

    /// What a channel's state says of the call.
    pub(super) fn channel_state(&mut self, uniqueid: &str, state: ChannelState, at: Timestamp) {
        match state {
            ChannelState::Ringing => self.ring(at),
            ChannelState::Busy if self.saved.primary.as_deref() == Some(uniqueid) => self.saved.busy = true,
            ChannelState::Up => {
                if let Some(channel) = self.saved.channel_mut(uniqueid)
                    && !channel.up
                {
                    channel.up = true;
                    self.leg_answered(uniqueid, at);
                }
            }
            _ => {}
        }
    }
}
