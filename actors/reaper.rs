//! What of ours exists on a PBX, and removing what belongs to nobody any more. Only objects that carry our cluster
//! and this pbx are ever looked at; calls that we started are calls, not objects.

use aimg_domain::Fault;
use aimg_pbx::ari::request::{HangupReason, Request};
use aimg_pbx::ari::{AriBridge, AriChannel};
use aimg_pbx::object::ObjectId;
use aimg_pbx_link::{PbxCommands, PbxError};
use std::time::Duration;

/// Purpose of a channel that we originated: a party, never debris.
pub const LEG: &str = "leg";
const DEADLINE: Duration = Duration::from_secs(10);

/// Ids of channels and bridges that we made, but for legs.
pub async fn objects(commands: &PbxCommands, cluster: &str, pbx: &str) -> Result<Vec<String>, Fault> {
    let channels: Vec<AriChannel> = commands.ask(&Request::channels(), DEADLINE).await?;
    let bridges: Vec<AriBridge> = commands.ask(&Request::bridges(), DEADLINE).await?;
    let ids = channels
        .into_iter()
        .map(|channel| channel.id)
        .chain(bridges.into_iter().map(|bridge| bridge.id));
    let ours = |id: &String| ObjectId::parse(id).is_some_and(|object| object.cluster == cluster && object.pbx == pbx && object.purpose != LEG);
    Ok(ids.filter(ours).collect())
}

/// Deletes objects of this or an earlier epoch; a later owner's are not ours to touch.
pub async fn reap(commands: PbxCommands, objects: Vec<String>, epoch: u64) {
    for id in objects {
        if ObjectId::parse(&id).is_none_or(|object| object.epoch > epoch) {
            continue;
        }
        // Its id does not say whether it is a channel or a bridge: the one that is not there answers 404.
        let channel = commands.ari(&Request::hangup(&id, HangupReason::Normal), DEADLINE).await;
        let bridge = commands.ari(&Request::delete_bridge(&id), DEADLINE).await;
        match (channel, bridge) {
            (Ok(_), _) | (_, Ok(_)) => {
                metrics::counter!("aimg_reaped_objects_total").increment(1);
                tracing::info!(object = %id, "removed what an earlier life left on the PBX");
            }
            (Err(PbxError::NotFound(_)), Err(PbxError::NotFound(_))) => {}
            (Err(error), _) => tracing::warn!(object = %id, %error, "could not be removed, will be tried again"),
        }
    }
}
