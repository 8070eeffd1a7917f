//! What can be done to a call now, by which means, and why not. Pure: it decides, others do.
//!
//! The means differ: a call in our Stasis application is driven over ARI, a plain dialplan call over AMI.

mod plan;
#[cfg(test)]
mod tests;

use crate::calls::channel::ChannelKind;
use crate::calls::resume::ResumeChannel;
use crate::calls::session::CallSessionMachine;
use aimg_domain::Timestamp;
use aimg_domain::call::{ActionName, Actions, Availability, CallSession, CallState, Leg, RecordingState};
use aimg_domain::link::{AudioPolicy, PbxLink, RecordingPolicy};
use aimg_domain::pbx::{PbxState, PbxStatus};

/// Everything an availability depends on.
pub struct Standing<'a> {
    pub session: &'a CallSession,
    pub channels: &'a [ResumeChannel],
    pub link: &'a PbxLink,
    pub pbx: &'a PbxStatus,
    /// The PBX has ARI access: without it no tap, no Stasis.
    pub has_ari: bool,
}

impl CallSessionMachine {
    pub fn standing<'a>(&'a self, pbx: &'a PbxStatus) -> Standing<'a> {
        Standing {
            session: self.session(),
            channels: &self.saved().channels,
            link: &self.config().link,
            pbx,
            has_ari: self.config().pbx.ari.is_some(),
        }
    }
}

/// One thing to do, in abstract form. The AMI ones name the channel, the ARI ones its uniqueid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PbxStep {
    /// AMI `Hangup` (cause 16), or ARI `DELETE /channels/{uniqueid}`: both accept every channel.
    HangupChannel { channel: String, uniqueid: String },
    /// AMI `PlayDTMF`.
    PlayDtmf { channel: String, digit: char },
    /// AMI `MuteAudio` (`res_mutestream`).
    MuteAudio {
        channel: String,
        uniqueid: String,
        direction: MuteAudioDirection,
        on: bool,
    },
    /// `POST /channels/{uniqueid}/answer`
    AriAnswer { uniqueid: String },
    /// `POST` or `DELETE /channels/{uniqueid}/mute`
    AriMute {
        uniqueid: String,
        direction: MuteAudioDirection,
        on: bool,
    },
    /// `POST /channels/{uniqueid}/dtmf`
    AriDtmf { uniqueid: String, digits: String },
    /// Not the PBX's: the call's media do it, and report.
    Recorder(RecorderStep),
}

/// Seen from the channel. Asterisk's names: `in`, `out`, AMI `all` and ARI `both`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuteAudioDirection {
    In,
    Out,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecorderStep {
    Start,
    Stop,
    Pause,
    Resume,
}

const LATER: &str = "not offered by this version of the gateway";

