//! The PBX's truth against belief, after a gap or at the first attach.

use super::book::CallKey;
use super::{CallDirectory, DirectoryOutput, ReconcilePart, Verdict};
use crate::calls::channel::ChannelKind;
use aimg_domain::{CallId, Timestamp};
use aimg_pbx::fact::{ChannelSnapshot, Fact, Snapshot, Told};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Start times are computed from an uptime in whole seconds.
const SAME_BOOT: Duration = Duration::from_secs(3);
/// A channel this fresh may have begun while the list was made.
const FRESH: Duration = Duration::from_secs(5);

impl CallDirectory {
    /// Compares and corrects; every session gets exactly one `Reconciled`. `boot` is when the PBX started.
    pub fn reconcile(&mut self, snapshot: &Snapshot, boot: Timestamp, now: Timestamp) -> Vec<DirectoryOutput> {
        let mut out = Vec::new();
        let rebooted = self.rebooted(snapshot, boot);
        if rebooted {
            self.forget_boot(now, &mut out);
        }
        self.boot = Some(boot);
        let known: BTreeSet<CallId> = self.calls.values().flat_map(|call| call.sessions.iter().map(|session| session.id)).collect();
        let mut live: Vec<&ChannelSnapshot> = snapshot
            .channels
            .iter()
            .filter(|seen| !self.gone.contains_key(&seen.channel.uniqueid))
            .collect();
        live.sort_by(|a, b| b.duration_s.cmp(&a.duration_s).then_with(|| a.channel.uniqueid.cmp(&b.channel.uniqueid)));
        let vanished = self.drop_vanished(&live, now);
        for seen in &live {
            self.see(seen, now, &mut out);
        }
        if let Some(in_stasis) = &snapshot.in_stasis {
            for (uniqueid, entry) in &mut self.channels {
                entry.in_stasis = in_stasis.contains(uniqueid);
            }
        }
        self.tell_parts(&live, snapshot.in_stasis.as_deref(), &known, now, &mut out);
        for session in vanished {
            out.push(part(session, now, Verdict::Gone));
        }
        self.lost_at = None;
        out.extend(self.tick(now));
        out
    }

    /// Another start time, unless a channel that we knew is still there.
    fn rebooted(&self, snapshot: &Snapshot, boot: Timestamp) -> bool {
        let Some(before) = self.boot else { return false };
        let apart = boot.since(before).max(before.since(boot));
        let survived = || snapshot.channels.iter().any(|seen| self.channels.contains_key(&seen.channel.uniqueid));
        apart > SAME_BOOT && !survived()
    }

    fn forget_boot(&mut self, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let until = now.plus(self.limits.rest);
        for call in std::mem::take(&mut self.calls).into_values() {
            for session in call.sessions {
                out.push(part(session.id, now, Verdict::Rebooted));
                self.resting.push_back((until, session.id));
            }
        }
        self.channels.clear();
        self.linkedids.clear();
        self.gone.clear();
        self.gone_order.clear();
        self.provisional.clear();
    }

    /// Channels that are gone; the sessions that lost their last one.
    fn drop_vanished(&mut self, live: &[&ChannelSnapshot], now: Timestamp) -> Vec<CallId> {
        let there: BTreeSet<&str> = live.iter().map(|seen| seen.channel.uniqueid.as_str()).collect();
        let since = self.lost_at.unwrap_or(Timestamp(now.0 - i64::try_from(FRESH.as_millis()).unwrap_or(0)));
        let mut vanished: Vec<String> = self
            .channels
            .iter()
            .filter(|(uniqueid, entry)| !there.contains(uniqueid.as_str()) && entry.seen_at <= since)
            .map(|(uniqueid, _)| uniqueid.clone())
            .collect();
        vanished.sort();
        let resting = self.resting.len();
        for uniqueid in vanished {
            let Some((call, channel)) = self.channels.get(&uniqueid).map(|entry| (entry.call, entry.last.clone())) else {
                continue;
            };
            if self.calls.get(&call).is_some_and(|call| call.sessions.is_empty()) {
                // Who claims the call later hears of an end that nobody saw.
                let fact = Fact::HungUp {
                    channel,
                    cause: 0,
                    cause_text: String::new(),
                };
                self.route(call, &Told { at: now, fact }, &mut Vec::new());
            }
            self.hung_up(&uniqueid, now);
        }
        self.resting.iter().skip(resting).map(|(_, session)| *session).collect()
    }

    fn see(&mut self, seen: &ChannelSnapshot, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        if self.channels.contains_key(&seen.channel.uniqueid) {
            self.refresh(&seen.channel, now, now, out);
        } else {
            let age = i64::try_from(seen.duration_s).unwrap_or(0).saturating_mul(1000);
            self.new_channel(&seen.channel, Timestamp(now.0.saturating_sub(age)), now, out);
        }
    }

    fn tell_parts(&self, live: &[&ChannelSnapshot], in_stasis: Option<&[String]>, known: &BTreeSet<CallId>, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let mut by_call: HashMap<CallKey, Vec<&ChannelSnapshot>> = HashMap::new();
        for seen in live {
            if let Some(entry) = self.channels.get(&seen.channel.uniqueid).filter(|entry| entry.kind != ChannelKind::Tool) {
                by_call.entry(entry.call).or_default().push(seen);
            }
        }
        for (key, call) in &self.calls {
            let channels = by_call.get(key).map(Vec::as_slice).unwrap_or_default();
            for session in &call.sessions {
                let shown = |id: &str| self.channels.get(id).is_some_and(|entry| call.shows(entry, session.tenant));
                let verdict = if known.contains(&session.id) { Verdict::Kept } else { Verdict::Adopted };
                let channels = self.with_unlisted(call.channels.iter(), channels);
                let part = ReconcilePart {
                    at: now,
                    verdict,
                    channels: channels.into_iter().filter(|seen| shown(&seen.channel.uniqueid)).collect(),
                    in_stasis: in_stasis.map(|ids| ids.iter().filter(|id| shown(id)).cloned().collect()),
                };
                out.push(DirectoryOutput::Reconciled { session: session.id, part });
            }
        }
    }

    /// Channels that began while the list was made are not on it and exist all the same.
    fn with_unlisted<'a>(&self, all: impl Iterator<Item = &'a String>, listed: &[&ChannelSnapshot]) -> Vec<ChannelSnapshot> {
        let mut channels: Vec<ChannelSnapshot> = listed.iter().map(|seen| (*seen).clone()).collect();
        for uniqueid in all {
            if channels.iter().any(|seen| &seen.channel.uniqueid == uniqueid) {
                continue;
            }
            if let Some(entry) = self.channels.get(uniqueid) {
                channels.push(ChannelSnapshot {
                    channel: entry.last.clone(),
                    bridge: None,
                    application: None,
                    duration_s: 0,
                });
            }
        }
        channels
    }
}

fn part(session: CallId, at: Timestamp, verdict: Verdict) -> DirectoryOutput {
    DirectoryOutput::Reconciled {
        session,
        part: ReconcilePart {
            at,
            verdict,
            channels: Vec::new(),
            in_stasis: None,
        },
    }
}
