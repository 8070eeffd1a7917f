//! `Recorder`: a call's recording. It keeps the manifest and tells the writer threads when segments begin and end;
//! samples never come through here. What it needs after a crash lies in [`RecorderKeep`].

pub mod finish;
pub mod leftovers;
mod manifest;

use crate::call::CallParts;
use crate::call_media::CallMediaMessage;
use crate::call_session::CallSessionMessage;
use crate::calls::session::MediaReport;
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply};
use aimg_domain::call::Outcome;
use aimg_domain::recording::{Recording, RecordingStatus, SegmentState};
use aimg_domain::{Fault, RecordingId, TrackId};
use aimg_media_pump::StreamLease;
use aimg_recording::{SegmentEvent, SegmentHandle, SegmentSpec, Timeline, TrackInput};
use aimg_store::StoreError;
use aimg_store::records::PageRequest;
use parking_lot::Mutex;
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

    async fn segment(&mut self, tap: u32) -> Result<(), ActorError> {
        let streams: Vec<_> = self.parts.keep.lock().streams.iter().map(|(track, lease)| (*track, lease.clone())).collect();
        let Some(rate) = streams.first().map(|(_, lease)| lease.sample_rate()) else {
            return Ok(());
        };
        let new = {
            let keep = self.keep.lock();
            keep.current.as_ref().is_none_or(|current| current.ending.is_some())
        };
        if new {
            if self.keep.lock().current.is_some() {
                // One is just being closed: what comes belongs to the next, which begins when somebody wants it.
                return Ok(());
            }
            self.create(&streams, rate).await?;
        }
        self.open(tap, streams);
        self.persist().await;
        let (id, status) = {
            let keep = self.keep.lock();
            let Some(current) = keep.current.as_ref() else { return Ok(()) };
            (current.recording.id, current.recording.status)
        };
        if new {
            self.report(MediaReport::RecordingStarted { recording: id });
        } else if status == RecordingStatus::Paused {
            self.with_handle(SegmentHandle::pause);
        }
        for answer in std::mem::take(&mut self.waiting) {
            answer.send(Ok(id));
        }
        Ok(())
    }

    async fn create(&mut self, streams: &[(TrackId, Arc<StreamLease>)], rate: u32) -> Result<(), ActorError> {
        let deps = &self.parts.deps;
        let (now, mono) = (deps.clock.now(), deps.clock.monotonic());
        let id = RecordingId(deps.ids.uuid());
        let tracks = streams.iter().map(|(track, _)| *track).collect();
        let recording = manifest::begin(id, self.parts.begin.live().tenant, self.parts.id, now, tracks, rate);
        let version = deps
            .recordings
            .create(&recording)
            .await
            .map_err(|error| ActorError::new(format!("the recording could not be stored: {error}")))?;
        self.keep.lock().current = Some(Current {
            recording,
            version,
            timeline: Timeline::starting(mono, rate),
            handle: None,
            ending: None,
        });
        Ok(())
    }

    fn open(&self, tap: u32, streams: Vec<(TrackId, Arc<StreamLease>)>) {
        let deps = &self.parts.deps;
        let mut keep = self.keep.lock();
        let told = keep.told.clone();
        let Some(current) = keep.current.as_mut() else { return };
        if let Some(handle) = current.handle.take() {
            handle.stop();
        }
        let from = current.timeline.at(deps.clock.monotonic());
        let n = manifest::open_segment(&mut current.recording, &deps.node, deps.epoch(), tap, from);
        let spec = SegmentSpec {
            recording: current.recording.id,
            n,
            node: deps.node.clone(),
            epoch: deps.epoch(),
            tap,
            folder: deps.open.clone(),
            timeline: current.timeline,
            from_media_time: from,
        };
        let inputs = streams.into_iter().map(|(track, lease)| TrackInput { track, reader: lease.reader() }).collect();
        let notify = Box::new(move |event| {
            // A recorder that is gone finds the files again by its manifest.
            if let Some(recorder) = told.lock().as_ref() {
                let _ = recorder.cast(RecorderMessage::Writer(event));
            }
        });
        match deps.writers.record(spec, inputs, notify) {
            Ok(handle) => current.handle = Some(handle),
            Err(error) => {
                current.recording.segments.pop();
                let _ = self.me.cast(RecorderMessage::Writer(SegmentEvent::Failed(error.to_string())));
            }
        }
    }

    fn with_handle(&self, act: impl FnOnce(&SegmentHandle)) {
        if let Some(handle) = self.keep.lock().current.as_ref().and_then(|current| current.handle.as_ref()) {
            act(handle);
        }
    }

    /// The manifest as it is now; a store that is away is made good by the next change or at the end.
    async fn persist(&self) {
        let Some((recording, version)) = self.keep.lock().current.as_ref().map(|current| (current.recording.clone(), current.version)) else {
            return;
        };
        let result = self.parts.deps.recordings.update(&recording, version).await;
        let mut keep = self.keep.lock();
        let Some(current) = keep.current.as_mut() else { return };
        match result {
            Ok(version) => current.version = version,
            Err(StoreError::Version { current: Some(version) }) => current.version = version,
            Err(error) => tracing::warn!(recording = %recording.id, %error, "the manifest could not be stored, will be with the next change"),
        }
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

fn is_open(recording: &Recording) -> bool {
    matches!(recording.status, RecordingStatus::Active | RecordingStatus::Paused)
}

/// The newest open recording of an earlier life, its open segment repaired; it goes on in a new one.
async fn unfinished(parts: &CallParts) -> Result<Option<Current>, ActorError> {
    let deps = &parts.deps;
    let page = PageRequest {
        limit: 100,
        descending: true,
        after: None,
    };
    let found = deps.recordings.by_call(parts.begin.live().tenant, parts.id, page).await;
    let found = found.map_err(|error| ActorError::new(format!("the call's recordings could not be read: {error}")))?;
    let Some((mut recording, version)) = found.into_iter().find(|(recording, _)| is_open(recording)) else {
        return Ok(None);
    };
    let folder = deps.open.clone();
    let repaired = tokio::task::spawn_blocking(move || {
        finish::repair_open(&folder, &mut recording);
        recording
    });
    let recording = repaired.await.map_err(|error| ActorError::new(format!("repairing: {error}")))?;
    let elapsed = deps.clock.now().since(recording.started_at);
    let timeline = Timeline::continuing(deps.clock.monotonic(), elapsed, recording.sample_rate);
    let version = deps.recordings.update(&recording, version).await.unwrap_or(version);
    Ok(Some(Current {
        recording,
        version,
        timeline,
        handle: None,
        ending: None,
    }))
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

impl Recorder {
    async fn repair_and_conclude(&mut self) {
        let folder = self.parts.deps.open.clone();
        let Some(mut recording) = self.keep.lock().current.as_ref().map(|current| current.recording.clone()) else {
            return;
        };
        let repaired = tokio::task::spawn_blocking(move || {
            finish::repair_open(&folder, &mut recording);
            recording
        });
        if let Ok(recording) = repaired.await
            && let Some(current) = self.keep.lock().current.as_mut()
        {
            current.recording = recording;
        }
        self.conclude();
    }
}