impl Standing<'_> {
    /// Every action by name: possible, or why not.
    pub fn actions(&self) -> Actions {
        let availability = |action: ActionName| match self.refusal(action) {
            None => Availability::Possible,
            Some(why) => Availability::NotPossible { why },
        };
        ActionName::ALL.into_iter().map(|action| (action.as_str(), availability(action))).collect()
    }

    /// As `wire::CallDetail` carries them.
    pub fn action_list(&self) -> Vec<(String, Option<String>)> {
        ActionName::ALL
            .into_iter()
            .map(|action| (action.as_str().to_owned(), self.refusal(action)))
            .collect()
    }

    /// Since when and why the PBX cannot be asked.
    pub(super) fn down(&self) -> Option<(Timestamp, String)> {
        if self.pbx.state == PbxState::Attached {
            return None;
        }
        let reason = self.pbx.reason.clone().unwrap_or_else(|| match self.pbx.state {
            PbxState::Connecting => "it is being connected".to_owned(),
            PbxState::Detached => "it is detached".to_owned(),
            PbxState::Refused => "it does not let us in".to_owned(),
            PbxState::Blind | PbxState::Attached => "the connection is lost".to_owned(),
        });
        Some((self.pbx.since, reason))
    }

    fn refusal(&self, action: ActionName) -> Option<String> {
        if self.session.is_ended() {
            return Some("call already ended".to_owned());
        }
        if let Some((since, reason)) = self.down().filter(|_| needs_pbx(action)) {
            return Some(format!("PBX link down since {since}: {reason}"));
        }
        self.refused_here(action).map(str::to_owned)
    }

    /// Why the action is not possible for this call, PBX and end of call aside.
    pub(super) fn refused_here(&self, action: ActionName) -> Option<&'static str> {
        match action {
            ActionName::Hangup => self.live().next().is_none().then_some("no channel of it is known"),
            ActionName::Answer => self.refused_answer(),
            ActionName::Dtmf => self.without_leg(|_| true, "no leg can be sent digits"),
            ActionName::Mute => self.without_leg(|leg| !leg.muted, "every answered leg is muted"),
            ActionName::Unmute => self.without_leg(|leg| leg.muted, "no leg is muted"),
            ActionName::StartRecording | ActionName::StopRecording | ActionName::PauseRecording | ActionName::ResumeRecording => self.refused_recording(action),
            ActionName::Hold | ActionName::Unhold | ActionName::Play | ActionName::Transfer | ActionName::Park => Some(LATER),
        }
    }

    fn refused_answer(&self) -> Option<&'static str> {
        if self.session.state == CallState::Up {
            Some("it is already answered")
        } else if !self.session.in_stasis {
            Some("the call is in the PBX's own dialplan, which answers it: only calls in our Stasis application can be answered")
        } else {
            None
        }
    }

    fn refused_recording(&self, action: ActionName) -> Option<&'static str> {
        let recording = self.session.recording;
        match action {
            ActionName::StartRecording => self.refused_start(),
            ActionName::PauseRecording if recording == RecordingState::Active => None,
            ActionName::PauseRecording if recording == RecordingState::Paused => Some("the recording is already paused"),
            ActionName::ResumeRecording if recording == RecordingState::Paused => None,
            ActionName::ResumeRecording if recording == RecordingState::Active => Some("the recording is not paused"),
            ActionName::StopRecording if matches!(recording, RecordingState::Active | RecordingState::Paused) => None,
            _ => Some("it is not being recorded"),
        }
    }

    fn refused_start(&self) -> Option<&'static str> {
        if self.link.recording == RecordingPolicy::Never {
            Some("the policy of the link forbids recording")
        } else if self.link.audio == AudioPolicy::None {
            Some("the policy of the link allows no audio")
        } else if !self.has_ari {
            Some("the PBX is followed over AMI alone: without ARI there is no audio")
        } else if matches!(self.session.recording, RecordingState::Active | RecordingState::Paused) {
            Some("it is already being recorded")
        } else if self.session.state != CallState::Up {
            Some("it is not answered yet")
        } else if !self.session.legs.iter().any(|leg| leg.ended_at.is_none()) {
            Some("no channel of a party to hear it from: only Local channels")
        } else {
            None
        }
    }

    fn without_leg(&self, fits: impl Fn(&Leg) -> bool, why: &'static str) -> Option<&'static str> {
        if self.answered_legs().next().is_none() {
            return Some("no leg is answered yet");
        }
        (!self.answered_legs().any(fits)).then_some(why)
    }

    fn answered_legs(&self) -> impl Iterator<Item = &Leg> {
        self.session.legs.iter().filter(|leg| leg.ended_at.is_none() && leg.answered_at.is_some())
    }

    fn live(&self) -> impl Iterator<Item = &ResumeChannel> {
        self.channels.iter().filter(|channel| !channel.ended && channel.kind != ChannelKind::Far)
    }

    fn in_stasis(&self, uniqueid: &str) -> bool {
        self.channels.iter().any(|channel| channel.uniqueid == uniqueid && channel.in_stasis)
    }
}

/// Stopping or pausing a recording is ours alone.
fn needs_pbx(action: ActionName) -> bool {
    !matches!(action, ActionName::StopRecording | ActionName::PauseRecording | ActionName::ResumeRecording)
}
