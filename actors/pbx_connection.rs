//! `PbxConnection`: one pbx, AMI and ARI. It reads once for all tenants, hands facts to the directory, what concerns
//! our own objects to the call's media, and compares belief with truth after each gap.

use crate::alive;
use crate::call_media::CallMediaMessage;
use crate::calls::directory::{DirectoryOutput, Verdict};
use crate::deps::Deps;
use crate::pbx_handle::PbxHandle;
use crate::reaper;
use crate::routing::Router;
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply};
use aimg_domain::event::EventKind;
use aimg_domain::pbx::{Gap, PbxState};
use aimg_domain::{CallId, Timestamp};
use aimg_pbx::ami::action::Action;
use aimg_pbx::ami::fact::channel_snapshot;
use aimg_pbx::ari::event::{AriEvent, What};
use aimg_pbx::fact::Snapshot;
use aimg_pbx::object::ObjectId;
use aimg_pbx_link::{AriApp, LinkConfig, LinkEvent, LinkUp, PbxLinkDriver};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub enum PbxConnectionMessage {
    /// Answered when it is dealt with: so the driver is held back before anything here grows.
    Link(Box<LinkEvent>, Reply<()>),
    Tick,
    /// Compare with the PBX's truth now: an actor of a call was restarted.
    Resync,
    Truth(Snapshot),
    /// Our objects that exist on the PBX, and what they were listed for.
    Objects {
        objects: Vec<String>,
        look: Look,
    },
    LookAgain(Look),
    /// Take our applications back.
    Reclaim,
    Detach(Reply<()>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// ARI is back: live calls go on with what there is.
    Resume,
    /// Only for what belongs to nobody.
    Reap,
}

const TICK: Duration = Duration::from_secs(1);
/// How often what is left of ours is looked for.
const REAP_TICKS: u64 = 60;
const TRUTH: Duration = Duration::from_secs(10);
/// After another connection took our applications: long enough that two who both believe do not fight in a loop.
const RECLAIM: Duration = Duration::from_secs(5);
const LEAVE: Duration = Duration::from_secs(2);

pub struct PbxConnection {
    handle: Arc<PbxHandle>,
    deps: Arc<Deps>,
    router: Router,
    driver: Option<PbxLinkDriver>,
    /// Since when nothing is seen.
    blind_since: Option<Timestamp>,
    boot: Option<Timestamp>,
    ticks: u64,
}

impl PbxConnection {
    pub fn new(handle: Arc<PbxHandle>, deps: Arc<Deps>, router: Router) -> PbxConnection {
        PbxConnection {
            handle,
            deps,
            router,
            driver: None,
            blind_since: None,
            boot: None,
            ticks: 0,
        }
    }

    fn connect(&mut self, context: &Context<Self>) -> Result<(), ActorError> {
        let pbx = &self.handle.pbx;
        let seed = self.deps.seed ^ u64::from(pbx.id.0.as_fields().0);
        let config = LinkConfig::new(pbx, self.deps.epoch(), seed);
        match PbxLinkDriver::start(config, self.deps.clock.clone()) {
            Ok((driver, commands, mut events)) => {
                *self.handle.commands.write() = Some(commands);
                self.driver = Some(driver);
                let me = context.address().clone();
                tokio::spawn(async move {
                    while let Some(event) = events.recv().await {
                        if deliver(&me, event).await.is_err() {
                            return;
                        }
                    }
                });
                Ok(())
            }
            Err(error) => {
                // Trying again cannot help: the access itself is unusable. Shown until somebody changes it.
                self.set_state(PbxState::Refused, self.deps.clock.now(), Some(error.to_string()), context);
                Ok(())
            }
        }
    }

    fn set_state(&self, state: PbxState, since: Timestamp, reason: Option<String>, context: &Context<Self>) {
        let before = {
            let mut status = self.handle.status.write();
            let before = status.state;
            if before != state {
                status.since = since;
            }
            status.state = state;
            status.reason.clone_from(&reason);
            before
        };
        context.note(match &reason {
            Some(reason) => format!("{state:?}: {reason}").to_lowercase(),
            None => format!("{state:?}").to_lowercase(),
        });
        if before != state {
            let kind = match state {
                PbxState::Attached => EventKind::PbxAttached,
                PbxState::Blind => EventKind::PbxBlind,
                PbxState::Refused => EventKind::PbxRefused,
                PbxState::Detached => EventKind::PbxDetached,
                PbxState::Connecting => return,
            };
            let data = json!({ "pbx_id": self.handle.pbx.id, "name": self.handle.pbx.name, "state": state, "since": since, "reason": reason });
            // A tenant's PBX is nobody else's business.
            self.deps.relay.system_for(self.handle.pbx.tenant_id, kind, data);
        }
    }

    fn link(&mut self, event: LinkEvent, context: &Context<Self>) {
        match event {
            LinkEvent::Connecting { attempt } => {
                if self.handle.status.read().state == PbxState::Connecting {
                    context.note(format!("connecting, attempt {attempt}"));
                }
            }
            LinkEvent::Up(up) => self.up(*up, context),
            LinkEvent::Facts(facts) => {
                let now = self.deps.clock.now();
                metrics::counter!("aimg_pbx_facts_total").increment(facts.len() as u64);
                for told in &facts {
                    self.router.apply(&self.handle.directory, |directory| directory.apply(told, now));
                }
            }
            LinkEvent::Ari { event, .. } => self.ari(&event),
            LinkEvent::AriUp { app: AriApp::Taps, .. } => {
                self.handle.taps_up.store(true, Ordering::Relaxed);
                self.note_ari(None, context);
                self.look_for_objects(Look::Resume, context);
            }
            LinkEvent::AriUp {
                app: AriApp::Stable,
                application,
            } => self.in_stable(&application.channel_ids),
            LinkEvent::AriDown { app, reason, .. } => {
                if app == AriApp::Taps {
                    self.handle.taps_up.store(false, Ordering::Relaxed);
                    self.tell_media(|| CallMediaMessage::LinkDown);
                }
                self.note_ari(Some(format!("ARI is down, no audio and no Stasis control: {reason}")), context);
            }
            LinkEvent::Replaced { .. } => {
                let why = "another connection took our Stasis application: a second node or installation uses this pbx entry";
                self.note_ari(Some(why.into()), context);
                context.remind(PbxConnectionMessage::Reclaim, RECLAIM);
            }
            LinkEvent::Down { reason, since } => self.lost(PbxState::Blind, since, reason, context),
            LinkEvent::Refused { reason, what_to_do, since } => self.lost(PbxState::Refused, since, format!("{reason}; {what_to_do}"), context),
        }
    }

    fn note_ari(&self, reason: Option<String>, context: &Context<Self>) {
        let (state, since) = {
            let status = self.handle.status.read();
            (status.state, status.since)
        };
        if state == PbxState::Attached {
            self.set_state(state, since, reason, context);
        }
    }

    fn lost(&mut self, state: PbxState, since: Timestamp, reason: String, context: &Context<Self>) {
        let now = self.deps.clock.now();
        if self.blind_since.is_none() {
            self.blind_since = Some(since);
            self.router.apply(&self.handle.directory, |directory| directory.lost(now));
        }
        // One that was never seen is not blind: it is still being connected.
        let never = state == PbxState::Blind && self.boot.is_none();
        let state = if never && self.handle.status.read().state != PbxState::Refused {
            PbxState::Connecting
        } else {
            state
        };
        self.set_state(state, since, Some(reason), context);
    }

    fn up(&mut self, up: LinkUp, context: &Context<Self>) {
        let now = self.deps.clock.now();
        let boot = up.booted_at.unwrap_or(now);
        let (adopted, ended, corrected) = self.reconcile(&up.snapshot, boot, now);
        self.boot = Some(boot);
        {
            let mut status = self.handle.status.write();
            status.version = up.asterisk_version.clone();
            status.booted_at = up.booted_at;
            if let Some(from) = self.blind_since.take() {
                status.last_gap = Some(Gap {
                    from,
                    to: now,
                    adopted,
                    ended,
                    corrected,
                });
            }
        }
        self.set_state(PbxState::Attached, now, None, context);
    }

    /// What the comparison changed: sessions adopted, ended, corrected.
    fn reconcile(&self, snapshot: &Snapshot, boot: Timestamp, now: Timestamp) -> (u32, u32, u32) {
        let live = &self.deps.live;
        self.router.with(&self.handle.directory, |directory| {
            let outputs = directory.reconcile(snapshot, boot, now);
            let mut counts = (0, 0, 0);
            for output in &outputs {
                let DirectoryOutput::Reconciled { session, part } = output else { continue };
                match part.verdict {
                    Verdict::Adopted => counts.0 += 1,
                    Verdict::Gone | Verdict::Rebooted => counts.1 += 1,
                    Verdict::Kept => {
                        let believed = live.get(*session).and_then(|live| live.view.read().clone());
                        let differs = believed.is_some_and(|call| {
                            let living = call.legs.iter().filter(|leg| leg.ended_at.is_none());
                            !living
                                .map(|leg| &leg.uniqueid)
                                .all(|id| part.channels.iter().any(|there| there.channel.uniqueid == *id))
                        });
                        counts.2 += u32::from(differs);
                    }
                }
            }
            (counts, outputs)
        })
    }

    fn ari(&self, event: &AriEvent) {
        let now = self.deps.clock.now();
        if let What::BridgeDestroyed { bridge } = &event.what {
            return self.object(&bridge.id, |object| CallMediaMessage::Gone { object });
        }
        let Some(channel) = event.channel() else { return };
        let ours = ObjectId::parse(&channel.id).filter(|object| object.purpose != reaper::LEG);
        match (&event.what, ours) {
            (What::StasisStart { .. }, Some(_)) => self.object(&channel.id, |channel| CallMediaMessage::Entered { channel }),
            (What::StasisEnd { .. } | What::ChannelDestroyed { .. }, Some(_)) => self.object(&channel.id, |object| CallMediaMessage::Gone { object }),
            (_, Some(_)) => {}
            (_, None) => {
                if let Some(told) = event.told(now) {
                    self.router.apply(&self.handle.directory, |directory| directory.apply(&told, now));
                }
            }
        }
    }

    fn object(&self, id: &str, message: impl FnOnce(String) -> CallMediaMessage) {
        if let Some(object) = ObjectId::parse(id)
            && let Some(live) = self.deps.live.get(object.call)
        {
            let _ = live.media.cast(message(id.to_owned()));
        }
    }

    /// Channels that entered our application while its websocket was away.
    fn in_stable(&self, channels: &[String]) {
        let now = self.deps.clock.now();
        for id in channels {
            let fact = aimg_pbx::fact::Fact::Stasis {
                uniqueid: id.clone(),
                entered: true,
                args: Vec::new(),
            };
            let told = aimg_pbx::fact::Told { at: now, fact };
            self.router.apply(&self.handle.directory, |directory| directory.apply(&told, now));
        }
    }

    fn tell_media(&self, message: impl Fn() -> CallMediaMessage) {
        for (_, live) in self.deps.live.all_of_pbx(self.handle.pbx.id) {
            let _ = live.media.cast(message());
        }
    }

    fn look_for_objects(&self, look: Look, context: &Context<Self>) {
        let Some(commands) = self.handle.commands.read().clone() else { return };
        let (me, cluster, pbx) = (context.address().clone(), self.deps.cluster.clone(), self.handle.pbx.id.short());
        tokio::spawn(async move {
            match reaper::objects(&commands, &cluster, &pbx).await {
                Ok(objects) => {
                    let _ = me.cast(PbxConnectionMessage::Objects { objects, look });
                }
                Err(error) => {
                    // Live calls wait for this before they touch anything: it must come, unless ARI is lost again.
                    tracing::warn!(%error, "our objects on the PBX could not be listed yet");
                    tokio::time::sleep(TICK).await;
                    let _ = me.cast(PbxConnectionMessage::LookAgain(look));
                }
            }
        });
    }

    /// Each live call learns what there is of its own; what belongs to no live call is deleted.
    fn objects(&self, objects: Vec<String>, look: Look) {
        let mut of_call: BTreeMap<CallId, Vec<String>> = BTreeMap::new();
        for id in objects {
            if let Some(object) = ObjectId::parse(&id) {
                of_call.entry(object.call).or_default().push(id);
            }
        }
        for (call, live) in self.deps.live.all_of_pbx(self.handle.pbx.id) {
            let objects = of_call.remove(&call).unwrap_or_default();
            if look == Look::Resume {
                let _ = live.media.cast(CallMediaMessage::Exists { objects });
            }
        }
        let left: Vec<String> = of_call.into_values().flatten().collect();
        if !left.is_empty()
            && let Some(commands) = self.handle.commands.read().clone()
        {
            tokio::spawn(reaper::reap(commands, left, self.deps.epoch()));
        }
    }

    fn resync(&self, context: &Context<Self>) {
        let Ok(commands) = self.handle.commands() else { return };
        let me = context.address().clone();
        tokio::spawn(async move {
            match commands.ami(Action::core_show_channels(), TRUTH).await {
                Ok(answer) => {
                    let channels = answer.events.iter().filter_map(channel_snapshot).collect();
                    let _ = me.cast(PbxConnectionMessage::Truth(Snapshot { channels, in_stasis: None }));
                }
                Err(error) => tracing::warn!(%error, "the PBX's channels could not be listed"),
            }
        });
    }
}

/// Waits while the mailbox is full: then the driver's own bounds hold.
async fn deliver(me: &Address<PbxConnectionMessage>, event: LinkEvent) -> Result<(), ()> {
    let (reply, done) = Reply::pair();
    match me.cast(PbxConnectionMessage::Link(Box::new(event), reply)) {
        Ok(()) => {
            // Dropped without an answer: the actor failed on it, its successor has a driver of its own.
            done.await.map_err(drop)
        }
        Err(_) => Err(()),
    }
}

impl Dispatch for PbxConnection {
    type Message = PbxConnectionMessage;
    const KIND: &'static str = "pbx_connection";
    const BOUND: usize = 1024;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        if context.restarted() {
            self.blind_since = Some(self.deps.clock.now());
            let now = self.deps.clock.now();
            self.router.apply(&self.handle.directory, |directory| directory.lost(now));
            self.tell_media(|| CallMediaMessage::LinkDown);
        }
        self.connect(context)?;
        context.remind(PbxConnectionMessage::Tick, TICK);
        Ok(())
    }

    async fn handle(&mut self, message: PbxConnectionMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            PbxConnectionMessage::Link(event, reply) => {
                self.link(*event, context);
                reply.send(());
            }
            PbxConnectionMessage::Tick => {
                context.remind(PbxConnectionMessage::Tick, TICK);
                let now = self.deps.clock.now();
                self.router.apply(&self.handle.directory, |directory| directory.tick(now));
                alive::touch(&self.deps.open, now);
                self.ticks += 1;
                if self.ticks.is_multiple_of(REAP_TICKS) && self.handle.pbx.ari.is_some() && self.handle.commands().is_ok() {
                    self.look_for_objects(Look::Reap, context);
                }
            }
            PbxConnectionMessage::Resync => self.resync(context),
            PbxConnectionMessage::Truth(snapshot) => {
                let now = self.deps.clock.now();
                if let Some(boot) = self.boot.filter(|_| self.blind_since.is_none()) {
                    self.reconcile(&snapshot, boot, now);
                }
            }
            PbxConnectionMessage::Objects { objects, look } => self.objects(objects, look),
            PbxConnectionMessage::Reclaim => {
                // This node holds the folder's lock: nobody else may own this pbx entry.
                if let Some(commands) = self.handle.commands.read().as_ref() {
                    commands.reclaim();
                }
            }
            PbxConnectionMessage::LookAgain(look) => {
                if self.handle.taps_up.load(Ordering::Relaxed) {
                    self.look_for_objects(look, context);
                }
            }
            PbxConnectionMessage::Detach(reply) => {
                self.set_state(PbxState::Detached, self.deps.clock.now(), Some("detached".into()), context);
                *self.handle.commands.write() = None;
                if let Some(driver) = self.driver.take() {
                    driver.stop(LEAVE).await;
                }
                reply.send(());
                context.stop();
            }
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.stop(LEAVE).await;
        }
    }
}
