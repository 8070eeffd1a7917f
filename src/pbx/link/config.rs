//! What a link is told: whom to call, how long to wait.

use crate::backoff::Backoff;
use aimg_domain::PbxId;
use aimg_domain::pbx::{AmiAccess, AriAccess, Pbx};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct LinkConfig {
    pub pbx: PbxId,
    pub ami: AmiAccess,
    pub ari: Option<AriAccess>,
    /// Of the owner: names the application of its taps.
    pub epoch: u64,
    pub deadlines: Deadlines,
    pub backoff: Backoff,
    /// Of the jitter between attempts.
    pub seed: u64,
}

impl LinkConfig {
    pub fn new(pbx: &Pbx, epoch: u64, seed: u64) -> LinkConfig {
        LinkConfig {
            pbx: pbx.id,
            ami: pbx.ami.clone(),
            ari: pbx.ari.clone(),
            epoch,
            deadlines: Deadlines::default(),
            backoff: Backoff::default(),
            seed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Name resolution and TCP.
    pub connect: Duration,
    /// From TCP to the accepted login, and of a websocket's handshake.
    pub login: Duration,
    /// How long a PBX that has just started may take until it is fully booted.
    pub boot: Duration,
    /// Each action and request of the link's own; the list of channels.
    pub answer: Duration,
    /// How long the snapshot waits for the websocket of the stable application.
    pub subscribe: Duration,
    pub ping_every: Duration,
    /// Silence after a ping that means death.
    pub ping_within: Duration,
    /// How long a consumer may leave an event untaken until the link gives up as overrun.
    pub overrun: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            connect: Duration::from_secs(3),
            login: Duration::from_secs(5),
            boot: Duration::from_secs(60),
            answer: Duration::from_secs(10),
            subscribe: Duration::from_secs(2),
            ping_every: Duration::from_secs(5),
            ping_within: Duration::from_secs(10),
            overrun: Duration::from_secs(10),
        }
    }
}
