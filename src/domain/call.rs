//! A call as one tenant sees it: who, when, in which state, and how it ended.

use crate::clock::Timestamp;
use crate::id::{CallId, PbxId, PbxLinkId, TenantId, UserId};
use crate::quality::CallQuality;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallSession {
    pub id: CallId,
    pub tenant_id: TenantId,
    pub pbx_id: PbxId,
    pub link_id: PbxLinkId,
    pub direction: Direction,
    pub state: CallState,
    /// Set when `state` is `ended`, never before.
    pub outcome: Option<Outcome>,
    pub caller: Party,
    pub callee: Party,
    pub started_at: Timestamp,
    /// When Asterisk answered: also an announcement or a queue answers.
    pub answered_at: Option<Timestamp>,
    /// When a person answered.
    pub connected_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub hangup: Option<Hangup>,
    pub legs: Vec<Leg>,
    /// Every linkedid the call's channels ever had.
    pub linkedids: Vec<String>,
    pub merged_into: Option<CallId>,
    pub merged_from: Vec<CallId>,
    pub recording: RecordingState,
    /// Whether a tap delivers audio now.
    pub audio: AudioState,
    /// In our Stasis application: then ARI may answer, hold and play.
    pub in_stasis: bool,
    pub quality: Option<CallQuality>,
    /// When we saw nothing.
    pub blind: Vec<BlindInterval>,
    pub dtmf: Vec<DtmfDigit>,
    /// Said when something about the record itself is not as it should be: `stored_late`, …
    pub flags: Vec<String>,
    /// `seq` of the last event of this call.
    pub seq: u64,
}

impl CallSession {
    /// From the first sight to the answer (or the end). In milliseconds.
    pub fn ring_ms(&self, now: Timestamp) -> i64 {
        let until = self.answered_at.or(self.ended_at).unwrap_or(now);
        (until.0 - self.started_at.0).max(0)
    }

    /// From the answer to the end (or now). In milliseconds; zero when nobody answered.
    pub fn talk_ms(&self, now: Timestamp) -> i64 {
        self.answered_at.map_or(0, |answered| (self.ended_at.unwrap_or(now).0 - answered.0).max(0))
    }

    pub fn is_ended(&self) -> bool {
        self.state == CallState::Ended
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    Detected,
    Ringing,
    Up,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    NoAnswer,
    Busy,
    Canceled,
    Rejected,
    Abandoned,
    Voicemail,
    Failed,
    Merged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
    Internal,
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// As dialled or as shown by the PBX.
    pub number: Option<String>,
    /// `+4930123456`, where the PBX's country makes it certain.
    pub e164: Option<String>,
    pub name: Option<String>,
}

/// One channel of a party (never Local, Snoop or UnicastRTP).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// The channel's uniqueid: it never changes, the channel's name may.
    pub id: String,
    pub uniqueid: String,
    pub channel: String,
    pub role: LegRole,
    /// `PJSIP/1001`: technology and endpoint.
    pub endpoint_id: Option<String>,
    pub user_id: Option<UserId>,
    pub number: Option<String>,
    pub name: Option<String>,
    pub codec: Option<String>,
    pub started_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub held: bool,
    pub parked: bool,
    pub muted: bool,
    pub hangup: Option<Hangup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegRole {
    Caller,
    Callee,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hangup {
    /// Q.850 cause, as Asterisk gives it.
    pub cause: u16,
    pub text: String,
    pub by: HangupBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangupBy {
    Caller,
    Callee,
    /// By this platform's action.
    Platform,
    /// By the PBX (dialplan, time-out, crash).
    Pbx,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    None,
    Active,
    Paused,
    Saved,
    Partial,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioState {
    None,
    Starting,
    Flowing,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindInterval {
    pub from: Timestamp,
    /// `None` while it lasts.
    pub to: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtmfDigit {
    /// `None` where the tenant's policy masks digits.
    pub digit: Option<char>,
    pub at: Timestamp,
    pub duration_ms: u32,
    pub leg: String,
}

/// The actions of a call, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionName {
    Answer,
    Hangup,
    Hold,
    Unhold,
    Mute,
    Unmute,
    Dtmf,
    Play,
    Transfer,
    Park,
    StartRecording,
    StopRecording,
    PauseRecording,
    ResumeRecording,
}

impl ActionName {
    pub const ALL: [ActionName; 14] = [
        ActionName::Answer,
        ActionName::Hangup,
        ActionName::Hold,
        ActionName::Unhold,
        ActionName::Mute,
        ActionName::Unmute,
        ActionName::Dtmf,
        ActionName::Play,
        ActionName::Transfer,
        ActionName::Park,
        ActionName::StartRecording,
        ActionName::StopRecording,
        ActionName::PauseRecording,
        ActionName::ResumeRecording,
    ];

    /// As it stands in the URL.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionName::Answer => "answer",
            ActionName::Hangup => "hangup",
            ActionName::Hold => "hold",
            ActionName::Unhold => "unhold",
            ActionName::Mute => "mute",
            ActionName::Unmute => "unmute",
            ActionName::Dtmf => "dtmf",
            ActionName::Play => "play",
            ActionName::Transfer => "transfer",
            ActionName::Park => "park",
            ActionName::StartRecording => "start-recording",
            ActionName::StopRecording => "stop-recording",
            ActionName::PauseRecording => "pause-recording",
            ActionName::ResumeRecording => "resume-recording",
        }
    }
}

/// Whether an action can be done now, and why not. Shown as `true` or `{"not_possible": true, "why": …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    Possible,
    NotPossible { why: String },
}

/// By the action's name in the URL.
pub type Actions = BTreeMap<&'static str, Availability>;

impl Serialize for Availability {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Availability::Possible => serializer.serialize_bool(true),
            Availability::NotPossible { why } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("not_possible", &true)?;
                map.serialize_entry("why", why)?;
                map.end()
            }
        }
    }
}
