//! `CallSupervisor`: a tenant's calls. One that fails for good takes nothing else with it.

use crate::call::{Call, CallParts};
use crate::calls::directory::Opened;
use crate::deps::Deps;
use crate::journal::JournalHandle;
use crate::live::LiveCall;
use crate::pbx_handle::PbxHandles;
use aimg_actor_kit::{ActorError, Budget, ChildGone, Context, Dispatch, Exhausted, Restart};
use aimg_domain::CallId;
use aimg_store::sessions::SessionRow;
use std::sync::Arc;
use std::time::Duration;

/// A call's own supervisor fails only by escalation or a mistake of ours; its parts live on in its mailboxes.
const CALL: Restart = Restart::OnFailure(Budget {
    restarts: 3,
    window: Duration::from_secs(15),
    wait: Duration::from_millis(50),
    exhausted: Exhausted::Degrade,
});

pub enum CallSupervisorMessage {
    Begin(Box<Begin>),
}

/// How a call begins here.
#[derive(Clone)]
pub enum Begin {
    /// The directory saw its first channel.
    Opened { opened: Opened, live: LiveCall },
    /// It was stored by an earlier life of this node.
    Stored { row: Box<SessionRow>, live: LiveCall },
}

impl Begin {
    pub fn call(&self) -> CallId {
        match self {
            Begin::Opened { opened, .. } => opened.session,
            Begin::Stored { row, .. } => row.session.id,
        }
    }

    pub fn live(&self) -> &LiveCall {
        match self {
            Begin::Opened { live, .. } | Begin::Stored { live, .. } => live,
        }
    }
}

pub struct CallSupervisor {
    pub deps: Arc<Deps>,
    pub journal: JournalHandle,
    pub pbxs: PbxHandles,
}

impl Dispatch for CallSupervisor {
    type Message = CallSupervisorMessage;
    const KIND: &'static str = "call_supervisor";
    const BOUND: usize = 16_384;

    async fn handle(&mut self, message: CallSupervisorMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        let CallSupervisorMessage::Begin(begin) = message;
        let call = begin.call();
        let parts = Arc::new(CallParts::new(*begin, self.deps.clone(), self.journal.clone(), self.pbxs.clone()));
        let make = move |_| {
            let parts = parts.clone();
            async move { Ok(Call { parts }) }
        };
        if let Err(error) = context.spawn::<Call, _, _>(call.to_string(), CALL, make).await {
            tracing::error!(%call, %error, "a call could not be started");
            self.deps.live.close(call);
        }
        Ok(())
    }

    async fn child_gone(&mut self, gone: ChildGone, _: &mut Context<Self>) -> Result<(), ActorError> {
        if let Ok(call) = gone.subject.parse::<CallId>() {
            self.deps.live.close(call);
        }
        Ok(())
    }
}
