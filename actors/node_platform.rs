//! The tree as the edge sees it: requests find their shard, reads of what is live need no mailbox.

use crate::call_media::CallMediaMessage;
use crate::call_session::CallSessionMessage;
use crate::connection::{ConnectionSupervisorMessage, Listener};
use crate::live::LiveCalls;
use crate::originate::originate;
use crate::platform::{ListenPurpose, LiveAudio, NewConnection, Platform, Readiness, ReadinessCheck};
use crate::root::NodeTree;
use crate::shard::ShardMessage;
use crate::shard_region::ShardRegionMessage;
use aimg_actor_kit::{CallError, Refused, Reply};
use aimg_domain::actor::ActorInfo;
use aimg_domain::pbx::{PbxState, PbxStatus};
use aimg_domain::{CallId, Caller, Fault, PbxId, PbxLinkId, Permission, TenantId, UserId};
use aimg_placement::ShardId;
use aimg_store::StoreError;
use aimg_wire::request::{Asked, CallReply, CallRequest, TenantReply, TenantRequest};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub struct NodePlatform {
    pub node: Arc<NodeTree>,
}

/// How long the lanes may take to confirm that a user's rights changed.
const POLICY: Duration = Duration::from_secs(10);

fn store(error: StoreError) -> Fault {
    tracing::error!(%error, "store");
    Fault::unavailable("the store")
}

pub(crate) fn asking(what: &str) -> impl Fn(CallError) -> Fault + '_ {
    move |error| match error {
        CallError::Full => Fault::unavailable(what.to_owned()),
        CallError::Gone => Fault::not_found(what.to_owned()),
        CallError::Dropped | CallError::Timeout => Fault::Timeout { what: what.to_owned() },
    }
}

/// Hears a call of its own tenant.
async fn listen(live: &LiveCalls, call: CallId, asked: Asked<ListenPurpose>) -> Result<LiveAudio, Fault> {
    asked.caller.require(Permission::CallsMonitor)?;
    let live = live.of_tenant(asked.tenant, call).ok_or_else(|| Fault::not_found("live call"))?;
    let deadline = Duration::from_millis(asked.remaining_ms);
    live.media.call(CallMediaMessage::Listen, deadline).await.map_err(asking("the call's audio"))?
}

/// How websocket connections hear calls.
pub struct LiveListener(pub LiveCalls);

#[async_trait]
impl Listener for LiveListener {
    async fn listen(&self, call: CallId, asked: Asked<ListenPurpose>) -> Result<LiveAudio, Fault> {
        listen(&self.0, call, asked).await
    }
}

impl NodePlatform {
    async fn to_shard(
        &self,
        shard: ShardId,
        deadline: Duration,
        make: impl FnOnce(Reply<Result<(), Fault>>) -> ShardMessage + Send,
    ) -> Result<TenantReply, Fault> {
        let region = &self.node.parts.region;
        let answer = region.call(|reply| ShardRegionMessage::Deliver { shard, message: make(reply) }, deadline).await;
        answer.map_err(asking("the tenant's shard"))??;
        Ok(TenantReply::Done)
    }

    async fn pbx_shard(&self, pbx: PbxId) -> Result<ShardId, Fault> {
        if let Some(handle) = self.node.pbxs.get(pbx) {
            return Ok(ShardId::of(&handle.pbx.placement_key));
        }
        let (pbx, _) = self.node.deps.pbxs.find(pbx).await.map_err(store)?.ok_or_else(|| Fault::not_found("pbx"))?;
        Ok(ShardId::of(&pbx.placement_key))
    }

    async fn apply_link(&self, tenant: TenantId, link: PbxLinkId, deadline: Duration) -> Result<TenantReply, Fault> {
        let (stored, _) = self
            .node
            .deps
            .links
            .get(tenant, link)
            .await
            .map_err(store)?
            .ok_or_else(|| Fault::not_found("pbx-link"))?;
        let shard = self.pbx_shard(stored.pbx_id).await?;
        self.join_placement(tenant, stored.pbx_id).await?;
        self.to_shard(shard, deadline, |reply| ShardMessage::ApplyLink { tenant, link, reply }).await
    }

    /// A pbx and the tenants tied to it live in one shard: a tenant has one journal. A tenant's first tie to a pbx of
    /// another key takes over that key.
    async fn join_placement(&self, tenant: TenantId, pbx: PbxId) -> Result<(), Fault> {
        let deps = &self.node.deps;
        let (pbx, _) = deps.pbxs.find(pbx).await.map_err(store)?.ok_or_else(|| Fault::not_found("pbx"))?;
        let (mut stored, version) = deps.tenants.get(tenant).await.map_err(store)?.ok_or_else(|| Fault::not_found("tenant"))?;
        if stored.placement_key == pbx.placement_key {
            return Ok(());
        }
        let elsewhere = self
            .node
            .pbxs
            .all()
            .into_iter()
            .any(|handle| handle.pbx.placement_key == stored.placement_key && handle.serves(tenant));
        if elsewhere {
            let why = "the tenant is tied to PBXs of another placement: joining two placements needs a stop of both, which this version does not offer";
            return Err(Fault::not_possible(why));
        }
        stored.placement_key = pbx.placement_key;
        deps.tenants.update(&stored, version).await.map_err(store)?;
        Ok(())
    }

