//! `CallMedia`: a call's audio. Carries out what the tap's machine decides, owns the streams' and the recorder's
//! actors, and answers listeners. Packets never come through here.

mod quality;
mod quiet;
mod tapping;

use crate::audio_stream::AudioStream;
use crate::call::CallParts;
use crate::call_session::CallSessionMessage;
use crate::calls::actions::RecorderStep;
use crate::calls::resume;
use crate::calls::session::{CallSessionMachine, MediaReport, TapMode};
use crate::calls::tap::{RequestId, TapFailure, TapInput, TapLeg, TapPhase, TapReply};
use crate::platform::{LiveAudio, LiveTrack};
use crate::recorder::{Recorder, RecorderMessage};
use aimg_actor_kit::{ActorError, Address, ChildGone, Context, Dispatch, Reply, Restart};
use aimg_domain::call::CallState;
use aimg_domain::link::AudioPolicy;
use aimg_domain::quality::TrackQuality;
use aimg_domain::{Fault, RecordingId, TrackId};
use std::collections::BTreeMap;
use std::sync::Arc;

pub enum CallMediaMessage {
    Start {
        legs: Vec<TapLeg>,
        mode: TapMode,
        record: bool,
    },
    Legs(Vec<TapLeg>),
    Stop,
    CallEnded,
    /// ARI is away.
    LinkDown,
    /// ARI is back, with these objects of the call.
    Exists {
        objects: Vec<String>,
    },
    Entered {
        channel: String,
    },
    Gone {
        object: String,
    },
    Replied {
        request: RequestId,
        result: Result<TapReply, TapFailure>,
    },
    WakeTick,
    /// The tap was interrupted a moment ago.
    InterruptedTick {
        why: String,
    },
    Listen(Reply<Result<LiveAudio, Fault>>),
    Unlisten,
    Record(RecorderStep, Reply<Result<RecordingId, Fault>>),
    /// An interval of a track is over.
    Quality(TrackQuality),
    /// Nothing of the recording is left to do.
    RecorderFinished,
}

pub struct CallMedia {
    parts: Arc<CallParts>,
    streams: BTreeMap<TrackId, Address<crate::audio_stream::AudioStreamMessage>>,
    recorder: Option<Address<RecorderMessage>>,
    /// Listeners that wait for audio to flow.
    waiting: Vec<Reply<Result<LiveAudio, Fault>>>,
    wake: Option<tokio::task::AbortHandle>,
    /// What was to be tapped when the link's budget was used up.
    beyond_budget: Option<(Vec<TapLeg>, TapMode)>,
    recorder_finished: bool,
    tap_ended: bool,
}

/// Gives the tap back when the listener goes, however it goes.
struct ListenLease {
    media: Address<CallMediaMessage>,
}

impl Drop for ListenLease {
    fn drop(&mut self) {
        let _ = self.media.cast(CallMediaMessage::Unlisten);
    }
}

impl CallMedia {
    pub fn new(parts: Arc<CallParts>) -> Result<CallMedia, ActorError> {
        Ok(CallMedia {
            parts,
            streams: BTreeMap::new(),
            recorder: None,
            waiting: Vec::new(),
            wake: None,
            beyond_budget: None,
            recorder_finished: false,
            tap_ended: false,
        })
    }

    fn me(&self) -> &Address<CallMediaMessage> {
        &self.parts.begin.live().media
    }

    fn to_session(&self, message: CallSessionMessage) {
        let _ = self.parts.begin.live().session.cast(message);
    }

    fn report(&self, report: MediaReport) {
        self.to_session(CallSessionMessage::Media(report));
    }

    async fn start(&mut self, legs: Vec<TapLeg>, mode: TapMode, record: bool, context: &mut Context<Self>) -> Result<(), ActorError> {
        if record {
            self.parts.keep.lock().record = true;
        }
        if self.parts.keep.lock().slot.is_none() {
            match self.take_slot() {
                Ok(slot) => self.parts.keep.lock().slot = Some(slot),
                Err(why) => {
                    self.beyond_budget = Some((legs, mode));
                    self.refused(&why);
                    return Ok(());
                }
            }
        }
        self.tap_ended = false;
        self.ensure_tap(mode)?;
        self.feed(TapInput::Start { legs }, context).await
    }

    fn take_slot(&self) -> Result<crate::pbx_handle::TapSlot, String> {
        let live = self.parts.begin.live();
        let handle = self.parts.pbxs.get(live.pbx).ok_or("the PBX is detached")?;
        if handle.pbx.ari.is_none() {
            return Err("the PBX is attached without ARI: no audio".into());
        }
        handle.link(live.link).ok_or("the link was removed")?.take_tap()
    }

    /// No tap, and why: who waited for it is told.
    fn refused(&mut self, why: &str) {
        self.report(MediaReport::Refused { why: why.to_owned() });
        for reply in std::mem::take(&mut self.waiting) {
            reply.send(Err(Fault::not_possible(why)));
            // Nobody hears: the next who asks is a new reason to try.
            self.unlisten();
        }
        if let Some(recorder) = &self.recorder {
            let _ = recorder.cast(RecorderMessage::NoAudio { why: why.to_owned() });
        }
        self.parts.keep.lock().slot = None;
    }

