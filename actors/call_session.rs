//! `CallSession`: a call's state machine, fed with facts. Each change goes to the tenant's journal; what is to be
//! done about audio goes to the sibling `CallMedia`.

use crate::act::{self, Performed};
use crate::call::CallParts;
use crate::call_media::CallMediaMessage;
use crate::call_supervisor::Begin;
use crate::calls::actions::Standing;
use crate::calls::directory::{ClosedWhy, ReconcilePart};
use crate::calls::resume;
use crate::calls::session::{CallSessionMachine, Effect, Input, MediaReport};
use crate::journal::backlog::Append;
use crate::pbx_connection::PbxConnectionMessage;
use crate::pbx_handle::LinkEntry;
use aimg_actor_kit::{ActorError, Context, Dispatch, Reply};
use aimg_domain::pbx::{PbxState, PbxStatus};
use aimg_domain::{CallId, Fault, Permission, Timestamp};
use aimg_pbx::fact::Told;
use aimg_store::sessions::SessionRow;
use aimg_wire::request::{Asked, CallAction, CallDetail, CallReply, CallRequest};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

pub enum CallSessionMessage {
    Told(Box<Told>),
    Withdrawn {
        uniqueid: String,
    },
    MergedInto(CallId),
    MergedFrom(CallId),
    Blind {
        since: Timestamp,
    },
    Reconciled(ReconcilePart),
    Closed(ClosedWhy),
    PbxDetached {
        why: String,
    },
    Media(MediaReport),
    /// The tap as it must be found again after a death.
    TapChanged(Option<Value>),
    /// Somebody listens or records, or nobody any more.
    AudioWanted(bool),
    /// Recorder and tap are done with an ended call.
    MediaFinished,
    Asked(Asked<CallRequest>, Reply<Result<CallReply, Fault>>),
    /// Steps on the PBX went through: what they changed.
    Performed(Performed),
    /// Whether the first commit came before media had to start.
    Stored {
        in_time: bool,
    },
}

/// How long media wait for the session to be stored.
const STORED_WITHIN: Duration = Duration::from_secs(2);
/// How long an ended call stays for its media to finish.
const FINISH_WITHIN: Duration = Duration::from_secs(120);

pub struct CallSession {
    parts: Arc<CallParts>,
    machine: CallSessionMachine,
    tap: Option<Value>,
    /// The first row is committed, or was waited for long enough.
    stored: bool,
    /// Sent to the journal at least once.
    sent: bool,
    /// Media effects that wait for `stored`.
    held: Vec<Effect>,
    media_finished: bool,
    /// A commit the journal's mailbox had no room for: it is made good with the next.
    owed: bool,
}

impl CallSession {
    pub fn new(parts: Arc<CallParts>) -> Result<CallSession, ActorError> {
        let config = parts.session_config()?;
        let ids = parts.deps.ids.clone();
        let last = parts.last.lock().clone();
        let machine = match (&last, &parts.begin) {
            (Some(row), _) => CallSessionMachine::restore(row, config, ids),
            (None, Begin::Opened { opened, .. }) => CallSessionMachine::open(opened, config, ids),
            (None, Begin::Stored { row, .. }) => CallSessionMachine::restore(row, config, ids),
        };
        let tap = last.as_ref().and_then(|row| resume::tap_part(&row.resume)).cloned();
        let stored = last.is_some();
        let session = CallSession {
            parts,
            machine,
            tap,
            stored,
            sent: stored,
            held: Vec::new(),
            media_finished: false,
            owed: false,
        };
        session.show();
        Ok(session)
    }

    fn now(&self) -> Timestamp {
        self.parts.deps.clock.now()
    }

    /// Reads of the live call look here instead of asking.
    fn show(&self) {
        *self.parts.begin.live().view.write() = Some(self.machine.session().clone());
    }

