//! A call as it is shown.

use aimg_domain::call::{ActionName, BlindInterval, CallSession, DtmfDigit, Hangup, Leg, Party};
use aimg_domain::quality::TrackQualitySummary;
use aimg_domain::{CallId, PbxId, PbxLinkId, RecordingId, TenantId, Timestamp, UserId};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A unit enum of the domain as its word.
fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallSession)]
pub struct CallView {
    #[schema(value_type = uuid::Uuid)]
    id: CallId,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = uuid::Uuid)]
    pbx_id: PbxId,
    #[schema(value_type = uuid::Uuid)]
    link_id: PbxLinkId,
    /// `inbound`, `outbound`, `internal` or `unknown`
    direction: String,
    /// `detected`, `ringing`, `up` or `ended`
    state: String,
    /// Once ended: `answered`, `no_answer`, `busy`, `canceled`, `rejected`, `abandoned`, `voicemail`, `failed` or `merged`
    outcome: Option<String>,
    caller: PartyView,
    callee: PartyView,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When Asterisk answered: also an announcement answers.
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Timestamp>,
    /// When a person answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    connected_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    ring_ms: i64,
    talk_ms: i64,
    hangup: Option<HangupView>,
    legs: Vec<LegView>,
    linkedids: Vec<String>,
    #[schema(value_type = Option<uuid::Uuid>)]
    merged_into: Option<CallId>,
    #[schema(value_type = Vec<uuid::Uuid>)]
    merged_from: Vec<CallId>,
    /// By action: `true`, or `{not_possible, why}`. null in lists while the call lives.
    #[schema(value_type = Option<Object>)]
    actions: Option<BTreeMap<String, ActionView>>,
    /// `none`, `active`, `paused`, `saved`, `partial` or `failed`
    recording: String,
    /// `none`, `starting`, `flowing` or `refused`
    audio: String,
    quality: Option<QualityView>,
    blind: Vec<BlindView>,
    dtmf: Vec<DtmfView>,
    /// What is not as it should be about the record itself: `stored_late`, …
    flags: Vec<String>,
    /// Of the recording that an action started or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    recording_id: Option<RecordingId>,
}

pub enum ActionView {
    Possible,
    NotPossible { why: String },
}

