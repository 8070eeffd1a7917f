//! What the machine knows beyond the session's record: stored beside it, read back after a restart.

use crate::calls::channel::ChannelKind;
use crate::calls::resume::ResumeChannel;
use aimg_domain::Timestamp;
use aimg_domain::call::CallSession;
use aimg_pbx::fact::DialStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedCall {
    /// Start of the PBX's boot that the uniqueids belong to.
    pub boot: Option<Timestamp>,
    /// `call.started` was stored.
    pub begun: bool,
    pub channels: Vec<ResumeChannel>,
    /// The channel whose answer is the call's.
    pub primary: Option<String>,
    /// Legs whose joining was told.
    pub joined: Vec<String>,
    /// How the last attempt to reach somebody went.
    pub dialled: Option<Dialled>,
    /// The PBX signalled busy to the caller.
    pub busy: bool,
    /// Somebody answered whose leg is not among ours: another tenant's, or a queue's agent.
    pub far_answered: bool,
    pub queue: Option<QueueStay>,
    /// Who asked for the end, in order.
    pub asked: Vec<Asked>,
    /// Q.850, of the channel the call began with.
    pub primary_cause: Option<u16>,
    pub platform_hangup: bool,
    pub audio_wanted: bool,
    pub media_on: bool,
    pub audio_flowed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub uniqueid: String,
    pub at: Timestamp,
    pub cause: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStay {
    pub name: String,
    pub joined_at: Timestamp,
    pub waited_ms: Option<u64>,
    pub agent: Option<String>,
    pub abandoned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialled {
    Answered,
    Busy,
    NoAnswer,
    Canceled,
    Rejected,
    Failed,
}

impl Dialled {
    /// `None` where the status says nothing of how it ended.
    pub fn from_status(status: DialStatus) -> Option<Dialled> {
        Some(match status {
            DialStatus::Answer => Dialled::Answered,
            DialStatus::Busy => Dialled::Busy,
            DialStatus::NoAnswer => Dialled::NoAnswer,
            DialStatus::Cancel => Dialled::Canceled,
            DialStatus::DontCall | DialStatus::Torture => Dialled::Rejected,
            DialStatus::Congestion | DialStatus::ChanUnavail | DialStatus::Invalid => Dialled::Failed,
            DialStatus::Continue | DialStatus::Goto | DialStatus::Abort | DialStatus::Unknown => return None,
        })
    }
}

impl SavedCall {
    /// What `CallSessionMachine::snapshot` gave; if it cannot be read, what the session's own record tells.
    pub fn read(value: &Value, session: &CallSession) -> SavedCall {
        SavedCall::deserialize(value)
            .ok()
            .filter(|_| value.is_object())
            .unwrap_or_else(|| SavedCall::of_session(session))
    }

    fn of_session(session: &CallSession) -> SavedCall {
        let linkedid = session.linkedids.first().cloned().unwrap_or_default();
        let channels = session.legs.iter().map(|leg| ResumeChannel {
            uniqueid: leg.uniqueid.clone(),
            linkedid: linkedid.clone(),
            name: leg.channel.clone(),
            kind: ChannelKind::Party,
            up: leg.answered_at.is_some(),
            in_stasis: session.in_stasis,
            ended: leg.ended_at.is_some(),
        });
        SavedCall {
            begun: session.seq > 0,
            channels: channels.collect(),
            primary: session.legs.first().map(|leg| leg.uniqueid.clone()),
            joined: session
                .legs
                .iter()
                .filter(|leg| leg.answered_at.is_some())
                .map(|leg| leg.uniqueid.clone())
                .collect(),
            ..SavedCall::default()
        }
    }

    pub fn channel(&self, uniqueid: &str) -> Option<&ResumeChannel> {
        self.channels.iter().find(|channel| channel.uniqueid == uniqueid)
    }

    pub fn channel_mut(&mut self, uniqueid: &str) -> Option<&mut ResumeChannel> {
        self.channels.iter_mut().find(|channel| channel.uniqueid == uniqueid)
    }

    /// Channels of this call that live; not those of other tenants.
    pub fn live(&self) -> impl Iterator<Item = &ResumeChannel> {
        self.channels.iter().filter(|channel| !channel.ended && channel.kind != ChannelKind::Far)
    }
}
