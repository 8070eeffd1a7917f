//! `MediaPumps` and `FanoutLanes`: the tree's eyes on threads. A thread that goes silent is replaced; what it
//! carried goes on.

use aimg_actor_kit::{ActorError, Context, Dispatch};
use aimg_domain::Clock;
use aimg_fanout::Lanes;
use aimg_media_pump::PumpSet;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(250);

pub enum WatchMessage {
    Tick,
}

pub struct MediaPumps {
    pub pumps: Arc<PumpSet>,
    pub clock: Arc<dyn Clock>,
}

impl Dispatch for MediaPumps {
    type Message = WatchMessage;
    const KIND: &'static str = "media_pumps";
    const BOUND: usize = 8;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.remind(WatchMessage::Tick, EVERY);
        Ok(())
    }

    async fn handle(&mut self, _: WatchMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        for replaced in self.pumps.check(self.clock.monotonic()) {
            tracing::error!(?replaced, "a media pump went silent and was replaced");
            metrics::counter!("aimg_media_pumps_replaced_total").increment(1);
        }
        let stats = self.pumps.stats();
        metrics::gauge!("aimg_media_streams").set(stats.streams as f64);
        metrics::counter!("aimg_media_packets_total").absolute(stats.packets);
        metrics::counter!("aimg_media_unknown_sources_total").absolute(stats.unknown);
        context.note(format!("{} streams", stats.streams));
        context.remind(WatchMessage::Tick, EVERY);
        Ok(())
    }
}

pub struct FanoutLanes {
    pub lanes: Arc<Lanes>,
    pub clock: Arc<dyn Clock>,
}

impl Dispatch for FanoutLanes {
    type Message = WatchMessage;
    const KIND: &'static str = "fanout_lanes";
    const BOUND: usize = 8;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.remind(WatchMessage::Tick, EVERY);
        Ok(())
    }

    async fn handle(&mut self, _: WatchMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        for replaced in self.lanes.check(self.clock.monotonic()) {
            tracing::error!(?replaced, "a lane went silent and was replaced");
            metrics::counter!("aimg_lanes_replaced_total").increment(1);
        }
        context.remind(WatchMessage::Tick, EVERY);
        Ok(())
    }
}
