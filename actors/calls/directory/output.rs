//! What the directory says, and how much it keeps.

use aimg_domain::{CallId, PbxId, PbxLinkId, TenantId, Timestamp};
use aimg_pbx::fact::{ChannelSnapshot, Told};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryOutput {
    /// A session begins. What is told of it follows.
    Opened(Opened),
    Told {
        session: CallId,
        told: Box<Told>,
    },
    /// The channel turned out to be another tenant's: forget what was told of it.
    Withdrawn {
        session: CallId,
        uniqueid: String,
    },
    /// What is told from now on goes to `into`; `from` ends as merged. Same tenant.
    Merged {
        from: CallId,
        into: CallId,
    },
    /// The link to the PBX was lost.
    Blind {
        session: CallId,
        since: Timestamp,
    },
    Reconciled {
        session: CallId,
        part: ReconcilePart,
    },
    /// Nothing more will be told.
    Closed {
        session: CallId,
        why: ClosedWhy,
    },
}

impl DirectoryOutput {
    pub fn session(&self) -> CallId {
        match self {
            DirectoryOutput::Opened(opened) => opened.session,
            DirectoryOutput::Merged { from: session, .. }
            | DirectoryOutput::Told { session, .. }
            | DirectoryOutput::Withdrawn { session, .. }
            | DirectoryOutput::Blind { session, .. }
            | DirectoryOutput::Reconciled { session, .. }
            | DirectoryOutput::Closed { session, .. } => *session,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub session: CallId,
    pub tenant: TenantId,
    pub link: PbxLinkId,
    pub pbx: PbxId,
    /// When the PBX itself started, where known.
    pub boot: Option<Timestamp>,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedWhy {
    /// Its channels hung up a while ago.
    Ended,
    LinkRemoved,
}

/// The truth about one session after a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcilePart {
    pub at: Timestamp,
    pub verdict: Verdict,
    /// Its channels that exist now.
    pub channels: Vec<ChannelSnapshot>,
    /// Which of them are in our stable Stasis application; `None` when ARI could not be asked.
    pub in_stasis: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Seen for the first time.
    Adopted,
    Kept,
    /// None of its channels exists any more.
    Gone,
    /// The PBX is another boot: whatever was is no more.
    Rebooted,
}

/// How much is kept; what is beyond is dropped oldest first (channels: newest refused) and counted.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryLimits {
    pub channels: usize,
    pub unclaimed_calls: usize,
    pub held_facts_per_call: usize,
    /// StasisStarts without their channel, and announced channels.
    pub provisional: usize,
    pub provisional_for: Duration,
    /// Between the end of a call and its being forgotten.
    pub rest: Duration,
    pub gone: usize,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        DirectoryLimits {
            channels: 50_000,
            unclaimed_calls: 1_000,
            held_facts_per_call: 100,
            provisional: 1_000,
            provisional_for: Duration::from_secs(60),
            rest: Duration::from_secs(5),
            gone: 4_096,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryCounters {
    pub calls: usize,
    pub channels: usize,
    pub sessions: usize,
    pub unclaimed: usize,
    pub dropped_unclaimed_calls: u64,
    pub dropped_held_facts: u64,
    pub refused_channels: u64,
    /// Facts of channels that are in no call.
    pub stray_facts: u64,
}
