//! Whose call it is: rules of links matched on any channel, at any time.

use super::book::{Announced, CallKey, SessionRef};
use super::{CallDirectory, ClosedWhy, DirectoryOutput};
use crate::calls::channel::{ChannelKind, endpoint_of};
use aimg_domain::link::{ClaimBy, Claims, PbxLink};
use aimg_domain::pattern::{matches, matches_any};
use aimg_domain::{CallId, PbxLinkId, TenantId, Timestamp};
use aimg_pbx::fact::{Channel, Fact, Told};
use std::collections::BTreeSet;

/// Whether a rule finds this channel.
pub(super) fn claims(rule: &Claims, channel: &Channel, kind: ChannelKind) -> bool {
    let any = |text: &Option<String>| text.as_deref().is_some_and(|text| matches_any(&rule.values, text));
    match rule.by {
        ClaimBy::All => true,
        ClaimBy::Context => any(&channel.context),
        ClaimBy::Accountcode => any(&channel.accountcode),
        ClaimBy::Number => any(&channel.exten),
        ClaimBy::Endpoint | ClaimBy::Trunk => names(&rule.values, &channel.name, kind),
    }
}

/// A pattern may name the channel, its endpoint (`PJSIP/1001`) or, of a party, the endpoint without technology.
fn names(patterns: &[String], name: &str, kind: ChannelKind) -> bool {
    let endpoint = endpoint_of(name);
    let bare = endpoint.split_once('/').map(|(_, bare)| bare).filter(|_| kind == ChannelKind::Party);
    patterns
        .iter()
        .any(|pattern| matches(pattern, name) || matches(pattern, endpoint) || bare.is_some_and(|bare| matches(pattern, bare)))
}

impl CallDirectory {
    /// Adds or changes a link. Calls that it claims and that are known begin as its sessions.
    pub fn install(&mut self, link: PbxLink, now: Timestamp) -> Vec<DirectoryOutput> {
        self.links.insert(link.id, link);
        let mut out = Vec::new();
        let mut channels: Vec<(Timestamp, String)> = self.channels.iter().map(|(id, entry)| (entry.since, id.clone())).collect();
        channels.sort();
        for (_, uniqueid) in channels {
            self.check_claims(&uniqueid, now, &mut out);
        }
        out
    }

    /// Its sessions are told nothing more.
    pub fn remove(&mut self, link: PbxLinkId) -> Vec<DirectoryOutput> {
        let Some(removed) = self.links.remove(&link) else { return Vec::new() };
        for entry in self.channels.values_mut() {
            entry.claimed.retain(|tenant| *tenant != removed.tenant_id);
        }
        let mut out = Vec::new();
        for call in self.calls.values_mut() {
            let (theirs, others): (Vec<_>, Vec<_>) = call.sessions.iter().copied().partition(|session| session.link == link);
            call.sessions = others;
            out.extend(theirs.iter().map(|session| DirectoryOutput::Closed {
                session: session.id,
                why: ClosedWhy::LinkRemoved,
            }));
        }
        self.bound_unclaimed();
        out
    }

    pub fn links(&self) -> impl Iterator<Item = &PbxLink> {
        self.links.values()
    }

    /// Opens the sessions of tenants whose rules find this channel and that have none in its call yet.
    pub(super) fn check_claims(&mut self, uniqueid: &str, at: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let Some(entry) = self.channels.get(uniqueid) else { return };
        let key = entry.call;
        let mut found: Vec<(bool, TenantId, PbxLinkId)> = self
            .links
            .values()
            .filter(|link| !entry.claimed.contains(&link.tenant_id) && claims(&link.claims, &entry.last, entry.kind))
            .map(|link| (link.claims.by == ClaimBy::All, link.tenant_id, link.id))
            .collect();
        if found.is_empty() {
            return;
        }
        // What names something comes before what takes all: it is the first owner of what nobody names.
        found.sort();
        let before = self.shown(key);
        for (_, tenant, link) in found {
            if let Some(entry) = self.channels.get_mut(uniqueid)
                && !entry.claimed.contains(&tenant)
            {
                entry.claimed.push(tenant);
            }
            if self.calls.get(&key).is_some_and(|call| call.session_of(tenant).is_none()) {
                let id = CallId(self.ids.uuid());
                self.open(
                    key,
                    SessionRef {
                        id,
                        tenant,
                        link,
                        opened_at: at,
                    },
                    out,
                );
            }
        }
        self.show_changes(key, &before, out);
    }

