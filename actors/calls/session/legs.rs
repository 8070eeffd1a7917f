//! Channels and legs: every channel of the call is carried, those of parties are its legs.

use super::CallSessionMachine;
use super::direction::direction;
use super::e164::e164;
use crate::calls::channel::{ChannelKind, endpoint_of};
use crate::calls::resume::ResumeChannel;
use crate::calls::tap::TapLeg;
use aimg_domain::call::{CallState, Leg, LegRole, Party};
use aimg_domain::{EventKind, Timestamp};
use aimg_pbx::fact::{Channel, ChannelState};
use serde_json::json;

/// Of one call. A queue that rings its agents for an hour makes many; beyond it they are carried, not recorded.
const LEGS_KEPT: usize = 128;
const CHANNELS_KEPT: usize = 512;
const LINKEDIDS_KEPT: usize = 64;

impl CallSessionMachine {
    pub(super) fn new_channel(&mut self, channel: &Channel, at: Timestamp) {
        if channel.uniqueid.is_empty() || self.saved.channel(&channel.uniqueid).is_some() {
            return;
        }
        let kind = ChannelKind::of_name(&channel.name);
        if kind == ChannelKind::Tool {
            return;
        }
        if self.saved.channels.len() >= CHANNELS_KEPT {
            let Some(oldest) = self.saved.channels.iter().position(|channel| channel.ended) else {
                return;
            };
            self.saved.channels.remove(oldest);
        }
        self.saved.channels.push(ResumeChannel {
            uniqueid: channel.uniqueid.clone(),
            linkedid: channel.linkedid.clone(),
            name: channel.name.clone(),
            kind,
            up: false,
            in_stasis: false,
            ended: false,
        });
        if !self.saved.begun {
            self.session.started_at = at;
        }
        let at = at.max(self.session.started_at);
        if kind != ChannelKind::Far && self.saved.primary.is_none() {
            self.saved.primary = Some(channel.uniqueid.clone());
        }
        if kind == ChannelKind::Party {
            self.new_leg(channel, at);
        }
    }

    fn new_leg(&mut self, channel: &Channel, at: Timestamp) {
        if self.session.legs.len() >= LEGS_KEPT {
            self.flag("legs_cut");
            return;
        }
        let has_caller = self.session.legs.iter().any(|leg| leg.role == LegRole::Caller);
        // A channel that another one dialled has that one's linkedid, or is still down when it is not the first.
        let first = channel.uniqueid == channel.linkedid || channel.linkedid.is_empty() || channel.state == ChannelState::Ring;
        let role = if first && !has_caller { LegRole::Caller } else { LegRole::Callee };
        self.session.legs.push(Leg {
            id: channel.uniqueid.clone(),
            uniqueid: channel.uniqueid.clone(),
            channel: channel.name.clone(),
            role,
            endpoint_id: Some(endpoint_of(&channel.name).to_owned()),
            user_id: None,
            number: channel.caller_number.clone(),
            name: channel.caller_name.clone(),
            codec: None,
            started_at: at,
            answered_at: None,
            ended_at: None,
            held: false,
            parked: false,
            muted: false,
            hangup: None,
        });
    }

    /// Takes over what a fact says of a channel besides its own meaning.
    pub(super) fn refresh(&mut self, channel: &Channel, at: Timestamp) {
        let Some(known) = self.saved.channel_mut(&channel.uniqueid) else { return };
        if known.ended {
            return;
        }
        if !channel.linkedid.is_empty() {
            known.linkedid.clone_from(&channel.linkedid);
            if !self.session.linkedids.contains(&channel.linkedid) && self.session.linkedids.len() < LINKEDIDS_KEPT {
                self.session.linkedids.push(channel.linkedid.clone());
            }
        }
        if let Some(leg) = self.leg_mut(&channel.uniqueid) {
            for (old, new) in [(&mut leg.number, &channel.caller_number), (&mut leg.name, &channel.caller_name)] {
                if new.is_some() {
                    old.clone_from(new);
                }
            }
        }
        self.name_parties(channel);
        self.channel_state(&channel.uniqueid, channel.state, at);
    }

    pub(super) fn renamed(&mut self, uniqueid: &str, name: &str) {
        if let Some(channel) = self.saved.channel_mut(uniqueid) {
            name.clone_into(&mut channel.name);
        }
        if let Some(leg) = self.leg_mut(uniqueid) {
            name.clone_into(&mut leg.channel);
            self.dirty = true;
        }
    }