    /// A tap that was given up, while the call is still to be heard.
    async fn try_again(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let never_made = self.parts.keep.lock().tap.is_none();
        if let Some((legs, mode)) = self.beyond_budget.take().filter(|_| never_made) {
            return self.start(legs, mode, false, context).await;
        }
        let legs = {
            let keep = self.parts.keep.lock();
            let refused = keep.tap.as_ref().filter(|tap| tap.state().phase == TapPhase::Refused);
            refused.filter(|_| !keep.call_ended).map(|tap| tap.legs().to_vec())
        };
        let Some(legs) = legs else { return Ok(()) };
        if self.parts.keep.lock().slot.is_none() {
            match self.take_slot() {
                Ok(slot) => self.parts.keep.lock().slot = Some(slot),
                Err(why) => {
                    self.refused(&why);
                    return Ok(());
                }
            }
        }
        self.feed(TapInput::Start { legs }, context).await
    }

    fn listen(&mut self, reply: Reply<Result<LiveAudio, Fault>>) {
        if let Err(fault) = self.listenable() {
            return reply.send(Err(fault));
        }
        self.parts.keep.lock().listeners += 1;
        if self.parts.keep.lock().flowing.is_some() {
            return reply.send(Ok(self.live_audio()));
        }
        self.waiting.push(reply);
        self.to_session(CallSessionMessage::AudioWanted(true));
    }

    fn listenable(&self) -> Result<(), Fault> {
        let live = self.parts.begin.live();
        let handle = self.parts.pbxs.get(live.pbx).ok_or_else(|| Fault::not_possible("its PBX is detached"))?;
        let link = handle.link(live.link).ok_or_else(|| Fault::not_possible("its link was removed"))?;
        if link.link.audio == AudioPolicy::None {
            return Err(Fault::not_possible("the policy of the link allows no audio"));
        }
        if handle.pbx.ari.is_none() {
            return Err(Fault::not_possible("the PBX is attached without ARI: no audio"));
        }
        match live.view.read().as_ref().map(|call| (call.state, call.ended_at)) {
            Some((CallState::Ended, at)) => Err(Fault::CallEnded { at }),
            Some((CallState::Up, _)) => Ok(()),
            _ => Err(Fault::not_possible("the call is not answered yet")),
        }
    }

    fn live_audio(&self) -> LiveAudio {
        let keep = self.parts.keep.lock();
        let track = |(track, lease): (&TrackId, &Arc<aimg_media_pump::StreamLease>)| LiveTrack {
            track: *track,
            sample_rate: lease.sample_rate(),
            reader: lease.reader(),
        };
        LiveAudio {
            tracks: keep.streams.iter().map(track).collect(),
            lease: Arc::new(ListenLease { media: self.me().clone() }),
        }
    }

    fn unlisten(&mut self) {
        let still_wanted = {
            let mut keep = self.parts.keep.lock();
            keep.listeners = keep.listeners.saturating_sub(1);
            keep.listeners > 0 || keep.record
        };
        if !still_wanted {
            self.to_session(CallSessionMessage::AudioWanted(false));
        }
    }

    async fn recorder(&mut self, context: &mut Context<Self>) -> Result<Address<RecorderMessage>, ActorError> {
        if let Some(recorder) = self.recorder.as_ref().filter(|recorder| !recorder.is_gone()) {
            return Ok(recorder.clone());
        }
        let parts = self.parts.clone();
        let make = move |me| Recorder::start(parts.clone(), me);
        let recorder = context.spawn::<Recorder, _, _>(self.parts.id.to_string(), Restart::PART, make).await?;
        self.recorder = Some(recorder.clone());
        Ok(recorder)
    }

    async fn record(&mut self, step: RecorderStep, reply: Reply<Result<RecordingId, Fault>>, context: &mut Context<Self>) -> Result<(), ActorError> {
        if step == RecorderStep::Start {
            if let Err(fault) = self.listenable() {
                reply.send(Err(fault));
                return Ok(());
            }
            let flowing = {
                let mut keep = self.parts.keep.lock();
                keep.record = true;
                keep.flowing
            };
            let recorder = self.recorder(context).await?;
            let _ = recorder.cast(RecorderMessage::Begin(reply));
            match flowing {
                Some(n) => self.begin_segment(n, context).await?,
                None => self.to_session(CallSessionMessage::AudioWanted(true)),
            }
            return Ok(());
        }
        let Some(recorder) = self.recorder.clone() else {
            reply.send(Err(Fault::not_possible("it is not being recorded")));
            return Ok(());
        };
        let message = match step {
            RecorderStep::Pause => RecorderMessage::Pause(reply),
            RecorderStep::Resume => RecorderMessage::Resume(reply),
            RecorderStep::Stop | RecorderStep::Start => {
                let nobody_listens = {
                    let mut keep = self.parts.keep.lock();
                    keep.record = false;
                    keep.listeners == 0
                };
                if nobody_listens {
                    self.to_session(CallSessionMessage::AudioWanted(false));
                }
                RecorderMessage::Stop(reply)
            }
        };
        let _ = recorder.cast(message);
        Ok(())
    }

