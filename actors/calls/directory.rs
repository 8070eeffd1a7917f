//! The directory of one PBX's channels: which call a channel belongs to, and whose that call is.
//!
//! A call is a set of channels by uniqueid. linkedid only places a *new* channel; a changed linkedid on a known
//! one merges two calls. Until a rule of a link matches any of its channels a call is unclaimed: held, bounded,
//! invisible. It must never know what a fact means for a call: that is the session's machine.

mod book;
mod claim;
mod merge;
mod output;
mod reconcile;
mod restore;
mod route;
#[cfg(test)]
mod tests;

pub use output::{ClosedWhy, DirectoryCounters, DirectoryLimits, DirectoryOutput, Opened, ReconcilePart, Verdict};

use crate::calls::channel::{ChannelKind, channels_of};
use aimg_domain::link::PbxLink;
use aimg_domain::{CallId, IdSource, PbxId, PbxLinkId, Timestamp};
use aimg_pbx::fact::{Channel, Fact, Told};
use book::{Announced, Call, CallKey, Entry};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

pub struct CallDirectory {
    pbx: PbxId,
    ids: Arc<dyn IdSource>,
    limits: DirectoryLimits,
    boot: Option<Timestamp>,
    lost_at: Option<Timestamp>,
    links: BTreeMap<PbxLinkId, PbxLink>,
    next_key: CallKey,
    calls: BTreeMap<CallKey, Call>,
    channels: HashMap<String, Entry>,
    linkedids: HashMap<String, CallKey>,
    gone: HashMap<String, Timestamp>,
    gone_order: VecDeque<String>,
    provisional: VecDeque<(Timestamp, Told)>,
    announced: HashMap<String, Announced>,
    resting: VecDeque<(Timestamp, CallId)>,
    counters: DirectoryCounters,
}

impl CallDirectory {
    pub fn new(pbx: PbxId, ids: Arc<dyn IdSource>, limits: DirectoryLimits) -> CallDirectory {
        CallDirectory {
            pbx,
            ids,
            limits,
            boot: None,
            lost_at: None,
            links: BTreeMap::new(),
            next_key: 0,
            calls: BTreeMap::new(),
            channels: HashMap::new(),
            linkedids: HashMap::new(),
            gone: HashMap::new(),
            gone_order: VecDeque::new(),
            provisional: VecDeque::new(),
            announced: HashMap::new(),
            resting: VecDeque::new(),
            counters: DirectoryCounters::default(),
        }
    }

    pub fn counters(&self) -> DirectoryCounters {
        DirectoryCounters {
            calls: self.calls.len(),
            channels: self.channels.len(),
            sessions: self.calls.values().map(|call| call.sessions.len()).sum(),
            unclaimed: self.calls.values().filter(|call| call.sessions.is_empty()).count(),
            ..self.counters
        }
    }

    /// Sessions that hear of this channel.
    pub fn sessions_of(&self, uniqueid: &str) -> Vec<CallId> {
        let Some(entry) = self.channels.get(uniqueid) else { return Vec::new() };
        let Some(call) = self.calls.get(&entry.call) else { return Vec::new() };
        call.sessions
            .iter()
            .filter(|session| call.shows(entry, session.tenant))
            .map(|session| session.id)
            .collect()
    }

    /// A fact of the PBX, in the order in which it was told.
    pub fn apply(&mut self, told: &Told, now: Timestamp) -> Vec<DirectoryOutput> {
        let mut out = Vec::new();
        match &told.fact {
            Fact::NewChannel(channel) => self.new_channel(channel, told.at, now, &mut out),
            fact => {
                if !fact.uniqueids().iter().any(|id| self.channels.contains_key(*id)) {
                    self.stray(told, now);
                } else {
                    self.known(told, now, &mut out);
                }
            }
        }
        out.extend(self.tick(now));
        out
    }

    /// A channel that we are about to ask the PBX for becomes the first of this session.
    pub fn announce(&mut self, uniqueid: &str, session: CallId, link: PbxLinkId, now: Timestamp) {
        if self.announced.len() < self.limits.provisional {
            let until = now.plus(self.limits.provisional_for);
            self.announced.insert(uniqueid.to_owned(), Announced { session, link, until });
        }
    }

    /// The connection to the PBX is lost: every session is blind until `reconcile`.
    pub fn lost(&mut self, now: Timestamp) -> Vec<DirectoryOutput> {
        if self.lost_at.is_some() {
            return Vec::new();
        }
        self.lost_at = Some(now);
        let sessions = self.calls.values().flat_map(|call| call.sessions.iter());
        sessions
            .map(|session| DirectoryOutput::Blind {
                session: session.id,
                since: now,
            })
            .collect()
    }

