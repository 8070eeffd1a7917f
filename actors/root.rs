//! `NodeRoot`: the top of the tree, and [`NodeTree`], which starts it and is what the edge asks.

use crate::connection::{ConnectionDeps, ConnectionSupervisor, ConnectionSupervisorMessage};
use crate::deps::Deps;
use crate::metrics_sampler::MetricsSampler;
use crate::pbx_handle::PbxHandles;
use crate::shard_region::{ShardRegion, ShardRegionMessage};
use crate::watch::{FanoutLanes, MediaPumps};
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply, Restart, Root, Tree};
use aimg_fanout::Lanes;
use aimg_placement::ShardId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub enum NodeRootMessage {
    /// Where to deliver to, once the children are there.
    Parts(Reply<RootParts>),
}

#[derive(Clone)]
pub struct RootParts {
    pub region: Address<ShardRegionMessage>,
    pub connections: Address<ConnectionSupervisorMessage>,
}

pub struct NodeRoot {
    deps: Arc<Deps>,
    pbxs: PbxHandles,
    lanes: Arc<Lanes>,
    connections: ConnectionDeps,
    first: Vec<ShardId>,
    parts: Option<RootParts>,
}

impl Dispatch for NodeRoot {
    type Message = NodeRootMessage;
    const KIND: &'static str = "node";
    const BOUND: usize = 64;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let node = self.deps.node.clone();
        let deps = self.deps.clone();
        let make = move |_| {
            let watch = MediaPumps {
                pumps: deps.pumps.clone(),
                clock: deps.clock.clone(),
            };
            async move { Ok(watch) }
        };
        context.spawn::<MediaPumps, _, _>(node.clone(), Restart::FOR_EVER, make).await?;
        let (lanes, clock) = (self.lanes.clone(), self.deps.clock.clone());
        let make = move |_| {
            let watch = FanoutLanes {
                lanes: lanes.clone(),
                clock: clock.clone(),
            };
            async move { Ok(watch) }
        };
        context.spawn::<FanoutLanes, _, _>(node.clone(), Restart::FOR_EVER, make).await?;
        let deps = self.deps.clone();
        let make = move |_| {
            let sampler = MetricsSampler::new(deps.clone());
            async move { sampler }
        };
        context.spawn::<MetricsSampler, _, _>(node.clone(), Restart::FOR_EVER, make).await?;
        let connections = self.connections.clone();
        let make = move |_| {
            let supervisor = ConnectionSupervisor::new(connections.clone());
            async move { Ok(supervisor) }
        };
        let connections = context.spawn::<ConnectionSupervisor, _, _>(node.clone(), Restart::PILLAR, make).await?;
        let (deps, pbxs, first) = (self.deps.clone(), self.pbxs.clone(), self.first.clone());
        let make = move |_| {
            let region = ShardRegion::new(deps.clone(), pbxs.clone(), first.clone());
            async move { Ok(region) }
        };
        let region = context.spawn::<ShardRegion, _, _>(node, Restart::PILLAR, make).await?;
        self.parts = Some(RootParts { region, connections });
        Ok(())
    }

    async fn handle(&mut self, message: NodeRootMessage, _: &mut Context<Self>) -> Result<(), ActorError> {
        let NodeRootMessage::Parts(reply) = message;
        if let Some(parts) = self.parts.clone() {
            reply.send(parts);
        }
        Ok(())
    }
}

/// A running tree.
pub struct NodeTree {
    pub tree: Tree,
    pub deps: Arc<Deps>,
    pub pbxs: PbxHandles,
    pub parts: RootParts,
    root: Root<NodeRoot>,
}

const START: Duration = Duration::from_secs(60);

impl NodeTree {
    /// Starts everything that is stored. `connections` is made with the tree's own listener.
    pub async fn start(deps: Arc<Deps>, pbxs: PbxHandles, lanes: Arc<Lanes>, connections: ConnectionDeps) -> Result<NodeTree, ActorError> {
        let tree = Tree::new(deps.clock.clone());
        let attached = deps
            .pbxs
            .all_attached()
            .await
            .map_err(|error| ActorError::new(format!("reading the PBXs: {error}")))?;
        let first: BTreeSet<ShardId> = attached.iter().map(|(pbx, _)| ShardId::of(&pbx.placement_key)).collect();
        let first: Vec<ShardId> = first.into_iter().collect();
        let (root_deps, root_pbxs) = (deps.clone(), pbxs.clone());
        let make = move |_| {
            let root = NodeRoot {
                deps: root_deps.clone(),
                pbxs: root_pbxs.clone(),
                lanes: lanes.clone(),
                connections: connections.clone(),
                first: first.clone(),
                parts: None,
            };
            async move { Ok(root) }
        };
        let root = tree.spawn_root::<NodeRoot, _, _>(deps.node.clone(), make).await?;
        let parts = root
            .address
            .call(NodeRootMessage::Parts, START)
            .await
            .map_err(|error| ActorError::new(format!("the tree did not start: {error}")))?;
        Ok(NodeTree { tree, deps, pbxs, parts, root })
    }

    /// Stops the leaves first. True if everything ended within `deadline`.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.root.stop(deadline).await
    }

    /// Returns when the tree has ended, for whatever reason.
    pub async fn ended(&self) {
        self.root.ended().await;
    }
}
