//! Events: facts that somebody may need later, ordered by position. Rules: `docs/architecture.md`, "An event".

use crate::clock::Timestamp;
use crate::id::{CallId, TenantId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Place in a source (a tenant's journal, or a node's own log). Offsets start at 1 and never restart; the
/// epoch says which owner wrote it. Orders by (epoch, offset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub epoch: u64,
    pub offset: u64,
}

macro_rules! event_kinds {
    ($($name:ident = $text:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($name),* }

        impl EventKind {
            pub const ALL: &'static [EventKind] = &[$(EventKind::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(EventKind::$name => $text),* }
            }
        }
    };
}

event_kinds! {
    CallStarted = "call.started",
    CallRinging = "call.ringing",
    CallAnswered = "call.answered",
    CallHeld = "call.held",
    CallUnheld = "call.unheld",
    CallTransferred = "call.transferred",
    CallMerged = "call.merged",
    CallEnded = "call.ended",
    CallFailed = "call.failed",
    CallReconciled = "call.reconciled",
    CallDtmf = "call.dtmf",
    CallMuted = "call.muted",
    CallUnmuted = "call.unmuted",
    ParticipantJoined = "call.participant.joined",
    ParticipantLeft = "call.participant.left",
    RecordingStarted = "call.recording.started",
    RecordingPaused = "call.recording.paused",
    RecordingResumed = "call.recording.resumed",
    RecordingStopped = "call.recording.stopped",
    RecordingSaved = "call.recording.saved",
    RecordingFailed = "call.recording.failed",
    QualityDegraded = "call.quality.degraded",
    QualityRestored = "call.quality.restored",
    AudioStarted = "call.audio.started",
    AudioInterrupted = "audio.stream.interrupted",
    AudioResumed = "audio.stream.resumed",
    PbxAttached = "pbx.attached",
    PbxBlind = "pbx.blind",
    PbxRefused = "pbx.refused",
    PbxDetached = "pbx.detached",
    ServiceDown = "service.down",
    ServiceRecovered = "service.recovered",
    AlertWarning = "system.alert.warning",
    AlertCritical = "system.alert.critical",
    AlertCleared = "system.alert.cleared",
}

impl EventKind {
    pub fn parse(text: &str) -> Option<EventKind> {
        EventKind::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        EventKind::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("unknown event {text:?}")))
    }
}

/// An event before the journal has given it a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    pub id: Uuid,
    pub call_id: Option<CallId>,
    pub event: EventKind,
    pub at: Timestamp,
    /// Orders within the call, from 1; 0 for events of no call. Not a cursor.
    pub seq: u64,
    pub data: serde_json::Value,
}

/// An event as kept and as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub call_id: Option<CallId>,
    pub event: EventKind,
    pub at: Timestamp,
    pub epoch: u64,
    pub offset: u64,
    pub seq: u64,
    pub node: String,
    pub data: serde_json::Value,
}

impl Event {
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.offset,
        }
    }
}