    async fn begin_segment(&mut self, n: u32, context: &mut Context<Self>) -> Result<(), ActorError> {
        let wanted = self.parts.keep.lock().record;
        if wanted {
            let recorder = self.recorder(context).await?;
            let _ = recorder.cast(RecorderMessage::Segment { tap: n });
        }
        Ok(())
    }

    async fn call_ended(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        self.parts.keep.lock().call_ended = true;
        for reply in std::mem::take(&mut self.waiting) {
            reply.send(Err(Fault::CallEnded { at: None }));
        }
        match self.recorder.clone() {
            Some(recorder) => {
                let _ = recorder.cast(RecorderMessage::CallEnded);
            }
            None => self.recorder_finished = true,
        }
        if self.parts.keep.lock().tap.is_some() {
            self.feed(TapInput::Stop, context).await?;
        } else {
            self.tap_ended = true;
        }
        self.finished();
        Ok(())
    }

    /// An ended call stays until its recording is kept and its tap is gone.
    fn finished(&self) {
        if self.parts.keep.lock().call_ended && self.recorder_finished && self.tap_ended {
            self.to_session(CallSessionMessage::MediaFinished);
        }
    }

    /// A stored call: its tap is looked for on the PBX, its recording goes on.
    async fn restore(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let row = self.parts.last.lock().clone();
        let Some(row) = row else { return Ok(()) };
        if Recorder::has_unfinished(&self.parts).await {
            self.parts.keep.lock().record = true;
            self.recorder(context).await?;
        }
        if let Some(snapshot) = resume::tap_part(&row.resume) {
            let machine = CallSessionMachine::restore(&row, self.parts.session_config()?, self.parts.deps.ids.clone());
            self.resume_tap(snapshot, machine.tap_legs(), context).await?;
        }
        Ok(())
    }
}

impl Dispatch for CallMedia {
    type Message = CallMediaMessage;
    const KIND: &'static str = "call_media";
    const BOUND: usize = 512;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let (has_tap, has_recorder) = {
            let keep = self.parts.keep.lock();
            (keep.tap.is_some(), keep.recorder.is_some())
        };
        if !has_tap && !has_recorder {
            return self.restore(context).await;
        }
        // A restart of this actor: all that matters is in the keep.
        if has_recorder {
            self.recorder(context).await?;
        }
        self.start_streams(context).await?;
        self.feed(TapInput::Tick, context).await
    }

    async fn handle(&mut self, message: CallMediaMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            CallMediaMessage::Start { legs, mode, record } => self.start(legs, mode, record, context).await,
            CallMediaMessage::Legs(legs) => self.feed(TapInput::Legs(legs), context).await,
            CallMediaMessage::Stop => self.feed(TapInput::Stop, context).await,
            CallMediaMessage::CallEnded => self.call_ended(context).await,
            CallMediaMessage::LinkDown => self.feed(TapInput::LinkDown, context).await,
            CallMediaMessage::Exists { objects } => {
                self.feed(TapInput::Exists { objects }, context).await?;
                // What was given up while the PBX did not answer may succeed now.
                self.try_again(context).await
            }
            CallMediaMessage::Entered { channel } => self.feed(TapInput::Entered { channel }, context).await,
            CallMediaMessage::Gone { object } => self.feed(TapInput::Gone { object }, context).await,
            CallMediaMessage::Replied { request, result } => self.feed(TapInput::Reply { request, result }, context).await,
            CallMediaMessage::WakeTick => self.feed(TapInput::Tick, context).await,
            CallMediaMessage::InterruptedTick { why } => {
                let over = {
                    let keep = self.parts.keep.lock();
                    keep.flowing.is_some() || keep.call_ended
                };
                if !over {
                    self.report(MediaReport::Interrupted { why });
                }
                Ok(())
            }
            CallMediaMessage::Listen(reply) => {
                self.try_again(context).await?;
                self.listen(reply);
                Ok(())
            }
            CallMediaMessage::Unlisten => {
                self.unlisten();
                Ok(())
            }
            CallMediaMessage::Record(step, reply) => self.record(step, reply, context).await,
            CallMediaMessage::Quality(quality) => {
                self.quality(quality);
                Ok(())
            }
            CallMediaMessage::RecorderFinished => {
                self.recorder_finished = true;
                self.finished();
                Ok(())
            }
        }
    }

    async fn child_gone(&mut self, gone: ChildGone, _: &mut Context<Self>) -> Result<(), ActorError> {
        if gone.kind == AudioStream::KIND {
            // Its figures stop; the audio does not.
            self.streams.retain(|track, _| !gone.subject.ends_with(track.as_str()));
        } else {
            self.recorder_finished = true;
            self.finished();
        }
        Ok(())
    }
}