    fn apply(&mut self, input: Input, context: &mut Context<Self>) {
        let effects = self.machine.apply(input, self.now());
        self.show();
        for effect in effects {
            self.perform(effect, context);
        }
        if let Some(session) = self.parts.begin.live().view.read().as_ref() {
            context.note(
                serde_json::to_value(session.state)
                    .ok()
                    .and_then(|state| state.as_str().map(str::to_owned))
                    .unwrap_or_default(),
            );
        }
    }

    fn perform(&mut self, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Store { events, .. } => self.store(events, context),
            Effect::StartMedia { .. } | Effect::MediaLegs(_) | Effect::StopMedia if !self.stored => self.held.push(effect),
            Effect::StartMedia { legs, mode, record } => self.to_media(CallMediaMessage::Start { legs, mode, record }),
            Effect::MediaLegs(legs) => self.to_media(CallMediaMessage::Legs(legs)),
            Effect::StopMedia => self.to_media(CallMediaMessage::Stop),
            Effect::Ended => {
                self.to_media(CallMediaMessage::CallEnded);
                context.remind(CallSessionMessage::MediaFinished, FINISH_WITHIN);
            }
        }
    }

    fn to_media(&self, message: CallMediaMessage) {
        if self.parts.begin.live().media.cast(message).is_err() {
            tracing::warn!(call = %self.parts.id, "the call's media cannot be told");
        }
    }

    fn row(&self) -> SessionRow {
        SessionRow {
            session: self.machine.session().clone(),
            resume: resume::pack(self.machine.snapshot(), self.tap.clone()),
        }
    }

    fn store(&mut self, events: Vec<aimg_domain::NewEvent>, context: &Context<Self>) {
        let row = self.row();
        *self.parts.last.lock() = Some(row.clone());
        let ack = if self.sent { None } else { Some(self.first_ack(context)) };
        self.sent = true;
        let append = Append {
            call: Some(self.parts.id),
            events,
            session: Some(row),
            ack,
        };
        self.owed = !self.parts.journal.append(append);
        if self.owed {
            metrics::counter!("aimg_journal_refused_total").increment(1);
            tracing::error!(call = %self.parts.id, "the journal's mailbox is full: the next change stores this one too");
        }
    }

    /// Session first, media after: but media do not wait for ever.
    fn first_ack(&self, context: &Context<Self>) -> Reply<()> {
        let (reply, stored) = Reply::pair();
        let me = context.address().clone();
        tokio::spawn(async move {
            let in_time = matches!(tokio::time::timeout(STORED_WITHIN, stored).await, Ok(Ok(())));
            let _ = me.cast(CallSessionMessage::Stored { in_time });
        });
        reply
    }

    fn stored(&mut self, in_time: bool, context: &mut Context<Self>) {
        self.stored = true;
        if !in_time {
            self.apply(Input::StoredLate, context);
        }
        for effect in std::mem::take(&mut self.held) {
            self.perform(effect, context);
        }
    }

    fn pbx_status(&self) -> PbxStatus {
        let handle = self.parts.pbxs.get(self.machine.session().pbx_id);
        handle.map(|handle| handle.status.read().clone()).unwrap_or_else(|| PbxStatus {
            state: PbxState::Detached,
            since: self.machine.session().started_at,
            reason: Some("the PBX is detached".into()),
            version: None,
            booted_at: None,
            last_gap: None,
        })
    }

    /// Policies hold as they are now, not as they were when the call began.
    fn link_now(&self) -> Option<Arc<LinkEntry>> {
        let live = self.parts.begin.live();
        self.parts.pbxs.get(live.pbx)?.link(live.link)
    }

    fn standing<'a>(&'a self, status: &'a PbxStatus, link: Option<&'a LinkEntry>) -> Standing<'a> {
        let standing = self.machine.standing(status);
        Standing {
            link: link.map_or(standing.link, |entry| &entry.link),
            ..standing
        }
    }

    fn detail(&self) -> Box<CallDetail> {
        let (status, link) = (self.pbx_status(), self.link_now());
        let actions = self.standing(&status, link.as_deref()).action_list();
        Box::new(CallDetail {
            session: self.machine.session().clone(),
            actions,
        })
    }

    fn asked(&mut self, asked: Asked<CallRequest>, reply: Reply<Result<CallReply, Fault>>, context: &Context<Self>) {
        match asked.body {
            CallRequest::Get => reply.send(Ok(CallReply::Call(self.detail()))),
            CallRequest::Act(action) => {
                if let Err(fault) = asked.caller.require(permission(&action)) {
                    return reply.send(Err(fault));
                }
                let (status, link) = (self.pbx_status(), self.link_now());
                let steps = match self.standing(&status, link.as_deref()).plan(&action) {
                    Ok(steps) => steps,
                    Err(fault) => return reply.send(Err(fault)),
                };
                let job = act::Job {
                    steps,
                    handle: self.parts.pbxs.get(self.machine.session().pbx_id),
                    media: self.parts.begin.live().media.clone(),
                    session: context.address().clone(),
                    view: self.parts.begin.live().view.clone(),
                    asked: Asked {
                        tenant: asked.tenant,
                        caller: asked.caller,
                        remaining_ms: asked.remaining_ms,
                        body: CallRequest::Get,
                    },
                };
                tokio::spawn(act::perform(job, reply));
            }
        }
    }

    fn finish_if_done(&self, context: &mut Context<Self>) {
        if self.machine.session().is_ended() && self.media_finished {
            context.stop();
        }
    }
}

