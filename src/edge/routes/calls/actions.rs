//! What can be done to a call: `POST call-sessions/{id}/<action>`.

use super::{CallView, own, stored};
use crate::ask::Ask;
use crate::reply::Reply;
use crate::route::{Access, Answers, Handler, Route, route, schema};
use crate::routes::handler;
use crate::spec::{Field, Kind};
use aimg_domain::call::ActionName;
use aimg_domain::role::Permission;
use aimg_domain::{CallId, Fault};
use aimg_wire::request::{CallAction, CallReply, CallRequest, MuteDirection};
use http::Method;

const LEG: Field = Field::may(
    "leg",
    Kind::Text { min: 1, max: 200 },
    "A leg's id; without it the one that is meant is chosen.",
);
const MUTE: &[Field] = &[
    LEG,
    Field::may(
        "direction",
        Kind::OneOf(&["in", "out", "both"]),
        "What the leg says (`in`, unless told), hears, or both.",
    ),
];
const DTMF: &[Field] = &[LEG, Field::must("digits", Kind::Dtmf { max: 64 }, "")];
const PLAY: &[Field] = &[LEG, Field::may("media", Kind::Text { min: 1, max: 500 }, "")];
const TRANSFER: &[Field] = &[
    Field::may("to", Kind::Text { min: 1, max: 200 }, ""),
    Field::may("type", Kind::OneOf(&["blind", "attended"]), ""),
];

/// Each action with its fields and what it does, in words.
pub fn rows() -> Vec<Route> {
    ActionName::ALL.into_iter().map(row).collect()
}

fn row(action: ActionName) -> Route {
    let (path, handler, body, summary): (&'static str, Handler, &'static [Field], &'static str) = match action {
        ActionName::Answer => (
            "/api/v1/call-sessions/{id}/answer",
            handler!(answer),
            &[],
            "Answer a ringing call in our application",
        ),
        ActionName::Hangup => ("/api/v1/call-sessions/{id}/hangup", handler!(hangup), &[], "Hang up"),
        ActionName::Hold => ("/api/v1/call-sessions/{id}/hold", handler!(hold), &[LEG], "Put on hold"),
        ActionName::Unhold => ("/api/v1/call-sessions/{id}/unhold", handler!(unhold), &[LEG], "Take from hold"),
        ActionName::Mute => ("/api/v1/call-sessions/{id}/mute", handler!(mute), MUTE, "Mute a leg"),
        ActionName::Unmute => ("/api/v1/call-sessions/{id}/unmute", handler!(unmute), MUTE, "Unmute a leg"),
        ActionName::Dtmf => ("/api/v1/call-sessions/{id}/dtmf", handler!(dtmf), DTMF, "Send digits"),
        ActionName::Play => ("/api/v1/call-sessions/{id}/play", handler!(play), PLAY, "Play to the call"),
        ActionName::Transfer => ("/api/v1/call-sessions/{id}/transfer", handler!(transfer), TRANSFER, "Transfer"),
        ActionName::Park => ("/api/v1/call-sessions/{id}/park", handler!(park), &[LEG], "Park"),
        ActionName::StartRecording => ("/api/v1/call-sessions/{id}/start-recording", handler!(start_recording), &[], "Start recording"),
        ActionName::StopRecording => ("/api/v1/call-sessions/{id}/stop-recording", handler!(stop_recording), &[], "Stop recording"),
        ActionName::PauseRecording => (
            "/api/v1/call-sessions/{id}/pause-recording",
            handler!(pause_recording),
            &[],
            "Pause: silence is kept",
        ),
        ActionName::ResumeRecording => (
            "/api/v1/call-sessions/{id}/resume-recording",
            handler!(resume_recording),
            &[],
            "Resume recording",
        ),
    };
    route(Method::POST, path, Access::Needs(permission(action)), handler)
        .about("call-sessions", summary)
        .body(body)
        .answers(200, Answers::Json(schema::<CallView>))
        .errors(&[409, 502, 503, 504])
        .idempotent()
}

