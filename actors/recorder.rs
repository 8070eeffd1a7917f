//! `Recorder`: a call's recording. It keeps the manifest and tells the writer threads when segments begin and end;
//! samples never come through here. What it needs after a crash lies in [`RecorderKeep`].

pub mod finish;
pub mod leftovers;
mod manifest;
mod segments;

use crate::call::CallParts;
use crate::call_media::CallMediaMessage;
use crate::call_session::CallSessionMessage;
use crate::calls::session::MediaReport;
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply};
use aimg_domain::call::Outcome;
use aimg_domain::recording::{Recording, RecordingStatus, SegmentState};
use aimg_domain::{Fault, RecordingId};
use aimg_recording::{SegmentEvent, SegmentHandle, Timeline};
use aimg_store::records::PageRequest;
use parking_lot::Mutex;
use segments::{is_open, unfinished};
use std::sync::Arc;
use std::time::Duration;

type Answer = Reply<Result<RecordingId, Fault>>;

pub enum RecorderMessage {
    /// Somebody wants it recorded: answered when the first segment is open.
    Begin(Answer),
    Pause(Answer),
    Resume(Answer),
    Stop(Answer),
    /// Making `tap` of the tap flows.
    Segment {
        tap: u32,
    },
    /// The tap stopped flowing; another making may follow.
    SegmentOver,
    /// There will be no audio.
    NoAudio {
        why: String,
    },
    CallEnded,
    Writer(SegmentEvent),
    Kept(Result<Box<Recording>, (RecordingId, String)>),
    /// A writer that does not answer must not hold the recording for ever.
    ClosingTick(RecordingId),
}

/// Longest wait for a writer to close its files.
const CLOSING: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct RecorderKeep {
    /// Whom the writers tell: a recorder that is made again, alone or with `CallMedia`, may have another mailbox.
    told: Arc<Mutex<Option<Address<RecorderMessage>>>>,
    current: Option<Current>,
    /// Being kept: their number must come to zero before the call may go.
    keeping: usize,
    call_ended: bool,
}

struct Current {
    recording: Recording,
    version: u64,
    timeline: Timeline,
    handle: Option<SegmentHandle>,
    /// No more segments: when the open one is closed it is kept.
    ending: Option<Ending>,
}

#[derive(Clone)]
struct Ending {
    /// Why something is missing, if so.
    why: Option<String>,
}

pub struct Recorder {
    parts: Arc<CallParts>,
    keep: Arc<Mutex<RecorderKeep>>,
    me: Address<RecorderMessage>,
    waiting: Vec<Answer>,
}

impl Recorder {
    pub async fn start(parts: Arc<CallParts>, me: Address<RecorderMessage>) -> Result<Recorder, ActorError> {
        let known = parts.keep.lock().recorder.clone();
        let keep = match known {
            Some(keep) => keep,
            None => {
                let keep = Arc::new(Mutex::new(RecorderKeep {
                    current: unfinished(&parts).await?,
                    ..RecorderKeep::default()
                }));
                parts.keep.lock().recorder = Some(keep.clone());
                keep
            }
        };
        *keep.lock().told.lock() = Some(me.clone());
        Ok(Recorder {
            parts,
            keep,
            me,
            waiting: Vec::new(),
        })
    }

    /// Whether an earlier life left an open recording of this call.
    pub async fn has_unfinished(parts: &CallParts) -> bool {
        let live = parts.begin.live();
        let found = parts
            .deps
            .recordings
            .by_call(
                live.tenant,
                parts.id,
                PageRequest {
                    limit: 100,
                    descending: true,
                    after: None,
                },
            )
            .await;
        found.is_ok_and(|found| found.iter().any(|(recording, _)| is_open(recording)))
    }

    /// Straight to the session: who asked for a step is answered after it, and is then shown what came of it.
    fn report(&self, report: MediaReport) {
        let _ = self.parts.begin.live().session.cast(CallSessionMessage::Media(report));
    }

