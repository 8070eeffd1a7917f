//! The tap's machine and the world: its effects carried out, what comes back fed in.

use super::quiet::quiet;
use super::{CallMedia, CallMediaMessage};
use crate::audio_stream::AudioStream;
use crate::call_session::CallSessionMessage;
use crate::calls::session::{MediaReport, TapMode};
use crate::calls::tap::{RequestId, Spy, TapConfig, TapEffect, TapFailure, TapInput, TapLeg, TapMachine, TapReply, TapRequest};
use crate::pbx_handle::PbxHandle;
use crate::recorder::RecorderMessage;
use aimg_actor_kit::{ActorError, Context, Restart};
use aimg_domain::link::AudioPolicy;
use aimg_domain::pbx::TapFormat;
use aimg_domain::{Timestamp, TrackId};
use aimg_media_pump::StreamSpec;
use aimg_pbx::ari::AriChannel;
use aimg_pbx::ari::request::{AudioDirection, ExternalMedia, HangupReason, Request, Snoop};
use aimg_pbx_link::{PbxCommands, PbxError};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// How long an interruption lasts before anybody is told.
const SETTLE: Duration = Duration::from_millis(500);

impl CallMedia {
    fn handle_of_pbx(&self) -> Result<Arc<PbxHandle>, ActorError> {
        self.parts
            .pbxs
            .get(self.parts.begin.live().pbx)
            .ok_or_else(|| ActorError::new("its pbx is detached"))
    }

    fn tap_config(&self, mode: TapMode) -> Result<TapConfig, ActorError> {
        let handle = self.handle_of_pbx()?;
        Ok(TapConfig {
            cluster: self.parts.deps.cluster.clone(),
            pbx: handle.pbx.id,
            epoch: self.parts.deps.epoch(),
            call: self.parts.id,
            format: handle.pbx.media.format,
            mode,
        })
    }

    pub(super) fn ensure_tap(&self, mode: TapMode) -> Result<(), ActorError> {
        let config = self.tap_config(mode)?;
        let up = self.handle_of_pbx()?.taps_up.load(Ordering::Relaxed);
        let now = self.parts.deps.clock.now();
        let mut keep = self.parts.keep.lock();
        if keep.tap.is_none() {
            let mut tap = TapMachine::new(config);
            if !up {
                // What is made now would never be told: it waits for `Exists`.
                tap.apply(TapInput::LinkDown, now);
            }
            keep.tap = Some(tap);
        }
        Ok(())
    }

    /// A tap of an earlier life: its streams are bound where the PBX still sends, before ARI is back.
    pub(super) async fn resume_tap(&mut self, snapshot: &Value, legs: Vec<TapLeg>, context: &mut Context<Self>) -> Result<(), ActorError> {
        let handle = self.handle_of_pbx()?;
        let mixed = handle
            .link(self.parts.begin.live().link)
            .is_some_and(|entry| entry.link.audio == AudioPolicy::Mixed);
        let config = self.tap_config(if mixed { TapMode::Mixed } else { TapMode::Legs })?;
        let (machine, effects) = TapMachine::resume(config, snapshot, legs);
        {
            let mut keep = self.parts.keep.lock();
            keep.tap = Some(machine);
            keep.slot = self.take_slot().ok();
        }
        self.carry_out(effects, context).await
    }

    pub(super) async fn feed(&mut self, input: TapInput, context: &mut Context<Self>) -> Result<(), ActorError> {
        let now = self.parts.deps.clock.now();
        let effects = {
            let mut keep = self.parts.keep.lock();
            let Some(tap) = keep.tap.as_mut() else { return Ok(()) };
            tap.apply(input, now)
        };
        self.carry_out(effects, context).await
    }

