//! The state machine of one call session: one tenant's view of one call.
//!
//! Facts, reports and `now` in; what to store and publish, and what to do about media, out. It must never know
//! which call a channel belongs to (the directory does) nor how anything is stored, sent or tapped.

mod direction;
mod e164;
mod ending;
mod facts;
mod legs;
mod media;
mod outcome;
mod reconcile;
mod saved;
mod telling;
#[cfg(test)]
mod tests;

pub use e164::e164;
pub use outcome::{Evidence, decide};
pub use saved::SavedCall;

use crate::calls::directory::{ClosedWhy, Opened, ReconcilePart};
use crate::calls::tap::TapLeg;
use aimg_domain::call::{AudioState, CallSession, CallState, Direction, Outcome, Party, RecordingState};
use aimg_domain::link::PbxLink;
use aimg_domain::pbx::Pbx;
use aimg_domain::quality::CallQuality;
use aimg_domain::{CallId, EventKind, IdSource, NewEvent, RecordingId, Timestamp};
use aimg_pbx::fact::Told;
use aimg_store::sessions::SessionRow;
use serde_json::Value;
use std::sync::Arc;

/// What the session is read by: the PBX's names and the link's policy.
#[derive(Clone)]
pub struct SessionConfig {
    pub pbx: Arc<Pbx>,
    pub link: Arc<PbxLink>,
    /// Digits are shown in events only where the tenant asks for it.
    pub show_dtmf: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Told(Box<Told>),
    /// The channel is another tenant's: its leg goes.
    Withdrawn {
        uniqueid: String,
    },
    /// This session goes on as another one.
    MergedInto {
        into: CallId,
    },
    /// Another session goes on as this one; its channels are told next.
    MergedFrom {
        from: CallId,
    },
    Blind {
        since: Timestamp,
    },
    Reconciled(ReconcilePart),
    /// The directory tells nothing more.
    Closed(ClosedWhy),
    /// The PBX was detached, or the call cannot be followed: it ends as failed.
    Failed {
        reason: String,
    },
    Media(MediaReport),
    /// Somebody listens, records or transcribes, or nobody any more.
    AudioWanted(bool),
    /// What a mute or unmute of ours did.
    Muted {
        leg: String,
        on: bool,
    },
    /// A hang-up of ours was sent.
    HangupByPlatform,
    /// The first commit of the session took longer than media may wait: the record says so.
    StoredLate,
    /// Settings changed: what comes is judged by them.
    Configured(Box<SessionConfig>),
}

impl std::fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionConfig(pbx {}, link {})", self.pbx.id, self.link.id)
    }
}