    pub(super) fn open_announced(&mut self, key: CallKey, announced: Announced, at: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let Some(tenant) = self.links.get(&announced.link).map(|link| link.tenant_id) else {
            return;
        };
        if self.calls.get(&key).is_none_or(|call| call.session_of(tenant).is_some()) {
            return;
        }
        let session = SessionRef {
            id: announced.session,
            tenant,
            link: announced.link,
            opened_at: at,
        };
        self.open(key, session, out);
    }

    fn open(&mut self, key: CallKey, session: SessionRef, out: &mut Vec<DirectoryOutput>) {
        out.push(self.opened(&session));
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.sessions.push(session);
        if call.sessions.len() == 1 {
            self.replay_held(key, session.id, out);
        }
    }

    /// The first claim hears what was held; channels whose beginning is not among it are introduced as they are.
    fn replay_held(&mut self, key: CallKey, session: CallId, out: &mut Vec<DirectoryOutput>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let held = std::mem::take(&mut call.held);
        let begun: BTreeSet<&str> = held
            .iter()
            .filter_map(|told| match &told.fact {
                Fact::NewChannel(channel) => Some(channel.uniqueid.as_str()),
                _ => None,
            })
            .collect();
        let unknown: Vec<String> = call.channels.iter().filter(|id| !begun.contains(id.as_str())).cloned().collect();
        for uniqueid in unknown {
            self.introduce(session, &uniqueid, out);
        }
        out.extend(held.into_iter().map(|told| DirectoryOutput::Told { session, told: Box::new(told) }));
    }

    /// Tells a session of a channel that it did not see begin.
    pub(super) fn introduce(&self, session: CallId, uniqueid: &str, out: &mut Vec<DirectoryOutput>) {
        let Some(entry) = self.channels.get(uniqueid).filter(|entry| entry.told) else {
            return;
        };
        let tell = |fact: Fact| DirectoryOutput::Told {
            session,
            told: Box::new(Told { at: entry.since, fact }),
        };
        out.push(tell(Fact::NewChannel(entry.last.clone())));
        if entry.in_stasis {
            out.push(tell(Fact::Stasis {
                uniqueid: uniqueid.to_owned(),
                entered: true,
                args: Vec::new(),
            }));
        }
    }

    /// Which sessions know of which channels.
    pub(super) fn shown(&self, key: CallKey) -> BTreeSet<(CallId, String)> {
        let Some(call) = self.calls.get(&key) else { return BTreeSet::new() };
        let told = call
            .channels
            .iter()
            .filter_map(|id| self.channels.get(id).filter(|entry| entry.told).map(|entry| (id, entry)));
        told.flat_map(|(id, entry)| {
            let sessions = call.sessions.iter().filter(|session| call.shows(entry, session.tenant));
            sessions.map(|session| (session.id, id.clone())).collect::<Vec<_>>()
        })
        .collect()
    }

    /// After a claim: what a session does not see any more is withdrawn from it, what it now sees is introduced.
    pub(super) fn show_changes(&mut self, key: CallKey, before: &BTreeSet<(CallId, String)>, out: &mut Vec<DirectoryOutput>) {
        let after = self.shown(key);
        // The first session of a call has just heard what was held.
        let first = if before.is_empty() {
            self.calls.get(&key).and_then(|call| call.sessions.first()).map(|s| s.id)
        } else {
            None
        };
        let lives = |id: &CallId| self.calls.get(&key).is_some_and(|call| call.sessions.iter().any(|session| session.id == *id));
        for (session, uniqueid) in before.difference(&after).filter(|(session, _)| lives(session)) {
            out.push(DirectoryOutput::Withdrawn {
                session: *session,
                uniqueid: uniqueid.clone(),
            });
        }
        for (session, uniqueid) in after.difference(before) {
            if Some(*session) != first {
                self.introduce(*session, uniqueid, out);
            }
        }
    }
}
