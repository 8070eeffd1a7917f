//! `Call`: supervises a call's two siblings, `CallSession` (the state machine) and `CallMedia` (the audio). Each
//! restarts without the other; what either needs to go on lies in [`CallParts`], which outlives both.

use crate::call_media::CallMedia;
use crate::call_session::CallSession;
use crate::call_supervisor::Begin;
use crate::calls::session::SessionConfig;
use crate::deps::Deps;
use crate::journal::JournalHandle;
use crate::media_keep::MediaKeep;
use crate::pbx_handle::PbxHandles;
use aimg_actor_kit::{ActorError, ChildGone, Context, Dispatch, Restart};
use aimg_domain::CallId;
use aimg_store::sessions::SessionRow;
use parking_lot::Mutex;
use std::sync::Arc;

/// What a call's actors share and find again after a restart.
pub struct CallParts {
    pub id: CallId,
    pub begin: Begin,
    /// The last row that was handed to the journal.
    pub last: Mutex<Option<SessionRow>>,
    /// Streams, tap and recorder: they go on while `CallMedia` is being restarted.
    pub keep: Mutex<MediaKeep>,
    pub deps: Arc<Deps>,
    pub journal: JournalHandle,
    pub pbxs: PbxHandles,
}

impl CallParts {
    pub fn new(begin: Begin, deps: Arc<Deps>, journal: JournalHandle, pbxs: PbxHandles) -> CallParts {
        let last = match &begin {
            Begin::Opened { .. } => None,
            Begin::Stored { row, .. } => Some((**row).clone()),
        };
        CallParts {
            id: begin.call(),
            begin,
            last: Mutex::new(last),
            keep: Mutex::default(),
            deps,
            journal,
            pbxs,
        }
    }
}

impl CallParts {
    /// What the session's machine is read by, as it is configured now.
    pub fn session_config(&self) -> Result<SessionConfig, ActorError> {
        let live = self.begin.live();
        let handle = self.pbxs.get(live.pbx).ok_or_else(|| ActorError::new("its pbx is not attached"))?;
        let link = handle.link(live.link).ok_or_else(|| ActorError::new("its link is gone"))?;
        Ok(SessionConfig {
            pbx: Arc::new(handle.pbx.clone()),
            link: Arc::new(link.link.clone()),
            show_dtmf: false,
        })
    }
}

pub struct Call {
    pub parts: Arc<CallParts>,
}

pub enum CallMessage {}

impl Dispatch for Call {
    type Message = CallMessage;
    const KIND: &'static str = "call";
    const BOUND: usize = 1;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let live = self.parts.begin.live().clone();
        let subject = self.parts.id.to_string();
        let parts = self.parts.clone();
        let make = move |_| {
            let parts = parts.clone();
            async move { CallMedia::new(parts) }
        };
        context.spawn_with::<CallMedia, _, _>(live.media, subject.clone(), Restart::PART, make).await?;
        let parts = self.parts.clone();
        let make = move |_| {
            let parts = parts.clone();
            async move { CallSession::new(parts) }
        };
        context.spawn_with::<CallSession, _, _>(live.session, subject, Restart::PART, make).await?;
        Ok(())
    }

    async fn handle(&mut self, message: CallMessage, _: &mut Context<Self>) -> Result<(), ActorError> {
        match message {}
    }

    async fn child_gone(&mut self, gone: ChildGone, context: &mut Context<Self>) -> Result<(), ActorError> {
        match (gone.kind, gone.degraded) {
            // The session is over (or lost for good): media ends with the call.
            (CallSession::KIND, _) => context.stop(),
            // Degraded, never ended: the call goes on unheard.
            (_, true) => context.note("no audio: media failed too often"),
            _ => {}
        }
        Ok(())
    }
}
