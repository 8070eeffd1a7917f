//! Actions on a call, carried out on the PBX or by the call's recorder. Runs beside the call's actors, so that a slow
//! PBX holds up nobody but the asker.

use crate::call_media::CallMediaMessage;
use crate::call_session::CallSessionMessage;
use crate::calls::actions::{MuteAudioDirection, PbxStep, RecorderStep};
use crate::node_platform::asking;
use crate::pbx_handle::PbxHandle;
use aimg_actor_kit::{Address, Reply};
use aimg_domain::call::{ActionName, CallSession};
use aimg_domain::{Fault, RecordingId};
use aimg_pbx::ami::action::Action;
use aimg_pbx::ari::request::{AudioDirection, HangupReason, Request};
use aimg_pbx_link::PbxError;
use aimg_wire::request::{Asked, CallDetail, CallReply, CallRequest};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a step changed that Asterisk itself does not tell.
pub enum Performed {
    /// About to be sent: who hung up is decided by it.
    HangupSent,
    Muted {
        leg: String,
        on: bool,
    },
}

pub struct Job {
    pub steps: Vec<PbxStep>,
    pub handle: Option<Arc<PbxHandle>>,
    pub media: Address<CallMediaMessage>,
    pub session: Address<CallSessionMessage>,
    /// The session as it was last, also when its actor has ended with the call meanwhile.
    pub view: Arc<RwLock<Option<CallSession>>>,
    /// Asked again when all is done, for the answer's body.
    pub asked: Asked<CallRequest>,
}

/// Between digits, so that the far end tells them apart.
const DIGIT_GAP: Duration = Duration::from_millis(100);
const DIGIT_MS: u32 = 160;

pub async fn perform(job: Job, reply: Reply<Result<CallReply, Fault>>) {
    let until = Instant::now() + Duration::from_millis(job.asked.remaining_ms);
    let mut recording = None;
    for step in &job.steps {
        match one(&job, step, until).await {
            Ok(made) => recording = recording.or(made),
            Err(fault) => return reply.send(Err(fault)),
        }
    }
    let left = until.saturating_duration_since(Instant::now());
    let asked = Asked {
        remaining_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        ..job.asked
    };
    let again = job
        .session
        .call(|reply| CallSessionMessage::Asked(asked, reply), left.max(Duration::from_millis(100)))
        .await;
    reply.send(match again {
        Ok(Ok(CallReply::Call(call))) => Ok(CallReply::Done { call, recording }),
        Ok(other) => other,
        Err(error) => match ended(&job.view) {
            Some(call) => Ok(CallReply::Done { call, recording }),
            None => Err(asking("the call")(error)),
        },
    });
}

/// It was done and the call is over: no failure.
fn ended(view: &RwLock<Option<CallSession>>) -> Option<Box<CallDetail>> {
    let session = view.read().clone().filter(CallSession::is_ended)?;
    let over = |action: ActionName| (action.as_str().to_owned(), Some("call already ended".to_owned()));
    let actions = ActionName::ALL.into_iter().map(over).collect();
    Some(Box::new(CallDetail { session, actions }))
}

async fn one(job: &Job, step: &PbxStep, until: Instant) -> Result<Option<RecordingId>, Fault> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Fault::Timeout { what: "the PBX".into() });
    }
    if let PbxStep::Recorder(step) = step {
        let step: RecorderStep = *step;
        let answer = job.media.call(|reply| CallMediaMessage::Record(step, reply), left).await;
        return answer.map_err(asking("the call's recorder"))?.map(Some);
    }
    let handle = job.handle.as_ref().ok_or_else(|| Fault::not_possible("its PBX is detached"))?;
    let commands = handle.commands()?;
    let tell = |performed| {
        let _ = job.session.cast(CallSessionMessage::Performed(performed));
    };
    match step {
        PbxStep::HangupChannel { channel, uniqueid } => {
            tell(Performed::HangupSent);
            let done = if handle.pbx.ari.is_some() {
                commands.ari(&Request::hangup(uniqueid, HangupReason::Normal), left).await.map(drop)
            } else {
                commands.ami(Action::hangup(channel, Some(16)), left).await.map(drop)
            };
            match done {
                // The other side's hang-up was quicker: it is as wanted.
                Ok(()) | Err(PbxError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        PbxStep::PlayDtmf { channel, digit } => {
            commands.ami(Action::play_dtmf(channel, *digit, Some(DIGIT_MS)), left).await?;
            tokio::time::sleep(Duration::from_millis(u64::from(DIGIT_MS)) + DIGIT_GAP).await;
        }
        PbxStep::MuteAudio {
            channel,
            uniqueid,
            direction,
            on,
        } => {
            commands.ami(Action::mute_audio(channel, ami_direction(*direction), *on), left).await?;
            tell(Performed::Muted {
                leg: uniqueid.clone(),
                on: *on,
            });
        }
        PbxStep::AriAnswer { uniqueid } => {
            commands.ari(&Request::answer(uniqueid), left).await?;
        }
        PbxStep::AriMute { uniqueid, direction, on } => {
            let direction = ari_direction(*direction);
            let request = if *on {
                Request::mute(uniqueid, direction)
            } else {
                Request::unmute(uniqueid, direction)
            };
            commands.ari(&request, left).await?;
            tell(Performed::Muted {
                leg: uniqueid.clone(),
                on: *on,
            });
        }
        PbxStep::AriDtmf { uniqueid, digits } => {
            commands.ari(&Request::dtmf(uniqueid, digits, 100, DIGIT_MS), left).await?;
        }
        PbxStep::Recorder(_) => {}
    }
    Ok(None)
}

fn ami_direction(direction: MuteAudioDirection) -> &'static str {
    match direction {
        MuteAudioDirection::In => "in",
        MuteAudioDirection::Out => "out",
        MuteAudioDirection::Both => "all",
    }
}

fn ari_direction(direction: MuteAudioDirection) -> AudioDirection {
    match direction {
        MuteAudioDirection::In => AudioDirection::In,
        MuteAudioDirection::Out => AudioDirection::Out,
        MuteAudioDirection::Both => AudioDirection::Both,
    }
}
