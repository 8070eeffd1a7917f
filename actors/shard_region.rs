//! `ShardRegion`: the shards that live on this node, made when they are first needed.

use crate::deps::Deps;
use crate::pbx_handle::PbxHandles;
use crate::shard::{Shard, ShardMessage};
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Refused, Restart};
use aimg_placement::ShardId;
use std::collections::HashMap;
use std::sync::Arc;

pub enum ShardRegionMessage {
    Deliver { shard: ShardId, message: ShardMessage },
}

pub struct ShardRegion {
    deps: Arc<Deps>,
    pbxs: PbxHandles,
    /// Shards that have PBXs: started at once.
    first: Vec<ShardId>,
    shards: HashMap<ShardId, Address<ShardMessage>>,
}

impl ShardRegion {
    pub fn new(deps: Arc<Deps>, pbxs: PbxHandles, first: Vec<ShardId>) -> ShardRegion {
        ShardRegion {
            deps,
            pbxs,
            first,
            shards: HashMap::new(),
        }
    }

    async fn shard(&mut self, id: ShardId, context: &mut Context<Self>) -> Result<Address<ShardMessage>, ActorError> {
        if let Some(shard) = self.shards.get(&id) {
            return Ok(shard.clone());
        }
        let (deps, pbxs) = (self.deps.clone(), self.pbxs.clone());
        let make = move |_| {
            let shard = Shard::new(id, deps.clone(), pbxs.clone());
            async move { Ok(shard) }
        };
        let shard = context.spawn::<Shard, _, _>(id.number().to_string(), Restart::PILLAR, make).await?;
        self.shards.insert(id, shard.clone());
        Ok(shard)
    }
}

impl Dispatch for ShardRegion {
    type Message = ShardRegionMessage;
    const KIND: &'static str = "shard_region";
    const BOUND: usize = 1000;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        for id in self.first.clone() {
            self.shard(id, context).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, message: ShardRegionMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        let ShardRegionMessage::Deliver { shard, message } = message;
        let shard = self.shard(shard, context).await?;
        // A refused message drops its reply port: the asker is told at once.
        if shard.cast(message) == Err(Refused::Full) {
            metrics::counter!("aimg_shard_refused_total").increment(1);
        }
        Ok(())
    }
}
