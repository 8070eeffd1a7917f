//! `TenantSupervisor`: one tenant on this node: its journal, its calls, its ties to PBXs.
//!
//! A journal or call supervisor that cannot be kept up fails the tenant, and its shard starts it again: other
//! tenants go on.

use crate::call_supervisor::{CallSupervisor, CallSupervisorMessage};
use crate::deps::Deps;
use crate::journal::{Journal, JournalHandle};
use crate::pbx_handle::PbxHandles;
use crate::pbx_link::PbxLinkActor;
use crate::recorder::leftovers;
use crate::routing::Router;
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply, Restart};
use aimg_domain::link::PbxLink;
use aimg_domain::{PbxLinkId, TenantId};
use std::collections::HashMap;
use std::sync::Arc;

pub enum TenantSupervisorMessage {
    ApplyLink(Box<PbxLink>, Reply<()>),
    RemoveLink(PbxLinkId, Reply<()>),
}

pub struct TenantSupervisor {
    tenant: TenantId,
    deps: Arc<Deps>,
    pbxs: PbxHandles,
    router: Router,
    journal: Option<JournalHandle>,
    links: HashMap<PbxLinkId, Address<crate::pbx_link::PbxLinkMessage>>,
}

impl TenantSupervisor {
    pub fn new(tenant: TenantId, deps: Arc<Deps>, pbxs: PbxHandles, router: Router) -> TenantSupervisor {
        TenantSupervisor {
            tenant,
            deps,
            pbxs,
            router,
            journal: None,
            links: HashMap::new(),
        }
    }

    async fn apply_link(&mut self, link: PbxLink, context: &mut Context<Self>) -> Result<(), ActorError> {
        let id = link.id;
        if let Some(actor) = self.links.get(&id)
            && actor.cast(crate::pbx_link::PbxLinkMessage::Changed(Box::new(link.clone()))).is_ok()
        {
            return Ok(());
        }
        let (pbxs, router, clock) = (self.pbxs.clone(), self.router.clone(), self.deps.clock.clone());
        let make = move |_| {
            let actor = PbxLinkActor::new(link.clone(), pbxs.clone(), router.clone(), clock.clone());
            async move { Ok(actor) }
        };
        let address = context.spawn::<PbxLinkActor, _, _>(id.to_string(), Restart::PART, make).await?;
        self.links.insert(id, address);
        Ok(())
    }
}

impl Dispatch for TenantSupervisor {
    type Message = TenantSupervisorMessage;
    const KIND: &'static str = "tenant";

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let (tenant, deps) = (self.tenant, self.deps.clone());
        let make = move |_| {
            let journal = Journal::new(tenant, deps.journal.clone(), deps.relay.clone(), deps.clock.clone());
            async move { Ok(journal) }
        };
        let journal = JournalHandle(context.spawn::<Journal, _, _>(tenant.to_string(), Restart::PILLAR, make).await?);
        self.journal = Some(journal.clone());
        tokio::spawn(leftovers::finish(self.deps.clone(), tenant, journal.clone()));
        let (deps, pbxs) = (self.deps.clone(), self.pbxs.clone());
        let make = move |_| {
            let supervisor = CallSupervisor {
                deps: deps.clone(),
                journal: journal.clone(),
                pbxs: pbxs.clone(),
            };
            async move { Ok(supervisor) }
        };
        let calls: Address<CallSupervisorMessage> = context.spawn::<CallSupervisor, _, _>(tenant.to_string(), Restart::PILLAR, make).await?;
        self.router.serve_tenant(tenant, calls);
        Ok(())
    }

    async fn handle(&mut self, message: TenantSupervisorMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            TenantSupervisorMessage::ApplyLink(link, reply) => {
                self.apply_link(*link, context).await?;
                reply.send(());
            }
            TenantSupervisorMessage::RemoveLink(link, reply) => {
                if let Some(actor) = self.links.remove(&link) {
                    // It takes its claims out of the directory before it ends.
                    let _ = actor.call(crate::pbx_link::PbxLinkMessage::Remove, std::time::Duration::from_secs(5)).await;
                }
                reply.send(());
            }
        }
        Ok(())
    }
}
