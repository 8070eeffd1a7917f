//! `Shard`: the PBXs and tenants of one placement key range. Owns each pbx's directory of channels, so that it
//! outlives the connection.

use crate::alive;
use crate::call_session::CallSessionMessage;
use crate::call_supervisor::Begin;
use crate::calls::directory::{CallDirectory, DirectoryLimits};
use crate::deps::Deps;
use crate::pbx_connection::{PbxConnection, PbxConnectionMessage};
use crate::pbx_handle::{PbxHandle, PbxHandles};
use crate::routing::{Router, SharedDirectory};
use crate::tenant_supervisor::{TenantSupervisor, TenantSupervisorMessage};
use aimg_actor_kit::{ActorError, Address, ChildGone, Context, Dispatch, Overflow, Reply, Restart};
use aimg_domain::link::PbxLink;
use aimg_domain::pbx::{Pbx, PbxState, PbxStatus};
use aimg_domain::{Fault, PbxId, PbxLinkId, TenantId};
use aimg_placement::ShardId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub enum ShardMessage {
    ApplyPbx(PbxId, Reply<Result<(), Fault>>),
    DetachPbx(PbxId, Reply<Result<(), Fault>>),
    ApplyLink {
        tenant: TenantId,
        link: PbxLinkId,
        reply: Reply<Result<(), Fault>>,
    },
    RemoveLink {
        tenant: TenantId,
        link: PbxLinkId,
        reply: Reply<Result<(), Fault>>,
    },
}

const CHILD: Duration = Duration::from_secs(5);

pub struct Shard {
    id: ShardId,
    deps: Arc<Deps>,
    pbxs: PbxHandles,
    router: Router,
    tenants: HashMap<TenantId, Address<TenantSupervisorMessage>>,
}

impl Shard {
    pub fn new(id: ShardId, deps: Arc<Deps>, pbxs: PbxHandles) -> Shard {
        let router = Router::new(deps.live.clone());
        Shard {
            id,
            deps,
            pbxs,
            router,
            tenants: HashMap::new(),
        }
    }

    async fn tenant(&mut self, tenant: TenantId, context: &mut Context<Self>) -> Result<Address<TenantSupervisorMessage>, ActorError> {
        if let Some(address) = self.tenants.get(&tenant) {
            return Ok(address.clone());
        }
        let (deps, pbxs, router) = (self.deps.clone(), self.pbxs.clone(), self.router.clone());
        let make = move |_| {
            let supervisor = TenantSupervisor::new(tenant, deps.clone(), pbxs.clone(), router.clone());
            async move { Ok(supervisor) }
        };
        let address = context.spawn::<TenantSupervisor, _, _>(tenant.to_string(), Restart::PILLAR, make).await?;
        self.tenants.insert(tenant, address.clone());
        Ok(address)
    }

    /// Everything of the shard that is stored: PBXs, links, and the calls that had not ended.
    async fn recover(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let store = |error: aimg_store::StoreError| ActorError::new(format!("recovering shard {}: {error}", self.id.number()));
        let pbxs = self.deps.pbxs.all_attached().await.map_err(store)?;
        let links = self.deps.links.all().await.map_err(store)?;
        let mine = self.id;
        for (pbx, _) in pbxs.into_iter().filter(|(pbx, _)| ShardId::of(&pbx.placement_key) == mine) {
            let links: Vec<_> = links.iter().map(|(link, _)| link).filter(|link| link.pbx_id == pbx.id).cloned().collect();
            self.attach(pbx, links, None, context).await?;
        }
        Ok(())
    }

    /// The directory first, then the calls of an earlier life, then the claims, and the connection last: nothing
    /// is told before somebody can hear it.
    async fn attach(&mut self, pbx: Pbx, links: Vec<PbxLink>, known: Option<SharedDirectory>, context: &mut Context<Self>) -> Result<(), ActorError> {
        let now = self.deps.clock.now();
        let fresh = known.is_none();
        let new = || Arc::new(Mutex::new(CallDirectory::new(pbx.id, self.deps.ids.clone(), DirectoryLimits::default())));
        let directory = known.unwrap_or_else(new);
        let mailbox = Address::prepare(PbxConnection::BOUND, Overflow::Refuse);
        let status = PbxStatus {
            state: PbxState::Connecting,
            since: now,
            reason: None,
            version: None,
            booted_at: None,
            last_gap: None,
        };
        let handle = Arc::new(PbxHandle::new(pbx.clone(), status, directory.clone(), mailbox.clone()));
        self.pbxs.insert(handle.clone());
        for link in &links {
            handle.set_link(link.clone());
            self.tenant(link.tenant_id, context).await?;
        }
        if fresh {
            self.restore(&handle, context).await?;
        } else {
            self.router.apply(&handle.directory, |directory| directory.lost(now));
        }
        for link in links {
            self.apply_link(link, context).await?;
        }
        let (deps, router) = (self.deps.clone(), self.router.clone());
        let make = move |_| {
            let connection = PbxConnection::new(handle.clone(), deps.clone(), router.clone());
            async move { Ok(connection) }
        };
        context
            .spawn_with::<PbxConnection, _, _>(mailbox, pbx.id.to_string(), Restart::FOR_EVER, make)
            .await?;
        Ok(())
    }