impl Serialize for ActionView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ActionView::Possible => serializer.serialize_bool(true),
            ActionView::NotPossible { why } => serde_json::json!({"not_possible": true, "why": why}).serialize(serializer),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct PartyView {
    number: Option<String>,
    e164: Option<String>,
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct HangupView {
    /// Q.850
    cause: u16,
    text: String,
    /// `caller`, `callee`, `platform`, `pbx` or `unknown`
    by: String,
}

#[derive(Serialize, ToSchema)]
pub struct LegView {
    id: String,
    uniqueid: String,
    channel: String,
    /// `caller` or `callee`
    role: String,
    endpoint_id: Option<String>,
    #[schema(value_type = Option<uuid::Uuid>)]
    user_id: Option<UserId>,
    number: Option<String>,
    name: Option<String>,
    codec: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    held: bool,
    parked: bool,
    muted: bool,
    hangup: Option<HangupView>,
}

#[derive(Serialize, ToSchema)]
pub struct QualityView {
    tracks: Vec<TrackQualityView>,
}

#[derive(Serialize, ToSchema)]
pub struct TrackQualityView {
    /// `caller`, `callee` or `mixed`
    track: String,
    /// From where it was seen: `pbx_to_us` or `pbx_rtcp`
    vantage: String,
    packets: u64,
    lost: u64,
    loss_percent: f64,
    jitter_ms: f64,
    jitter_ms_max: f64,
    mos: f64,
    mos_min: f64,
    level_dbov: f64,
}

#[derive(Serialize, ToSchema)]
pub struct BlindView {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// null while it lasts
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub struct DtmfView {
    /// null where it is masked
    digit: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    duration_ms: u32,
    leg: String,
}

impl CallView {
    /// `actions`: `(name, why not)`, as the live call says.
    pub fn of(session: &CallSession, actions: Option<&[(String, Option<String>)]>, now: Timestamp) -> CallView {
        CallView {
            id: session.id,
            tenant_id: session.tenant_id,
            pbx_id: session.pbx_id,
            link_id: session.link_id,
            direction: word(session.direction),
            state: word(session.state),
            outcome: session.outcome.map(word),
            caller: PartyView::of(&session.caller),
            callee: PartyView::of(&session.callee),
            started_at: session.started_at,
            answered_at: session.answered_at,
            connected_at: session.connected_at,
            ended_at: session.ended_at,
            ring_ms: session.ring_ms(now),
            talk_ms: session.talk_ms(now),
            hangup: session.hangup.as_ref().map(HangupView::of),
            legs: session.legs.iter().map(LegView::of).collect(),
            linkedids: session.linkedids.clone(),
            merged_into: session.merged_into,
            merged_from: session.merged_from.clone(),
            actions: actions_of(session, actions),
            recording: word(session.recording),
            audio: word(session.audio),
            quality: session.quality.as_ref().map(|quality| QualityView {
                tracks: quality.tracks.iter().map(TrackQualityView::of).collect(),
            }),
            blind: session.blind.iter().map(BlindView::of).collect(),
            dtmf: session.dtmf.iter().map(DtmfView::of).collect(),
            flags: session.flags.clone(),
            recording_id: None,
        }
    }

    pub fn with_recording(mut self, recording: Option<RecordingId>) -> CallView {
        self.recording_id = recording;
        self
    }
}

fn actions_of(session: &CallSession, told: Option<&[(String, Option<String>)]>) -> Option<BTreeMap<String, ActionView>> {
    if session.is_ended() {
        let over = |action: ActionName| {
            (
                action.as_str().to_owned(),
                ActionView::NotPossible {
                    why: "call already ended".into(),
                },
            )
        };
        return Some(ActionName::ALL.into_iter().map(over).collect());
    }
    let one = |(name, why): &(String, Option<String>)| {
        let view = why.clone().map_or(ActionView::Possible, |why| ActionView::NotPossible { why });
        (name.clone(), view)
    };
    told.map(|actions| actions.iter().map(one).collect())
}

impl PartyView {
    fn of(party: &Party) -> PartyView {
        PartyView {
            number: party.number.clone(),
            e164: party.e164.clone(),
            name: party.name.clone(),
        }
    }
}

impl HangupView {
    fn of(hangup: &Hangup) -> HangupView {
        HangupView {
            cause: hangup.cause,
            text: hangup.text.clone(),
            by: word(hangup.by),
        }
    }
}

impl LegView {
    fn of(leg: &Leg) -> LegView {
        LegView {
            id: leg.id.clone(),
            uniqueid: leg.uniqueid.clone(),
            channel: leg.channel.clone(),
            role: word(leg.role),
            endpoint_id: leg.endpoint_id.clone(),
            user_id: leg.user_id,
            number: leg.number.clone(),
            name: leg.name.clone(),
            codec: leg.codec.clone(),
            started_at: leg.started_at,
            answered_at: leg.answered_at,
            ended_at: leg.ended_at,
            held: leg.held,
            parked: leg.parked,
            muted: leg.muted,
            hangup: leg.hangup.as_ref().map(HangupView::of),
        }
    }
}

impl TrackQualityView {
    fn of(summary: &TrackQualitySummary) -> TrackQualityView {
        TrackQualityView {
            track: word(summary.track),
            vantage: word(summary.vantage),
            packets: summary.packets,
            lost: summary.lost,
            loss_percent: summary.loss_percent,
            jitter_ms: summary.jitter_ms,
            jitter_ms_max: summary.jitter_ms_max,
            mos: summary.mos,
            mos_min: summary.mos_min,
            level_dbov: summary.level_dbov,
        }
    }
}

impl BlindView {
    fn of(blind: &BlindInterval) -> BlindView {
        BlindView {
            from: blind.from,
            to: blind.to,
        }
    }
}

impl DtmfView {
    fn of(digit: &DtmfDigit) -> DtmfView {
        DtmfView {
            digit: digit.digit.map(String::from),
            at: digit.at,
            duration_ms: digit.duration_ms,
            leg: digit.leg.clone(),
        }
    }
}