fn permission(action: &CallAction) -> Permission {
    match action {
        CallAction::StartRecording | CallAction::StopRecording | CallAction::PauseRecording | CallAction::ResumeRecording => Permission::RecordingsCreate,
        _ => Permission::CallsControl,
    }
}

impl Dispatch for CallSession {
    type Message = CallSessionMessage;
    const KIND: &'static str = "call_session";
    const BOUND: usize = 4096;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        if context.restarted() {
            // What the crash cost is made good from the PBX's truth.
            if let Some(handle) = self.parts.pbxs.get(self.machine.session().pbx_id) {
                let _ = handle.connection.cast(PbxConnectionMessage::Resync);
            }
        }
        if self.machine.session().is_ended() {
            self.to_media(CallMediaMessage::CallEnded);
            context.remind(CallSessionMessage::MediaFinished, FINISH_WITHIN);
        }
        Ok(())
    }

    async fn handle(&mut self, message: CallSessionMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            CallSessionMessage::Told(told) => self.apply(Input::Told(told), context),
            CallSessionMessage::Withdrawn { uniqueid } => self.apply(Input::Withdrawn { uniqueid }, context),
            CallSessionMessage::MergedInto(into) => self.apply(Input::MergedInto { into }, context),
            CallSessionMessage::MergedFrom(from) => self.apply(Input::MergedFrom { from }, context),
            CallSessionMessage::Blind { since } => self.apply(Input::Blind { since }, context),
            CallSessionMessage::Reconciled(part) => self.apply(Input::Reconciled(part), context),
            CallSessionMessage::Closed(why) => self.apply(Input::Closed(why), context),
            CallSessionMessage::PbxDetached { why } => self.apply(Input::Failed { reason: why }, context),
            CallSessionMessage::Media(report) => self.apply(Input::Media(report), context),
            CallSessionMessage::AudioWanted(wanted) => self.apply(Input::AudioWanted(wanted), context),
            CallSessionMessage::TapChanged(tap) => {
                self.tap = tap;
                self.store(Vec::new(), context);
            }
            CallSessionMessage::MediaFinished => self.media_finished = true,
            CallSessionMessage::Asked(asked, reply) => self.asked(asked, reply, context),
            CallSessionMessage::Performed(Performed::HangupSent) => self.apply(Input::HangupByPlatform, context),
            CallSessionMessage::Performed(Performed::Muted { leg, on }) => self.apply(Input::Muted { leg, on }, context),
            CallSessionMessage::Stored { in_time } => self.stored(in_time, context),
        }
        if self.owed {
            self.store(Vec::new(), context);
        }
        self.finish_if_done(context);
        Ok(())
    }
}