impl PartialEq for SessionConfig {
    fn eq(&self, other: &SessionConfig) -> bool {
        self.pbx == other.pbx && self.link == other.link && self.show_dtmf == other.show_dtmf
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum MediaReport {
    Flowing,
    Interrupted {
        why: String,
    },
    Refused {
        why: String,
    },
    Stopped,
    Quality(CallQuality),
    /// What crossed its threshold: becomes the event's data.
    QualityDegraded {
        data: Value,
    },
    QualityRestored {
        data: Value,
    },
    RecordingStarted {
        recording: RecordingId,
    },
    RecordingPaused {
        recording: RecordingId,
    },
    RecordingResumed {
        recording: RecordingId,
    },
    RecordingStopped {
        recording: RecordingId,
    },
    RecordingSaved {
        recording: RecordingId,
        partial: bool,
        duration_ms: u64,
    },
    RecordingFailed {
        recording: RecordingId,
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Persist and publish together. Comes before any other effect of the same input.
    Store {
        events: Vec<NewEvent>,
        session: Box<CallSession>,
    },
    StartMedia {
        legs: Vec<TapLeg>,
        mode: TapMode,
        /// The link's policy is to record every call.
        record: bool,
    },
    /// Legs came, went or answered while media is on.
    MediaLegs(Vec<TapLeg>),
    StopMedia,
    /// Once, at the end of the call. Media reports may still follow.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapMode {
    /// Caller and callee apart.
    Legs,
    Mixed,
}

pub struct CallSessionMachine {
    session: CallSession,
    saved: SavedCall,
    config: SessionConfig,
    ids: Arc<dyn IdSource>,
    /// Of the input at hand.
    events: Vec<NewEvent>,
    /// Something worth storing changed without an event.
    dirty: bool,
}

impl CallSessionMachine {
    /// A session that nothing is told of yet. The first fact stores it as `detected`.
    pub fn open(opened: &Opened, config: SessionConfig, ids: Arc<dyn IdSource>) -> CallSessionMachine {
        let session = CallSession {
            id: opened.session,
            tenant_id: opened.tenant,
            pbx_id: opened.pbx,
            link_id: opened.link,
            direction: Direction::Unknown,
            state: CallState::Detected,
            outcome: None,
            caller: Party::default(),
            callee: Party::default(),
            started_at: opened.at,
            answered_at: None,
            connected_at: None,
            ended_at: None,
            hangup: None,
            legs: Vec::new(),
            linkedids: Vec::new(),
            merged_into: None,
            merged_from: Vec::new(),
            recording: RecordingState::None,
            audio: AudioState::None,
            in_stasis: false,
            quality: None,
            blind: Vec::new(),
            dtmf: Vec::new(),
            flags: Vec::new(),
            seq: 0,
        };
        let saved = SavedCall {
            boot: opened.boot,
            ..SavedCall::default()
        };
        CallSessionMachine::with(session, saved, config, ids)
    }

    /// From what was last stored. What cannot be read is made good from the session's legs.
    pub fn restore(row: &SessionRow, config: SessionConfig, ids: Arc<dyn IdSource>) -> CallSessionMachine {
        let saved = SavedCall::read(crate::calls::resume::call_part(&row.resume), &row.session);
        CallSessionMachine::with(row.session.clone(), saved, config, ids)
    }

    fn with(session: CallSession, saved: SavedCall, config: SessionConfig, ids: Arc<dyn IdSource>) -> CallSessionMachine {
        CallSessionMachine {
            session,
            saved,
            config,
            ids,
            events: Vec::new(),
            dirty: false,
        }
    }

    pub fn session(&self) -> &CallSession {
        &self.session
    }

    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    pub fn saved(&self) -> &SavedCall {
        &self.saved
    }

    /// For `SessionRow::resume` (see `calls::resume::pack`).
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&self.saved).unwrap_or(Value::Null)
    }

    pub fn apply(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let was_ended = self.session.is_ended();
        let legs = self.tap_legs();
        match input {
            Input::Media(report) => self.media_report(report, now),
            Input::StoredLate => self.flag("stored_late"),
            Input::Configured(config) => self.config = *config,
            _ if was_ended => {}
            Input::Told(told) => self.told(&told),
            Input::Withdrawn { uniqueid } => self.withdraw(&uniqueid, now),
            Input::MergedInto { into } => self.merged_into(into, now),
            Input::MergedFrom { from } => self.merged_from(from, now),
            Input::Blind { since } => self.blind(since),
            Input::Reconciled(part) => self.reconciled(&part),
            Input::Closed(ClosedWhy::Ended) => self.fail("the PBX told no end of this call", now),
            Input::Closed(ClosedWhy::LinkRemoved) => self.fail("the link to the PBX was removed", now),
            Input::Failed { reason } => self.fail(&reason, now),
            Input::AudioWanted(wanted) => self.saved.audio_wanted = wanted,
            Input::Muted { leg, on } => self.muted(&leg, on, now),
            Input::HangupByPlatform => self.saved.platform_hangup = true,
        }
        self.effects(was_ended, &legs)
    }

    fn effects(&mut self, was_ended: bool, legs_before: &[TapLeg]) -> Vec<Effect> {
        let media = self.media_effects(legs_before);
        let mut effects = Vec::new();
        if self.dirty || !self.events.is_empty() {
            self.dirty = false;
            effects.push(Effect::Store {
                events: std::mem::take(&mut self.events),
                session: Box::new(self.session.clone()),
            });
        }
        effects.extend(media);
        if self.session.is_ended() && !was_ended {
            effects.push(Effect::Ended);
        }
        effects
    }

    fn merged_into(&mut self, into: CallId, now: Timestamp) {
        self.begin(now);
        self.session.merged_into = Some(into);
        self.event(EventKind::CallMerged, now, serde_json::json!({ "into": into }));
        self.end(Outcome::Merged, now, None);
    }

    fn merged_from(&mut self, from: CallId, now: Timestamp) {
        self.begin(now);
        if !self.session.merged_from.contains(&from) {
            self.session.merged_from.push(from);
            self.event(EventKind::CallMerged, now, serde_json::json!({ "from": from }));
        }
    }

    fn fail(&mut self, reason: &str, now: Timestamp) {
        self.begin(now);
        self.end(Outcome::Failed, now, Some(reason));
    }

    fn flag(&mut self, flag: &str) {
        if !self.session.flags.iter().any(|known| known == flag) {
            self.session.flags.push(flag.to_owned());
            self.dirty = true;
        }
    }
}