    async fn remove_link(&self, tenant: TenantId, link: PbxLinkId, deadline: Duration) -> Result<TenantReply, Fault> {
        let handle = self
            .node
            .pbxs
            .all()
            .into_iter()
            .find(|handle| handle.link(link).is_some_and(|entry| entry.link.tenant_id == tenant));
        let Some(handle) = handle else { return Ok(TenantReply::Done) };
        let shard = ShardId::of(&handle.pbx.placement_key);
        self.to_shard(shard, deadline, |reply| ShardMessage::RemoveLink { tenant, link, reply }).await
    }

    fn statuses(&self, tenant: TenantId) -> Vec<(PbxId, PbxStatus)> {
        let visible = self
            .node
            .pbxs
            .all()
            .into_iter()
            .filter(|handle| handle.pbx.tenant_id.is_none_or(|owner| owner == tenant));
        visible.map(|handle| (handle.pbx.id, handle.status.read().clone())).collect()
    }
}

#[async_trait]
impl Platform for NodePlatform {
    async fn tenant(&self, asked: Asked<TenantRequest>) -> Result<TenantReply, Fault> {
        let deadline = Duration::from_millis(asked.remaining_ms);
        let tenant = asked.tenant;
        match asked.body {
            TenantRequest::ApplyPbx { pbx } => {
                let shard = self.pbx_shard(pbx).await?;
                self.to_shard(shard, deadline, |reply| ShardMessage::ApplyPbx(pbx, reply)).await
            }
            TenantRequest::DetachPbx { pbx } => {
                let Some(handle) = self.node.pbxs.get(pbx) else {
                    return Ok(TenantReply::Done);
                };
                let shard = ShardId::of(&handle.pbx.placement_key);
                self.to_shard(shard, deadline, |reply| ShardMessage::DetachPbx(pbx, reply)).await
            }
            TenantRequest::ApplyLink { link } => self.apply_link(tenant, link, deadline).await,
            TenantRequest::RemoveLink { link } => self.remove_link(tenant, link, deadline).await,
            TenantRequest::PbxStatuses => Ok(TenantReply::Statuses(self.statuses(tenant))),
            TenantRequest::TestPbx { access } => Ok(TenantReply::Tested(crate::pbx_test::test(&self.node.deps, &access, deadline).await)),
            TenantRequest::Originate(originating) => originate(&self.node.deps, &self.node.pbxs, tenant, *originating, deadline)
                .await
                .map(TenantReply::Originated),
            TenantRequest::ActiveCalls => {
                let live = self.node.deps.live.all_of_tenant(tenant);
                let mut calls: Vec<_> = live
                    .iter()
                    .filter_map(|(_, live)| live.view.read().clone())
                    .filter(|call| !call.is_ended())
                    .collect();
                calls.sort_by_key(|call| std::cmp::Reverse((call.started_at, call.id)));
                Ok(TenantReply::Calls(calls))
            }
        }
    }

    async fn call(&self, call: CallId, asked: Asked<CallRequest>) -> Result<CallReply, Fault> {
        let live = self.node.deps.live.of_tenant(asked.tenant, call).ok_or_else(|| Fault::not_found("live call"))?;
        let deadline = Duration::from_millis(asked.remaining_ms);
        live.session
            .call(|reply| CallSessionMessage::Asked(asked, reply), deadline)
            .await
            .map_err(asking("the call"))?
    }

    async fn listen(&self, call: CallId, asked: Asked<ListenPurpose>) -> Result<LiveAudio, Fault> {
        listen(&self.node.deps.live, call, asked).await
    }

    async fn connect(&self, connection: NewConnection) -> Result<(), Fault> {
        let accepted = self.node.parts.connections.cast(ConnectionSupervisorMessage::Accept(Box::new(connection)));
        accepted.map_err(|refused| match refused {
            Refused::Full => Fault::TooMany {
                detail: "too many connections are being opened".into(),
                retry_after_ms: 1000,
            },
            Refused::Gone => Fault::unavailable("this node"),
        })
    }

    async fn policy_changed(&self, user: UserId, caller: Option<Caller>) -> Result<(), Fault> {
        let connections = &self.node.parts.connections;
        let changed = connections
            .call(|done| ConnectionSupervisorMessage::PolicyChanged { user, caller, done }, POLICY)
            .await;
        changed.map(drop).map_err(asking("the user's connections"))
    }

    fn tree(&self) -> Vec<ActorInfo> {
        self.node.tree.list()
    }

    fn restart_actor(&self, id: &str, by: &Caller) -> Result<(), Fault> {
        by.require(Permission::ClusterOperate)?;
        self.node.tree.restart(id, format!("restarted by {}", by.email))
    }

    fn readiness(&self) -> Readiness {
        let mut checks = vec![ReadinessCheck {
            name: "tree".into(),
            ok: true,
            detail: format!("{} actors", self.node.tree.count()),
        }];
        for info in self.node.tree.list().into_iter().filter(|info| info.kind == "journal") {
            let failing = info.note.filter(|note| note.starts_with("not storing"));
            if let Some(detail) = failing {
                checks.push(ReadinessCheck {
                    name: "store".into(),
                    ok: false,
                    detail,
                });
                break;
            }
        }
        // A PBX that is away is shown, but does not make the node unfit: others are served.
        for handle in self.node.pbxs.all() {
            let status = handle.status.read();
            let state = if status.state == PbxState::Attached { "attached" } else { "not attached" };
            let detail = format!("{state}{}", status.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default());
            checks.push(ReadinessCheck {
                name: format!("pbx:{}", handle.pbx.name),
                ok: true,
                detail,
            });
        }
        let missing: Vec<String> = checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| format!("{}: {}", check.name, check.detail))
            .collect();
        Readiness {
            ready: missing.is_empty(),
            missing,
            checks,
        }
    }
}
