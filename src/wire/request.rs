//! What may be asked of a tenant or a call, as plain values: they travel to the tenant's shard, here or on
//! another node, with the caller and the time that is left. Reply ports are only in the local envelope.

use aimg_domain::call::{ActionName, BlindInterval, CallSession};
use aimg_domain::pbx::{AmiAccess, AriAccess, MediaAccess, Pbx, PbxStatus, PbxTest};
use aimg_domain::{CallId, Caller, PbxId, PbxLinkId, RecordingId, TenantId};
use serde::{Deserialize, Serialize};

/// Carried by every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked<T> {
    pub tenant: TenantId,
    pub caller: Caller,
    /// Time left when it was sent. Nobody compares clocks.
    pub remaining_ms: u64,
    pub body: T,
}

/// Asked of a tenant. Records (pbxs, links) are already written by whoever asks: these tell the tree to act on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TenantRequest {
    /// Read the record again and connect, reconnect or change what it says.
    ApplyPbx {
        pbx: PbxId,
    },
    /// Disconnect; sessions of the pbx end as `failed` with the reason.
    DetachPbx {
        pbx: PbxId,
    },
    ApplyLink {
        link: PbxLinkId,
    },
    RemoveLink {
        link: PbxLinkId,
    },
    PbxStatuses,
    /// Try an access that need not be saved.
    TestPbx {
        access: Box<PbxAccess>,
    },
    Originate(Box<Originate>),
    /// Sessions that have not ended, newest first.
    ActiveCalls,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TenantReply {
    Done,
    Statuses(Vec<(PbxId, PbxStatus)>),
    Tested(PbxTest),
    Originated(CallId),
    Calls(Vec<CallSession>),
}

/// Secrets are inside: only the codec of the cluster link writes them, never JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PbxAccess {
    pub pbx: Option<PbxId>,
    pub ami: AmiAccess,
    pub ari: Option<AriAccess>,
    pub media: MediaAccess,
}

impl From<&Pbx> for PbxAccess {
    fn from(pbx: &Pbx) -> PbxAccess {
        PbxAccess {
            pbx: Some(pbx.id),
            ami: pbx.ami.clone(),
            ari: pbx.ari.clone(),
            media: pbx.media.clone(),
        }
    }
}

/// Start a call: the PBX rings `endpoint`; when it answers it is joined with where the call goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Originate {
    pub link: PbxLinkId,
    /// `PJSIP/1001`, `Local/600@internal`
    pub endpoint: String,
    pub to: OriginateTo,
    pub caller_number: Option<String>,
    pub caller_name: Option<String>,
    /// How long to let it ring.
    pub ring_timeout_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OriginateTo {
    /// The PBX's dialplan.
    Extension { context: String, exten: String },
    /// Our Stasis application.
    Stasis,
}

/// Asked of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CallRequest {
    Get,
    Act(CallAction),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CallReply {
    Call(Box<CallDetail>),
    Done { call: Box<CallDetail>, recording: Option<RecordingId> },
}

/// A live session with what can be done to it now. For an ended one every action says `call already ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallDetail {
    pub session: CallSession,
    /// `(action, None)` is possible; `Some(why)` is not.
    pub actions: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CallAction {
    Answer,
    Hangup,
    /// Stops what this leg says from being heard (and, for `both`, what it hears).
    Mute {
        leg: Option<String>,
        direction: MuteDirection,
    },
    Unmute {
        leg: Option<String>,
        direction: MuteDirection,
    },
    /// 0-9 * # A-D, at most 64.
    Dtmf {
        leg: Option<String>,
        digits: String,
    },
    StartRecording,
    StopRecording,
    PauseRecording,
    ResumeRecording,
    /// Known, but opened by a later issue: always `not possible here` with the reason.
    Other {
        action: String,
    },
}

impl CallAction {
    pub fn name(&self) -> &str {
        match self {
            CallAction::Answer => ActionName::Answer.as_str(),
            CallAction::Hangup => ActionName::Hangup.as_str(),
            CallAction::Mute { .. } => ActionName::Mute.as_str(),
            CallAction::Unmute { .. } => ActionName::Unmute.as_str(),
            CallAction::Dtmf { .. } => ActionName::Dtmf.as_str(),
            CallAction::StartRecording => ActionName::StartRecording.as_str(),
            CallAction::StopRecording => ActionName::StopRecording.as_str(),
            CallAction::PauseRecording => ActionName::PauseRecording.as_str(),
            CallAction::ResumeRecording => ActionName::ResumeRecording.as_str(),
            CallAction::Other { action } => action,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteDirection {
    /// What the leg says.
    In,
    /// What the leg hears.
    Out,
    Both,
}

/// What a reconciliation changed in one call; the data of `call.reconciled`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconciled {
    pub blind: BlindInterval,
    /// `adopted`, `ended`, `corrected`
    pub what: String,
    pub details: Vec<String>,
}