    /// Who calls whom, as first known: from the channel the call began with, else from one that was dialled.
    fn name_parties(&mut self, channel: &Channel) {
        let primary = self.saved.primary.as_deref() == Some(channel.uniqueid.as_str());
        let role = self.session.legs.iter().find(|leg| leg.uniqueid == channel.uniqueid).map(|leg| leg.role);
        let (caller, callee) = match (primary, role) {
            (true, Some(LegRole::Callee)) => (
                party(&channel.connected_number, &channel.connected_name),
                party(&channel.caller_number, &channel.caller_name),
            ),
            (true, _) => (party(&channel.caller_number, &channel.caller_name), party(&dialled_exten(channel), &None)),
            (false, Some(LegRole::Callee)) => (Party::default(), party(&channel.caller_number, &channel.caller_name)),
            (false, _) => return,
        };
        let pbx = &self.config.pbx;
        for (known, told) in [(&mut self.session.caller, caller), (&mut self.session.callee, callee)] {
            if known.number.is_none() && told.number.is_some() {
                known.e164 = told
                    .number
                    .as_deref()
                    .and_then(|number| e164(number, pbx.country.as_deref(), pbx.national_prefix.as_deref()));
                known.number = told.number;
            }
            if known.name.is_none() {
                known.name = told.name;
            }
        }
    }

    pub(super) fn leg_mut(&mut self, uniqueid: &str) -> Option<&mut Leg> {
        self.session.legs.iter_mut().find(|leg| leg.uniqueid == uniqueid)
    }

    /// Its id, if the channel is one of our legs.
    pub(super) fn leg_id(&self, uniqueid: &str) -> Option<String> {
        self.session.legs.iter().find(|leg| leg.uniqueid == uniqueid).map(|leg| leg.id.clone())
    }

    pub(super) fn leg_answered(&mut self, uniqueid: &str, at: Timestamp) {
        if let Some(leg) = self.leg_mut(uniqueid)
            && leg.answered_at.is_none()
        {
            leg.answered_at = Some(at);
        }
    }

    /// A leg takes part from when it and the call are answered.
    pub(super) fn join_answered(&mut self, at: Timestamp) {
        if self.session.state != CallState::Up {
            return;
        }
        let joining: Vec<String> = self
            .session
            .legs
            .iter()
            .filter(|leg| leg.answered_at.is_some() && leg.ended_at.is_none() && !self.saved.joined.contains(&leg.uniqueid))
            .map(|leg| leg.uniqueid.clone())
            .collect();
        for uniqueid in joining {
            let data = json!({ "leg": self.leg_data(&uniqueid) });
            self.saved.joined.push(uniqueid);
            self.event(EventKind::ParticipantJoined, at, data);
        }
    }

    /// What a tap may sit on.
    pub(crate) fn tap_legs(&self) -> Vec<TapLeg> {
        let live = self.session.legs.iter().filter(|leg| leg.ended_at.is_none());
        live.map(|leg| TapLeg {
            uniqueid: leg.uniqueid.clone(),
            channel: leg.channel.clone(),
            role: leg.role,
            up: leg.answered_at.is_some(),
            since: leg.started_at,
        })
        .collect()
    }

    pub(super) fn set_direction(&mut self) {
        let settled = matches!(self.session.state, CallState::Up | CallState::Ended);
        self.session.direction = direction(&self.config.pbx, &self.session.legs, settled);
    }

    pub(super) fn withdraw(&mut self, uniqueid: &str, now: Timestamp) {
        if let Some(channel) = self.saved.channel_mut(uniqueid) {
            channel.kind = ChannelKind::Far;
            channel.name.clear();
        }
        let before = self.session.legs.len();
        self.session.legs.retain(|leg| leg.uniqueid != uniqueid);
        self.dirty |= self.session.legs.len() != before;
        if self.saved.primary.as_deref() == Some(uniqueid) {
            let next = self.saved.live().next().map(|channel| channel.uniqueid.clone());
            self.saved.primary = next;
        }
        self.settle(now);
    }
}

fn party(number: &Option<String>, name: &Option<String>) -> Party {
    Party {
        number: number.clone().filter(|number| !number.is_empty()),
        e164: None,
        name: name.clone().filter(|name| !name.is_empty()),
    }
}

/// The extension that a channel asks for; not those that dialplans use for themselves.
fn dialled_exten(channel: &Channel) -> Option<String> {
    channel
        .exten
        .clone()
        .filter(|exten| !exten.is_empty() && !matches!(exten.as_str(), "s" | "h" | "i" | "t" | "o" | "a" | "e" | "failed"))
}
