//! What a tap is made of. Serialisable: a restart adopts from it.

use super::{RequestId, Spy};
use aimg_domain::call::LegRole;
use aimg_domain::{Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TapState {
    pub phase: TapPhase,
    /// Which making this is, from 1.
    pub n: u32,
    pub tapped: Option<Tapped>,
    pub tracks: Vec<Track>,
    /// Our ends that are open.
    pub streams: BTreeMap<TrackId, SocketAddr>,
    /// Made, or perhaps made, and to be deleted.
    pub debris: Vec<Debris>,
    /// After a restart or a gap: all parts were found.
    #[serde(skip)]
    pub whole: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapPhase {
    #[default]
    Idle,
    /// For a leg to sit on.
    Waiting,
    Making,
    Flowing,
    /// After a restart: for our streams and for what the PBX still has.
    Resuming,
    Refused,
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tapped {
    pub uniqueid: String,
    pub role: LegRole,
}

/// Snoop, external media and bridge of one track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    pub track: TrackId,
    pub spy: Spy,
    pub snoop: String,
    pub external: String,
    pub bridge: String,
    pub step: Step,
    /// Where the PBX sends from.
    pub from: Option<SocketAddr>,
    /// After a restart: where our end must be for the PBX to reach it.
    #[serde(skip)]
    pub wants: Option<SocketAddr>,
    /// Of the step at hand; a reply and a StasisStart come in any order.
    pub replied: bool,
    pub entered: bool,
    /// The snoop's StasisStart, which may come long after its reply.
    #[serde(default)]
    pub snoop_entered: bool,
    /// Its variable could not be set yet: the snoop was not there although its reply was. Tried again at its StasisStart.
    #[serde(default)]
    pub quiet_waits: bool,
    /// When the step has taken too long.
    pub due: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Our end is being opened.
    Stream,
    Snoop,
    /// Keeping the snoop out of the PBX's CDRs.
    Quiet,
    External,
    Bridge,
    Add,
    Flowing,
}

impl Step {
    pub fn in_words(self) -> &'static str {
        match self {
            Step::Stream => "opening our end of the stream",
            Step::Snoop => "the snoop",
            Step::Quiet => "keeping the snoop out of the CDRs",
            Step::External => "external media",
            Step::Bridge => "the bridge",
            Step::Add => "joining snoop and external media",
            Step::Flowing => "flowing",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debris {
    pub object: Object,
    pub tries: u32,
    /// Whether it is known to have been made: if not, a 404 may only mean *not yet*.
    pub sure: bool,
    /// A snoop that is still in the PBX's CDRs: kept out of them before it is deleted.
    #[serde(default)]
    pub loud: bool,
    /// A request about it is on its way: its making, or its deletion.
    #[serde(skip)]
    pub asked: Option<RequestId>,
    /// When it is asked for again.
    #[serde(skip)]
    pub due: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    Channel(String),
    Bridge(String),
}

impl Object {
    pub fn id(&self) -> &str {
        match self {
            Object::Channel(id) | Object::Bridge(id) => id,
        }
    }
}

/// A request without reply yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub about: About,
    /// `None` once it has passed: a late reply still counts.
    pub deadline: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A step of a track of making `n`; `makes` what is there if it succeeds.
    Step {
        n: u32,
        track: TrackId,
        step: Step,
        makes: Option<Object>,
    },
    /// Keeping a snoop that is to be deleted out of the PBX's CDRs.
    Hush(Object),
    Delete(Object),
}

impl Track {
    /// What was asked for so far, the last first.
    pub fn asked_for(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        if self.step >= Step::Bridge {
            objects.push(Object::Bridge(self.bridge.clone()));
        }
        if self.step >= Step::External {
            objects.push(Object::Channel(self.external.clone()));
        }
        if self.step >= Step::Snoop {
            objects.push(Object::Channel(self.snoop.clone()));
        }
        objects
    }

    /// Its snoop is there, or being made, and not yet known to be kept out of the PBX's CDRs.
    pub fn is_loud(&self) -> bool {
        matches!(self.step, Step::Snoop | Step::Quiet)
    }

    pub fn has(&self, object: &str) -> bool {
        [&self.snoop, &self.external, &self.bridge].into_iter().any(|id| id == object)
    }
}

impl TapState {
    /// The first wait of a track that has taken too long, in words.
    pub(super) fn overdue_wait(&self, now: Timestamp) -> Option<String> {
        if self.phase != TapPhase::Making {
            return None;
        }
        let late = self.tracks.iter().find(|track| track.due.is_some_and(|due| due <= now))?;
        Some(format!("no answer in time: {}", late.step.in_words()))
    }

    pub(super) fn next_wait(&self) -> Option<Timestamp> {
        if self.phase != TapPhase::Making {
            return None;
        }
        self.tracks.iter().filter_map(|track| track.due).min()
    }
}