    async fn pause(&mut self, on: bool, answer: Answer) {
        let id = {
            let mut keep = self.keep.lock();
            let Some(current) = keep.current.as_mut().filter(|current| current.ending.is_none()) else {
                return answer.send(Err(Fault::not_possible("it is not being recorded")));
            };
            current.recording.status = if on { RecordingStatus::Paused } else { RecordingStatus::Active };
            current.recording.id
        };
        self.with_handle(if on { SegmentHandle::pause } else { SegmentHandle::resume });
        self.persist().await;
        self.report(if on {
            MediaReport::RecordingPaused { recording: id }
        } else {
            MediaReport::RecordingResumed { recording: id }
        });
        answer.send(Ok(id));
    }

    /// No more of the current recording. What is open is closed first.
    fn end(&mut self, why: Option<String>, context: &Context<Self>) -> Option<RecordingId> {
        let (id, open) = {
            let mut keep = self.keep.lock();
            let current = keep.current.as_mut()?;
            if current.ending.is_some() {
                return Some(current.recording.id);
            }
            current.ending = Some(Ending { why });
            if let Some(handle) = current.handle.take() {
                handle.stop();
            }
            let open = current.recording.segments.iter().any(|segment| segment.state == SegmentState::Open);
            (current.recording.id, open)
        };
        self.report(MediaReport::RecordingStopped { recording: id });
        if open {
            context.remind(RecorderMessage::ClosingTick(id), CLOSING);
        } else {
            self.conclude();
        }
        Some(id)
    }

    /// Everything is closed: keep it, beside this actor.
    fn conclude(&mut self) {
        let deps = self.parts.deps.clone();
        let (mut recording, version, why) = {
            let mut keep = self.keep.lock();
            let Some(current) = keep.current.take() else { return };
            keep.keeping += 1;
            (current.recording, current.version, current.ending.and_then(|ending| ending.why))
        };
        manifest::conclude(&mut recording, deps.clock.now(), why);
        let told = self.keep.lock().told.clone();
        tokio::spawn(async move {
            let id = recording.id;
            let kept = finish::keep(&deps, recording, version).await.map(Box::new).map_err(|error| (id, error));
            if let Some(recorder) = told.lock().as_ref() {
                let _ = recorder.cast(RecorderMessage::Kept(kept));
            }
        });
    }

    fn kept(&mut self, kept: Result<Box<Recording>, (RecordingId, String)>) {
        {
            let mut keep = self.keep.lock();
            keep.keeping = keep.keeping.saturating_sub(1);
        }
        match kept {
            Ok(recording) if recording.status == RecordingStatus::Failed => {
                self.report(MediaReport::RecordingFailed {
                    recording: recording.id,
                    reason: recording.reason.unwrap_or_default(),
                });
            }
            Ok(recording) => self.report(MediaReport::RecordingSaved {
                recording: recording.id,
                partial: recording.status == RecordingStatus::Partial,
                duration_ms: recording.duration_ms,
            }),
            // Its files and manifest stay: the next start of the node tries again.
            Err((recording, reason)) => self.report(MediaReport::RecordingFailed { recording, reason }),
        }
        self.finished();
    }

    fn finished(&self) {
        let keep = self.keep.lock();
        if keep.call_ended && keep.current.is_none() && keep.keeping == 0 {
            let _ = self.parts.begin.live().media.cast(CallMediaMessage::RecorderFinished);
        }
    }