    /// When `tick` has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let resting = self.resting.front().map(|(until, _)| *until);
        let provisional = self.provisional.front().map(|(until, _)| *until);
        let announced = self.announced.values().map(|announced| announced.until).min();
        [resting, provisional, announced].into_iter().flatten().min()
    }

    /// Forgets what has rested long enough.
    pub fn tick(&mut self, now: Timestamp) -> Vec<DirectoryOutput> {
        while self.provisional.front().is_some_and(|(until, _)| *until <= now) {
            self.provisional.pop_front();
        }
        self.forget_gone(now);
        self.announced.retain(|_, announced| announced.until > now);
        let mut out = Vec::new();
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, session)) = self.resting.pop_front() {
                out.push(DirectoryOutput::Closed {
                    session,
                    why: ClosedWhy::Ended,
                });
            }
        }
        out
    }

    fn new_channel(&mut self, channel: &Channel, at: Timestamp, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let id = channel.uniqueid.as_str();
        let announced = self.announced.contains_key(id);
        let kind = if announced {
            ChannelKind::of_name(&channel.name)
        } else {
            ChannelKind::of(id, &channel.name)
        };
        if matches!(kind, ChannelKind::Tool | ChannelKind::Far) || id.is_empty() || self.gone.contains_key(id) || self.channels.contains_key(id) {
            return;
        }
        if self.channels.len() >= self.limits.channels {
            self.counters.refused_channels += 1;
            return;
        }
        let call = self.place(channel, at);
        self.channels.insert(id.to_owned(), Entry::new(call, channel.clone(), kind, at, now));
        if let Some(announced) = self.announced.remove(id) {
            self.open_announced(call, announced, at, out);
        }
        self.check_claims(id, at, out);
        let told = Told {
            at,
            fact: Fact::NewChannel(channel.clone()),
        };
        self.route(call, &told, out);
        if let Some(entry) = self.channels.get_mut(id) {
            entry.told = true;
        }
        self.bound_unclaimed();
        self.replay_provisional(id, now, out);
    }

    /// The call that a new channel's linkedid names, or a new one.
    fn place(&mut self, channel: &Channel, at: Timestamp) -> CallKey {
        let known = self.linkedids.get(&channel.linkedid).copied().filter(|_| !channel.linkedid.is_empty());
        let key = known.unwrap_or_else(|| {
            self.next_key += 1;
            self.calls.insert(self.next_key, Call::new(at));
            self.next_key
        });
        self.note_linkedid(key, &channel.linkedid);
        if let Some(call) = self.calls.get_mut(&key) {
            call.channels.insert(channel.uniqueid.clone());
        }
        key
    }

    /// A StasisStart may come before its channel: the entry waits. Everything else is of no call of ours.
    fn stray(&mut self, told: &Told, now: Timestamp) {
        let Fact::Stasis { uniqueid, entered: true, .. } = &told.fact else {
            self.counters.stray_facts += 1;
            return;
        };
        if self.gone.contains_key(uniqueid) || ChannelKind::of(uniqueid, "?") == ChannelKind::Tool && !self.announced.contains_key(uniqueid) {
            return;
        }
        if self.provisional.len() >= self.limits.provisional {
            self.provisional.pop_front();
        }
        self.provisional.push_back((now.plus(self.limits.provisional_for), told.clone()));
    }

    fn replay_provisional(&mut self, uniqueid: &str, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let of_channel = |told: &Told| matches!(&told.fact, Fact::Stasis { uniqueid: id, .. } if id == uniqueid);
        while let Some(index) = self.provisional.iter().position(|(_, told)| of_channel(told)) {
            if let Some((_, told)) = self.provisional.remove(index) {
                self.known(&told, now, out);
            }
        }
    }

    fn known(&mut self, told: &Told, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        for channel in channels_of(&told.fact) {
            self.refresh(channel, told.at, now, out);
        }
        match &told.fact {
            Fact::ChannelRenamed { uniqueid, name } => self.renamed(uniqueid, name, told.at, out),
            Fact::Stasis { uniqueid, entered, .. } => {
                if let Some(entry) = self.channels.get_mut(uniqueid) {
                    entry.in_stasis = *entered;
                }
            }
            _ => {}
        }
        let mut calls: Vec<CallKey> = told
            .fact
            .uniqueids()
            .iter()
            .filter_map(|id| self.channels.get(*id))
            .map(|entry| entry.call)
            .collect();
        calls.dedup();
        for call in calls {
            self.route(call, told, out);
        }
        if let Fact::HungUp { channel, .. } = &told.fact {
            self.hung_up(&channel.uniqueid, now);
        }
    }

    /// Takes over what a fact says of a known channel: a changed linkedid merges, a changed place may be claimed.
    fn refresh(&mut self, channel: &Channel, at: Timestamp, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let Some(entry) = self.channels.get_mut(&channel.uniqueid) else { return };
        entry.seen_at = now;
        let claimable = entry.take(channel);
        let call = entry.call;
        let moved = !channel.linkedid.is_empty() && entry.linkedid != channel.linkedid;
        if moved {
            entry.linkedid.clone_from(&channel.linkedid);
            match self.linkedids.get(&channel.linkedid).copied() {
                Some(other) if other != call => self.merge(call, other, now, out),
                Some(_) => {}
                None => self.note_linkedid(call, &channel.linkedid),
            }
        }
        if claimable {
            self.check_claims(&channel.uniqueid, at, out);
        }
    }

    fn renamed(&mut self, uniqueid: &str, name: &str, at: Timestamp, out: &mut Vec<DirectoryOutput>) {
        if let Some(entry) = self.channels.get_mut(uniqueid) {
            name.clone_into(&mut entry.last.name);
            self.check_claims(uniqueid, at, out);
        }
    }

    fn hung_up(&mut self, uniqueid: &str, now: Timestamp) {
        let Some(entry) = self.channels.remove(uniqueid) else { return };
        self.note_gone(uniqueid, now);
        let until = now.plus(self.limits.rest);
        let Some(call) = self.calls.get_mut(&entry.call) else { return };
        call.channels.remove(uniqueid);
        // Sessions that see none of the channels that are left have ended, even where the call of others goes on.
        let left: Vec<&Entry> = call.channels.iter().filter_map(|id| self.channels.get(id)).collect();
        let (live, ended): (Vec<_>, Vec<_>) = call
            .sessions
            .iter()
            .copied()
            .partition(|session| left.iter().any(|entry| call.shows(entry, session.tenant)));
        call.sessions = live;
        self.resting.extend(ended.into_iter().map(|session| (until, session.id)));
        if self.calls.get(&entry.call).is_some_and(|call| call.channels.is_empty()) {
            self.forget_call(entry.call);
        }
    }
}
