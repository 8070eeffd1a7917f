//! When a call is to be heard, and what its media tell.

use super::{CallSessionMachine, Effect, MediaReport, TapMode};
use crate::calls::tap::TapLeg;
use aimg_domain::call::{AudioState, CallState, RecordingState};
use aimg_domain::link::{AudioPolicy, RecordingPolicy};
use aimg_domain::{EventKind, Timestamp};
use serde_json::json;

impl CallSessionMachine {
    /// From the answer on, by policy or because somebody wants to hear it.
    fn wants_media(&self) -> bool {
        let link = &self.config.link;
        let always = matches!(link.audio, AudioPolicy::Legs | AudioPolicy::Mixed) || link.recording == RecordingPolicy::Always;
        self.session.state == CallState::Up && link.audio != AudioPolicy::None && (always || self.saved.audio_wanted)
    }

    /// Changes the record before it is stored; the effects come after.
    pub(super) fn media_effects(&mut self, legs_before: &[TapLeg]) -> Vec<Effect> {
        let wanted = self.wants_media();
        if wanted && !self.saved.media_on {
            self.saved.media_on = true;
            self.session.audio = AudioState::Starting;
            self.dirty = true;
            let mixed = self.config.link.audio == AudioPolicy::Mixed;
            return vec![Effect::StartMedia {
                legs: self.tap_legs(),
                mode: if mixed { TapMode::Mixed } else { TapMode::Legs },
                record: self.config.link.recording == RecordingPolicy::Always,
            }];
        }
        if !wanted && self.saved.media_on {
            self.saved.media_on = false;
            self.session.audio = AudioState::None;
            self.dirty = true;
            return vec![Effect::StopMedia];
        }
        let legs = self.tap_legs();
        if wanted && legs != legs_before {
            return vec![Effect::MediaLegs(legs)];
        }
        Vec::new()
    }

    pub(super) fn media_report(&mut self, report: MediaReport, now: Timestamp) {
        match report {
            MediaReport::Flowing => self.audio_flows(now),
            MediaReport::Interrupted { why } => {
                if self.session.audio == AudioState::Flowing {
                    self.set_audio(AudioState::Starting);
                    self.event(EventKind::AudioInterrupted, now, json!({ "why": why }));
                }
            }
            MediaReport::Refused { why } => {
                if self.session.audio != AudioState::None && self.session.audio != AudioState::Refused {
                    self.set_audio(AudioState::Refused);
                    self.event(EventKind::AudioInterrupted, now, json!({ "why": why, "refused": true }));
                }
            }
            MediaReport::Stopped => self.set_audio(AudioState::None),
            MediaReport::Quality(quality) => {
                self.session.quality = Some(quality);
                self.dirty = true;
            }
            MediaReport::QualityDegraded { data } => self.event(EventKind::QualityDegraded, now, data),
            MediaReport::QualityRestored { data } => self.event(EventKind::QualityRestored, now, data),
            recording => self.recording_report(recording, now),
        }
    }

    fn set_audio(&mut self, audio: AudioState) {
        if self.session.audio != audio {
            self.session.audio = audio;
            self.dirty = true;
        }
    }

    fn audio_flows(&mut self, now: Timestamp) {
        if self.session.is_ended() || self.session.audio == AudioState::Flowing {
            return;
        }
        let again = self.saved.audio_flowed;
        self.saved.audio_flowed = true;
        self.set_audio(AudioState::Flowing);
        let kind = if again { EventKind::AudioResumed } else { EventKind::AudioStarted };
        self.event(kind, now, json!({}));
    }

    fn recording_report(&mut self, report: MediaReport, now: Timestamp) {
        let (kind, state, data) = match report {
            MediaReport::RecordingStarted { recording } => (EventKind::RecordingStarted, RecordingState::Active, json!({ "recording_id": recording })),
            MediaReport::RecordingPaused { recording } => (EventKind::RecordingPaused, RecordingState::Paused, json!({ "recording_id": recording })),
            MediaReport::RecordingResumed { recording } => (EventKind::RecordingResumed, RecordingState::Active, json!({ "recording_id": recording })),
            // Not yet kept: what it becomes is said by `saved` or `failed`.
            MediaReport::RecordingStopped { recording } => (EventKind::RecordingStopped, self.session.recording, json!({ "recording_id": recording })),
            MediaReport::RecordingSaved {
                recording,
                partial,
                duration_ms,
            } => {
                let state = if partial { RecordingState::Partial } else { RecordingState::Saved };
                (
                    EventKind::RecordingSaved,
                    state,
                    json!({ "recording_id": recording, "partial": partial, "duration_ms": duration_ms }),
                )
            }
            MediaReport::RecordingFailed { recording, reason } => (
                EventKind::RecordingFailed,
                RecordingState::Failed,
                json!({ "recording_id": recording, "reason": reason }),
            ),
            _ => return,
        };
        self.session.recording = state;
        self.event(kind, now, data);
    }
}