    async fn carry_out(&mut self, effects: Vec<TapEffect>, context: &mut Context<Self>) -> Result<(), ActorError> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let answer = match effect {
                TapEffect::OpenStream { track, format, local } => Some(self.open(track, format, local)?),
                TapEffect::ExpectFrom { track, from } => self.expect(track, from),
                TapEffect::Request { id, request } => {
                    self.request(id, request)?;
                    None
                }
                TapEffect::WakeAt(at) => {
                    self.wake_at(at, context);
                    None
                }
                TapEffect::Save => {
                    self.save();
                    None
                }
                TapEffect::Flowing { n, .. } => {
                    self.flowing(n, context).await?;
                    None
                }
                TapEffect::Interrupted { why, .. } => {
                    self.interrupted(&why, context);
                    None
                }
                TapEffect::Refused { why } => {
                    self.refused(&why);
                    None
                }
                TapEffect::CloseStreams => {
                    self.close_streams();
                    None
                }
                TapEffect::Ended => {
                    self.ended();
                    None
                }
            };
            if let Some(input) = answer {
                let now = self.parts.deps.clock.now();
                let more = self.parts.keep.lock().tap.as_mut().map(|tap| tap.apply(input, now)).unwrap_or_default();
                effects.extend(more);
            }
        }
        Ok(())
    }

    /// One stream a track for the whole call: listeners and recorder stay on it when the tap is made again.
    fn open(&self, track: TrackId, format: TapFormat, wanted: Option<SocketAddr>) -> Result<TapInput, ActorError> {
        let handle = self.handle_of_pbx()?;
        let deps = &self.parts.deps;
        let known = self.parts.keep.lock().streams.get(&track).cloned();
        let lease = match known {
            Some(lease) => Ok(lease),
            None => {
                let want_local = wanted.map(|address| SocketAddr::new(deps.media_bind, address.port()));
                let spec = StreamSpec {
                    pbx: handle.pbx.id,
                    call: self.parts.id,
                    track,
                    format,
                    ports: handle.pbx.media.ports,
                    want_local,
                };
                deps.pumps.open(spec).or_else(|error| match want_local {
                    // The old port is taken: the tap is made again, and the gap is marked.
                    Some(_) => {
                        tracing::warn!(call = %self.parts.id, %error, "a stored media port could not be bound again");
                        deps.pumps.open(StreamSpec { want_local: None, ..spec })
                    }
                    None => Err(error),
                })
            }
            .map(Arc::new),
        };
        Ok(match lease {
            Ok(lease) => {
                let ip = handle.pbx.media.address.unwrap_or_else(|| lease.local_addr().ip());
                let local = SocketAddr::new(ip, lease.local_addr().port());
                self.parts.keep.lock().streams.insert(track, lease);
                TapInput::StreamOpened { track, local }
            }
            Err(error) => TapInput::StreamRefused { track, why: error.to_string() },
        })
    }

    fn expect(&self, track: TrackId, from: SocketAddr) -> Option<TapInput> {
        let lease = self.parts.keep.lock().streams.get(&track).cloned()?;
        lease
            .expect_from(from)
            .err()
            .map(|error| TapInput::StreamRefused { track, why: error.to_string() })
    }

    fn request(&self, id: RequestId, request: TapRequest) -> Result<(), ActorError> {
        let handle = self.handle_of_pbx()?;
        let (commands, keeps_cdrs) = (handle.commands.read().clone(), handle.keeps_cdrs.clone());
        let (me, names) = (self.me().clone(), self.parts.keep.lock().names.clone());
        tokio::spawn(async move {
            let result = match commands {
                Some(commands) => ask(&commands, &request, &names, &keeps_cdrs).await,
                None => Err(TapFailure::Lost),
            };
            let _ = me.cast(CallMediaMessage::Replied { request: id, result });
        });
        Ok(())
    }

    fn wake_at(&mut self, at: Timestamp, context: &Context<Self>) {
        if let Some(wake) = self.wake.take() {
            wake.abort();
        }
        let now = self.parts.deps.clock.now();
        // One millisecond more: a timer must not come before the time it was asked for.
        self.wake = Some(context.remind(CallMediaMessage::WakeTick, at.since(now) + Duration::from_millis(1)));
    }

    fn save(&self) {
        let snapshot = self.parts.keep.lock().tap.as_ref().map(TapMachine::snapshot);
        self.to_session(CallSessionMessage::TapChanged(snapshot));
    }

    async fn flowing(&mut self, n: u32, context: &mut Context<Self>) -> Result<(), ActorError> {
        self.parts.keep.lock().flowing = Some(n);
        self.start_streams(context).await?;
        self.report(MediaReport::Flowing);
        context.note(format!("flowing, tap {n}"));
        for reply in std::mem::take(&mut self.waiting) {
            reply.send(Ok(self.live_audio()));
        }
        self.begin_segment(n, context).await
    }

    pub(super) async fn start_streams(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let open: Vec<_> = self.parts.keep.lock().streams.iter().map(|(track, lease)| (*track, lease.clone())).collect();
        for (track, lease) in open {
            if self.streams.contains_key(&track) {
                continue;
            }
            let me = self.me().clone();
            let make = move |_| {
                let stream = AudioStream::new(lease.clone(), me.clone());
                async move { Ok(stream) }
            };
            let subject = format!("{}:{}", self.parts.id, track.as_str());
            let stream = context.spawn::<AudioStream, _, _>(subject, Restart::PART, make).await?;
            self.streams.insert(track, stream);
        }
        Ok(())
    }

    /// Said a moment later: at the end of a call the tapped leg leaves just before the call is over.
    fn interrupted(&mut self, why: &str, context: &Context<Self>) {
        self.parts.keep.lock().flowing = None;
        context.remind(CallMediaMessage::InterruptedTick { why: why.to_owned() }, SETTLE);
        if let Some(recorder) = &self.recorder {
            let _ = recorder.cast(RecorderMessage::SegmentOver);
        }
    }

    fn close_streams(&mut self) {
        for stream in std::mem::take(&mut self.streams).into_values() {
            stream.stop();
        }
        self.report_summary();
        let mut keep = self.parts.keep.lock();
        keep.flowing = None;
        keep.streams.clear();
    }

    fn ended(&mut self) {
        self.parts.keep.lock().slot = None;
        self.report(MediaReport::Stopped);
        self.to_session(CallSessionMessage::TapChanged(None));
        self.tap_ended = true;
        self.finished();
    }
}

