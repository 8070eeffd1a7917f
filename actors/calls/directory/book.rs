//! What the directory keeps of calls and channels.

use super::{CallDirectory, DirectoryOutput, Opened};
use crate::calls::channel::ChannelKind;
use aimg_domain::{CallId, PbxLinkId, TenantId, Timestamp};
use aimg_pbx::fact::{Channel, Told};
use std::collections::{BTreeSet, VecDeque};

/// Inside only: outside a call is known by its sessions.
pub(super) type CallKey = u64;

#[derive(Clone, Copy, Debug)]
pub(super) struct SessionRef {
    pub id: CallId,
    pub tenant: TenantId,
    pub link: PbxLinkId,
    pub opened_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Call {
    pub opened_at: Timestamp,
    /// At most one a tenant, the first claim first. None: unclaimed.
    pub sessions: Vec<SessionRef>,
    /// uniqueids of those that live.
    pub channels: BTreeSet<String>,
    pub linkedids: Vec<String>,
    /// What was told while nobody claimed.
    pub held: VecDeque<Told>,
}

impl Call {
    pub fn new(opened_at: Timestamp) -> Call {
        Call {
            opened_at,
            sessions: Vec::new(),
            channels: BTreeSet::new(),
            linkedids: Vec::new(),
            held: VecDeque::new(),
        }
    }

    pub fn session_of(&self, tenant: TenantId) -> Option<&SessionRef> {
        self.sessions.iter().find(|session| session.tenant == tenant)
    }

    /// With one session everything is its own. With more, each sees what its rules claim, and the first also what none claims.
    pub fn shows(&self, entry: &Entry, tenant: TenantId) -> bool {
        match self.sessions.as_slice() {
            [] => false,
            [only] => only.tenant == tenant,
            [first, ..] => entry.claimed.contains(&tenant) || entry.claimed.is_empty() && first.tenant == tenant,
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub call: CallKey,
    /// As last described.
    pub last: Channel,
    pub linkedid: String,
    pub kind: ChannelKind,
    /// Tenants with a rule that matches this channel.
    pub claimed: Vec<TenantId>,
    pub in_stasis: bool,
    pub since: Timestamp,
    pub seen_at: Timestamp,
    /// Whether the sessions know of it yet.
    pub told: bool,
}

impl Entry {
    pub fn new(call: CallKey, channel: Channel, kind: ChannelKind, since: Timestamp, now: Timestamp) -> Entry {
        Entry {
            call,
            linkedid: channel.linkedid.clone(),
            last: channel,
            kind,
            claimed: Vec::new(),
            in_stasis: false,
            since,
            seen_at: now,
            told: false,
        }
    }

    /// Whether anything changed that rules look at. Facts describe channels in part: what they leave out stays.
    pub fn take(&mut self, channel: &Channel) -> bool {
        let before = (
            self.last.name.clone(),
            self.last.context.clone(),
            self.last.exten.clone(),
            self.last.accountcode.clone(),
        );
        let last = &mut self.last;
        if !channel.name.is_empty() {
            last.name.clone_from(&channel.name);
        }
        if !channel.linkedid.is_empty() {
            last.linkedid.clone_from(&channel.linkedid);
        }
        last.state = channel.state;
        for (old, new) in [
            (&mut last.caller_number, &channel.caller_number),
            (&mut last.caller_name, &channel.caller_name),
            (&mut last.connected_number, &channel.connected_number),
            (&mut last.connected_name, &channel.connected_name),
            (&mut last.accountcode, &channel.accountcode),
            (&mut last.context, &channel.context),
            (&mut last.exten, &channel.exten),
        ] {
            if new.is_some() {
                old.clone_from(new);
            }
        }
        let last = &self.last;
        before.0 != last.name || before.1 != last.context || before.2 != last.exten || before.3 != last.accountcode
    }
}

#[derive(Debug)]
pub(super) struct Announced {
    pub session: CallId,
    pub link: PbxLinkId,
    pub until: Timestamp,
}

const LINKEDIDS_PER_CALL: usize = 64;

impl CallDirectory {
    pub(super) fn note_linkedid(&mut self, key: CallKey, linkedid: &str) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if linkedid.is_empty() || call.linkedids.iter().any(|known| known == linkedid) || call.linkedids.len() >= LINKEDIDS_PER_CALL {
            return;
        }
        call.linkedids.push(linkedid.to_owned());
        self.linkedids.insert(linkedid.to_owned(), key);
    }

    /// A uniqueid that hung up is never taken for a new channel: late and repeated events are of the past.
    pub(super) fn note_gone(&mut self, uniqueid: &str, now: Timestamp) {
        if self.gone.insert(uniqueid.to_owned(), now).is_none() {
            self.gone_order.push_back(uniqueid.to_owned());
        }
        self.forget_gone(now);
    }

    /// Ids that a client of the PBX chose may come again later.
    pub(super) fn forget_gone(&mut self, now: Timestamp) {
        while let Some(oldest) = self.gone_order.front() {
            let old = self.gone.get(oldest).is_none_or(|at| now.since(*at) >= self.limits.provisional_for);
            if !old && self.gone_order.len() <= self.limits.gone {
                break;
            }
            if let Some(oldest) = self.gone_order.pop_front() {
                self.gone.remove(&oldest);
            }
        }
    }

    /// The call is over, or dropped: its channels and linkedids name nothing any more.
    pub(super) fn forget_call(&mut self, key: CallKey) {
        let Some(call) = self.calls.remove(&key) else { return };
        for uniqueid in &call.channels {
            self.channels.remove(uniqueid);
        }
        for linkedid in &call.linkedids {
            if self.linkedids.get(linkedid) == Some(&key) {
                self.linkedids.remove(linkedid);
            }
        }
    }

    pub(super) fn bound_unclaimed(&mut self) {
        // Cheap test first: there are never more unclaimed calls than calls.
        if self.calls.len() <= self.limits.unclaimed_calls {
            return;
        }
        let unclaimed: Vec<CallKey> = self.calls.iter().filter(|(_, call)| call.sessions.is_empty()).map(|(key, _)| *key).collect();
        let excess = unclaimed.len().saturating_sub(self.limits.unclaimed_calls);
        for key in unclaimed.into_iter().take(excess) {
            self.counters.dropped_unclaimed_calls += 1;
            self.forget_call(key);
        }
    }

    pub(super) fn opened(&self, session: &SessionRef) -> DirectoryOutput {
        DirectoryOutput::Opened(Opened {
            session: session.id,
            tenant: session.tenant,
            link: session.link,
            pbx: self.pbx,
            boot: self.boot,
            at: session.opened_at,
        })
    }
}
