//! What a gap hid: the interval, and what turned out to be otherwise.

use super::CallSessionMachine;
use crate::calls::channel::ChannelKind;
use crate::calls::directory::{ReconcilePart, Verdict};
use aimg_domain::call::{BlindInterval, CallState};
use aimg_domain::{EventKind, Outcome, Timestamp};
use aimg_wire::request::Reconciled;

const INTERVALS_KEPT: usize = 64;

impl CallSessionMachine {
    pub(super) fn blind(&mut self, since: Timestamp) {
        if self.session.blind.last().is_some_and(|last| last.to.is_none()) {
            return;
        }
        if self.session.blind.len() >= INTERVALS_KEPT {
            self.session.blind.remove(0);
        }
        self.session.blind.push(BlindInterval {
            from: since.max(self.session.started_at),
            to: None,
        });
        self.dirty = true;
    }

    pub(super) fn reconciled(&mut self, part: &ReconcilePart) {
        let was_blind = self.session.blind.last().is_some_and(|last| last.to.is_none());
        let answered_before = self.session.answered_at.is_some();
        let state_before = self.session.state;
        let mut details = Vec::new();
        let gone = matches!(part.verdict, Verdict::Gone | Verdict::Rebooted);
        if !gone {
            self.compare(part, &mut details);
        }
        if !answered_before && self.session.answered_at.is_none() && part.verdict != Verdict::Gone {
            // Told by `settle` below; when it really was answered nobody saw.
            self.settle_unseen(part.at, &mut details);
        } else if part.verdict == Verdict::Adopted && state_before == CallState::Up {
            self.flag("answered_unseen");
        }
        let ended = gone || self.saved.live().next().is_none();
        if part.verdict == Verdict::Kept && !was_blind && details.is_empty() && !ended {
            return;
        }
        let blind = self.see_again(part.at, was_blind, part.verdict);
        let what = match (ended, part.verdict, details.is_empty()) {
            (true, ..) => "ended",
            (_, Verdict::Adopted, _) | (_, _, true) => "adopted",
            _ => "corrected",
        };
        match part.verdict {
            Verdict::Gone => details.push("none of its channels exists any more".to_owned()),
            Verdict::Rebooted => details.push("the PBX was started again".to_owned()),
            Verdict::Adopted | Verdict::Kept => {}
        }
        let told = Reconciled {
            blind,
            what: what.to_owned(),
            details,
        };
        self.begin(part.at);
        self.event(EventKind::CallReconciled, part.at, serde_json::to_value(&told).unwrap_or_default());
        if ended {
            self.end_unseen(part);
        } else {
            self.settle(part.at);
        }
    }

    /// Channels that hung up unseen, Stasis membership.
    fn compare(&mut self, part: &ReconcilePart, details: &mut Vec<String>) {
        let there = |id: &str| part.channels.iter().any(|seen| seen.channel.uniqueid == id);
        let vanished: Vec<(String, String)> = self
            .saved
            .live()
            .filter(|channel| !there(&channel.uniqueid))
            .map(|channel| (channel.uniqueid.clone(), channel.name.clone()))
            .collect();
        for (uniqueid, name) in vanished {
            if let Some(channel) = self.saved.channel_mut(&uniqueid) {
                channel.ended = true;
            }
            self.end_leg(&uniqueid, None, part.at);
            details.push(format!("{name} had hung up"));
        }
        for seen in &part.channels {
            if self.saved.channel(&seen.channel.uniqueid).is_none() {
                self.new_channel(&seen.channel, part.at);
                details.push(format!("{} had joined", seen.channel.name));
            }
            self.refresh(&seen.channel, part.at);
        }
        if let Some(in_stasis) = &part.in_stasis {
            for channel in self.saved.channels.iter_mut().filter(|channel| channel.kind != ChannelKind::Far) {
                channel.in_stasis = !channel.ended && in_stasis.contains(&channel.uniqueid);
            }
        }
        self.note_stasis();
    }

    fn settle_unseen(&mut self, at: Timestamp, details: &mut Vec<String>) {
        let live = self.saved.live().next().is_some();
        if !live {
            return;
        }
        self.settle(at);
        if self.session.answered_at.is_some() {
            self.flag("answered_unseen");
            details.push("it had been answered".to_owned());
        }
    }

    /// The interval in which nothing was seen, closed.
    fn see_again(&mut self, at: Timestamp, was_blind: bool, verdict: Verdict) -> BlindInterval {
        if !was_blind && verdict == Verdict::Adopted {
            self.blind(self.session.started_at);
        }
        if let Some(blind) = self.session.blind.last_mut().filter(|blind| blind.to.is_none()) {
            blind.to = Some(at.max(blind.from));
            self.dirty = true;
            return blind.clone();
        }
        BlindInterval { from: at, to: Some(at) }
    }

    /// Nobody saw how: an answered call counts as answered, unless the PBX itself died.
    fn end_unseen(&mut self, part: &ReconcilePart) {
        self.flag("ended_unseen");
        let answered = self.session.answered_at.is_some();
        if part.verdict == Verdict::Rebooted {
            self.end(Outcome::Failed, part.at, Some("the PBX was started again"));
        } else if answered {
            self.end(Outcome::Answered, part.at, Some("it ended while the link to the PBX was down"));
        } else {
            self.end(Outcome::Failed, part.at, Some("it ended while the link to the PBX was down"));
        }
    }
}