type Names = Mutex<HashMap<String, String>>;

async fn ask(commands: &PbxCommands, request: &TapRequest, names: &Names, keeps_cdrs: &Arc<AtomicBool>) -> Result<TapReply, TapFailure> {
    match request {
        TapRequest::CreateSnoop { id, .. } => {
            let channel: AriChannel = commands.ask(&plain(request), DEADLINE).await.map_err(failure)?;
            names.lock().insert(id.clone(), channel.name);
            return Ok(TapReply::Done);
        }
        TapRequest::SetVariable { channel, name, value } => {
            let known = names.lock().get(channel).cloned();
            if let Some(known) = known
                && quiet(commands.clone(), keeps_cdrs.clone(), known, (*name).to_owned(), (*value).to_owned())
                    .await
                    .is_ok()
            {
                return Ok(TapReply::Done);
            }
        }
        TapRequest::DeleteChannel { id } => {
            names.lock().remove(id);
        }
        _ => {}
    }
    let answer = commands.ari(&plain(request), DEADLINE).await.map_err(failure)?;
    if let TapRequest::ExternalMedia { .. } = request {
        let channel: AriChannel = answer.json().map_err(TapFailure::Refused)?;
        let from = channel.unicast_rtp_local();
        let from = from.ok_or_else(|| TapFailure::Refused("the PBX did not say from where it sends".into()))?;
        return Ok(TapReply::External { from });
    }
    Ok(TapReply::Done)
}

/// In ARI's words.
fn plain(request: &TapRequest) -> Request {
    match request {
        TapRequest::CreateSnoop { channel, id, spy, app } => Request::snoop(&Snoop {
            channel: channel.clone(),
            snoop_id: id.clone(),
            spy: direction(*spy),
            whisper: AudioDirection::None,
            app: app.clone(),
            app_args: String::new(),
        }),
        TapRequest::SetVariable { channel, name, value } => Request::set_variable(channel, name, value),
        TapRequest::CreateBridge { id } => Request::create_bridge(id, id),
        TapRequest::AddToBridge { bridge, channels } => Request::add_to_bridge(bridge, &channels.iter().map(String::as_str).collect::<Vec<_>>()),
        TapRequest::DeleteChannel { id } => Request::hangup(id, HangupReason::Normal),
        TapRequest::DeleteBridge { id } => Request::delete_bridge(id),
        TapRequest::ExternalMedia {
            id,
            app,
            host,
            format,
            variables,
        } => Request::external_media(&ExternalMedia {
            app: app.clone(),
            channel_id: id.clone(),
            external_host: host.to_string(),
            format: format.asterisk_name().to_owned(),
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }),
    }
}

fn direction(spy: Spy) -> AudioDirection {
    match spy {
        Spy::In => AudioDirection::In,
        Spy::Out => AudioDirection::Out,
        Spy::Both => AudioDirection::Both,
    }
}

fn failure(error: PbxError) -> TapFailure {
    match error {
        PbxError::NotFound(_) => TapFailure::NotFound,
        PbxError::Timeout { .. } | PbxError::Unreachable(_) => TapFailure::Lost,
        other => TapFailure::Refused(other.to_string()),
    }
}
