//! How an actor of the supervision tree is shown.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// One actor. Its public id is `kind:subject`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorInfo {
    pub id: String,
    pub kind: String,
    pub subject: String,
    pub parent: Option<String>,
    pub since: Timestamp,
    pub state: ActorState,
    pub messages: ActorCounters,
    /// Waiting in the mailbox now, the most there ever was, and the bound.
    pub depth: u64,
    pub depth_max: u64,
    pub bound: u64,
    /// What happens to a message that finds the mailbox full: `refuse`, `drop_oldest`, `collapse`, …
    pub overflow: String,
    pub restarts: Vec<ActorRestart>,
    /// What the actor says of itself (`attached`, `ringing`), if it does.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    Starting,
    Running,
    /// Its restart budget is spent: it is left down, what it served goes on without it.
    Degraded,
    Stopping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorCounters {
    #[serde(rename = "in")]
    pub received: u64,
    pub handled: u64,
    pub refused: u64,
    pub failed: u64,
    pub busy_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRestart {
    pub at: Timestamp,
    /// `panicked: …`, `failed: …`, `restarted by admin@example.org`
    pub cause: String,
}