fn permission(action: ActionName) -> Permission {
    match action {
        ActionName::StartRecording | ActionName::StopRecording | ActionName::PauseRecording | ActionName::ResumeRecording => Permission::RecordingsCreate,
        _ => Permission::CallsControl,
    }
}

async fn act(ask: Ask, action: CallAction) -> Result<Reply, Fault> {
    let id: CallId = ask.id("call-session")?;
    match ask.edge.platform.call(id, ask.asked(CallRequest::Act(action))?).await {
        Ok(CallReply::Done { call, recording }) => {
            own(&ask, &call.session)?;
            let view = CallView::of(&call.session, Some(&call.actions), ask.now());
            Ok(Reply::json(&view.with_recording(recording)))
        }
        Ok(CallReply::Call(call)) => Ok(Reply::json(&CallView::of(&call.session, Some(&call.actions), ask.now()))),
        Err(Fault::NotFound { .. }) => Err(not_live(&ask, id).await),
        Err(fault) => Err(fault),
    }
}

/// Why a call cannot be asked: it has ended, its node is not there, or it never was.
async fn not_live(ask: &Ask, id: CallId) -> Fault {
    match stored(ask, id).await {
        Ok(session) if session.is_ended() => Fault::CallEnded { at: session.ended_at },
        Ok(_) => Fault::unavailable("this call's part of the node"),
        Err(fault) => fault,
    }
}

fn other(action: ActionName) -> CallAction {
    CallAction::Other {
        action: action.as_str().to_owned(),
    }
}

fn leg(ask: &Ask) -> Option<String> {
    ask.body.text("leg").map(str::to_owned)
}

async fn answer(ask: Ask) -> Result<Reply, Fault> {
    act(ask, CallAction::Answer).await
}

async fn hangup(ask: Ask) -> Result<Reply, Fault> {
    act(ask, CallAction::Hangup).await
}

async fn hold(ask: Ask) -> Result<Reply, Fault> {
    act(ask, other(ActionName::Hold)).await
}

async fn unhold(ask: Ask) -> Result<Reply, Fault> {
    act(ask, other(ActionName::Unhold)).await
}

async fn mute(ask: Ask) -> Result<Reply, Fault> {
    let direction = ask.body.word("direction").unwrap_or(MuteDirection::In);
    let leg = leg(&ask);
    act(ask, CallAction::Mute { leg, direction }).await
}

async fn unmute(ask: Ask) -> Result<Reply, Fault> {
    let direction = ask.body.word("direction").unwrap_or(MuteDirection::In);
    let leg = leg(&ask);
    act(ask, CallAction::Unmute { leg, direction }).await
}

async fn dtmf(ask: Ask) -> Result<Reply, Fault> {
    let action = CallAction::Dtmf {
        leg: leg(&ask),
        digits: ask.body.string("digits"),
    };
    act(ask, action).await
}

async fn play(ask: Ask) -> Result<Reply, Fault> {
    act(ask, other(ActionName::Play)).await
}

async fn transfer(ask: Ask) -> Result<Reply, Fault> {
    act(ask, other(ActionName::Transfer)).await
}

async fn park(ask: Ask) -> Result<Reply, Fault> {
    act(ask, other(ActionName::Park)).await
}

async fn start_recording(ask: Ask) -> Result<Reply, Fault> {
    act(ask, CallAction::StartRecording).await
}

async fn stop_recording(ask: Ask) -> Result<Reply, Fault> {
    act(ask, CallAction::StopRecording).await
}

async fn pause_recording(ask: Ask) -> Result<Reply, Fault> {
    act(ask, CallAction::PauseRecording).await
}

async fn resume_recording(ask: Ask) -> Result<Reply, Fault> {
    act(ask, CallAction::ResumeRecording).await
}