    async fn restore(&mut self, handle: &Arc<PbxHandle>, context: &mut Context<Self>) -> Result<(), ActorError> {
        let rows = self.deps.sessions.active_of_pbx(handle.pbx.id).await;
        let rows = rows.map_err(|error| ActorError::new(format!("reading the calls of pbx {}: {error}", handle.pbx.id)))?;
        if rows.is_empty() {
            return Ok(());
        }
        tracing::info!(pbx = %handle.pbx.id, calls = rows.len(), "going on with calls of an earlier life");
        handle.directory.lock().restore(&rows);
        for row in rows {
            let (call, tenant) = (row.session.id, row.session.tenant_id);
            self.tenant(tenant, context).await?;
            let live = self.deps.live.open(call, tenant, handle.pbx.id, row.session.link_id);
            self.router.restore(tenant, call, Begin::Stored { row: Box::new(row), live });
        }
        // Blind since the earlier life ended, not only since this one began.
        let now = self.deps.clock.now();
        let since = alive::last(&self.deps.open).map_or(now, |last| last.min(now));
        self.router.apply(&handle.directory, |directory| directory.lost(since));
        Ok(())
    }

    async fn apply_link(&mut self, link: PbxLink, context: &mut Context<Self>) -> Result<(), ActorError> {
        let tenant = self.tenant(link.tenant_id, context).await?;
        let _ = tenant.call(|reply| TenantSupervisorMessage::ApplyLink(Box::new(link), reply), CHILD).await;
        Ok(())
    }

    async fn apply_pbx(&mut self, id: PbxId, context: &mut Context<Self>) -> Result<Result<(), Fault>, ActorError> {
        let stored = match self.deps.pbxs.find(id).await {
            Ok(stored) => stored,
            Err(error) => return Ok(Err(Fault::unavailable(format!("the store ({error})")))),
        };
        let Some((pbx, _)) = stored.filter(|(pbx, _)| !pbx.detached) else {
            return Ok(Err(Fault::not_found("pbx")));
        };
        let links: Vec<PbxLink> = match self.deps.links.by_pbx(id).await {
            Ok(links) => links.into_iter().map(|(link, _)| link).collect(),
            Err(error) => return Ok(Err(Fault::unavailable(format!("the store ({error})")))),
        };
        // Being connected with just these settings: by the shard's own start, above all, for whose sake it was made. A second
        // connection right behind a first would take our own applications from ourselves.
        if self
            .pbxs
            .get(id)
            .is_some_and(|handle| handle.pbx == pbx && handle.status.read().state == PbxState::Connecting)
        {
            for link in links {
                self.apply_link(link, context).await?;
            }
            return Ok(Ok(()));
        }
        // Changed settings cost the calls a gap, not their lives: the directory stays.
        let known = self.disconnect(id).await.map(|handle| handle.directory.clone());
        self.attach(pbx, links, known, context).await?;
        Ok(Ok(()))
    }

    async fn disconnect(&mut self, id: PbxId) -> Option<Arc<PbxHandle>> {
        let handle = self.pbxs.remove(id)?;
        let _ = handle.connection.call(PbxConnectionMessage::Detach, CHILD).await;
        handle.connection.close();
        Some(handle)
    }

    /// Closes the connection; what was live of it ends as failed.
    async fn detach(&mut self, id: PbxId, why: &str) {
        self.disconnect(id).await;
        for (_, live) in self.deps.live.all_of_pbx(id) {
            let _ = live.session.cast(CallSessionMessage::PbxDetached { why: why.to_owned() });
        }
    }

    async fn link_changed(&mut self, tenant: TenantId, id: PbxLinkId, context: &mut Context<Self>) -> Result<Result<(), Fault>, ActorError> {
        match self.deps.links.get(tenant, id).await {
            Ok(Some((link, _))) => {
                self.apply_link(link, context).await?;
                Ok(Ok(()))
            }
            Ok(None) => Ok(Err(Fault::not_found("pbx-link"))),
            Err(error) => Ok(Err(Fault::unavailable(format!("the store ({error})")))),
        }
    }
}

impl Dispatch for Shard {
    type Message = ShardMessage;
    const KIND: &'static str = "shard";
    const BOUND: usize = 1000;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        self.recover(context).await
    }

    async fn handle(&mut self, message: ShardMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            ShardMessage::ApplyPbx(id, reply) => {
                let result = self.apply_pbx(id, context).await?;
                reply.send(result);
            }
            ShardMessage::DetachPbx(id, reply) => {
                self.detach(id, "the PBX was detached").await;
                reply.send(Ok(()));
            }
            ShardMessage::ApplyLink { tenant, link, reply } => {
                let result = self.link_changed(tenant, link, context).await?;
                reply.send(result);
            }
            ShardMessage::RemoveLink { tenant, link, reply } => {
                if let Some(tenant) = self.tenants.get(&tenant) {
                    let _ = tenant.call(|reply| TenantSupervisorMessage::RemoveLink(link, reply), CHILD).await;
                }
                reply.send(Ok(()));
            }
        }
        Ok(())
    }

    async fn child_gone(&mut self, gone: ChildGone, _: &mut Context<Self>) -> Result<(), ActorError> {
        if gone.kind == TenantSupervisor::KIND
            && let Ok(tenant) = gone.subject.parse()
        {
            self.tenants.remove(&tenant);
        }
        Ok(())
    }
}