    async fn writer(&mut self, event: SegmentEvent, context: &Context<Self>) {
        match event {
            SegmentEvent::Finished(summary) | SegmentEvent::Rotated(summary) => {
                let ready = {
                    let mut keep = self.keep.lock();
                    let Some(current) = keep.current.as_mut().filter(|current| current.recording.id == summary.recording) else {
                        return;
                    };
                    if let Some(failed) = summary.failed {
                        current.recording.reason = Some(failed);
                    }
                    manifest::close_segment(&mut current.recording, summary.segment);
                    let open = current.recording.segments.iter().any(|segment| segment.state == SegmentState::Open);
                    current.ending.is_some() && !open
                };
                self.persist().await;
                if ready {
                    self.conclude();
                }
            }
            SegmentEvent::Failed(why) => {
                tracing::error!(call = %self.parts.id, %why, "a recording cannot be written");
                for answer in std::mem::take(&mut self.waiting) {
                    answer.send(Err(Fault::unavailable(format!("the recorder's disk ({why})"))));
                }
                self.end(Some(format!("writing failed: {why}")), context);
            }
            // The stream goes with the call; the other track may still have something to say.
            SegmentEvent::TrackEnded(_) => {}
        }
    }

    fn call_ended(&mut self, context: &Context<Self>) {
        self.keep.lock().call_ended = true;
        for answer in std::mem::take(&mut self.waiting) {
            answer.send(Err(Fault::CallEnded { at: None }));
        }
        let outcome = self.parts.begin.live().view.read().as_ref().and_then(|call| call.outcome);
        let lost = outcome == Some(Outcome::Failed);
        let why = lost.then(|| "the call was lost while it was recorded: what was said after that is missing".to_owned());
        let why = why.or_else(|| self.after_a_death());
        self.end(why, context);
        self.finished();
    }

    /// The call ended while the node was down: the end of the recording is missing.
    fn after_a_death(&self) -> Option<String> {
        let keep = self.keep.lock();
        let last = keep.current.as_ref()?.recording.segments.last()?;
        (last.state == SegmentState::Repaired).then(|| "the node went down while it was recording".to_owned())
    }
}

impl Dispatch for Recorder {
    type Message = RecorderMessage;
    const KIND: &'static str = "recorder";
    const BOUND: usize = 256;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        // A crash of mine: the writer went on; I only need its handle again.
        let mut keep = self.keep.lock();
        if let Some(current) = keep.current.as_mut()
            && current.handle.is_none()
        {
            current.handle = self.parts.deps.writers.adopt(current.recording.id);
        }
        context.note(if keep.current.is_some() { "recording" } else { "ready" });
        Ok(())
    }

    async fn handle(&mut self, message: RecorderMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            RecorderMessage::Begin(answer) => self.waiting.push(answer),
            RecorderMessage::Pause(answer) => self.pause(true, answer).await,
            RecorderMessage::Resume(answer) => self.pause(false, answer).await,
            RecorderMessage::Stop(answer) => match self.end(None, context) {
                Some(id) => answer.send(Ok(id)),
                None => answer.send(Err(Fault::not_possible("it is not being recorded"))),
            },
            RecorderMessage::Segment { tap } => self.segment(tap).await?,
            RecorderMessage::SegmentOver => {
                let mut keep = self.keep.lock();
                if let Some(handle) = keep.current.as_mut().and_then(|current| current.handle.take()) {
                    handle.stop();
                }
            }
            RecorderMessage::NoAudio { why } => {
                for answer in std::mem::take(&mut self.waiting) {
                    answer.send(Err(Fault::not_possible(why.clone())));
                }
                self.end(Some(why), context);
            }
            RecorderMessage::CallEnded => self.call_ended(context),
            RecorderMessage::Writer(event) => self.writer(event, context).await,
            RecorderMessage::Kept(kept) => self.kept(kept),
            RecorderMessage::ClosingTick(id) => {
                let stuck = self.keep.lock().current.as_ref().is_some_and(|current| current.recording.id == id);
                if stuck {
                    tracing::error!(recording = %id, "the writer did not close its files in time");
                    self.repair_and_conclude().await;
                }
            }
        }
        let status = self.keep.lock().current.as_ref().map(|current| current.recording.status);
        context.note(status.map_or("ready".to_owned(), |status| format!("{status:?}").to_lowercase()));
        Ok(())
    }
}
