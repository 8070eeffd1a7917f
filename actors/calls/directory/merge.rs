//! Two calls turn out to be one: Asterisk gave a channel of one the linkedid of the other.

use super::book::{Call, CallKey};
use super::{CallDirectory, DirectoryOutput};
use aimg_domain::{CallId, Timestamp};
use aimg_pbx::fact::Told;
use std::collections::VecDeque;

impl CallDirectory {
    /// The older lives on. Calls of different tenants only are linked, not merged: each keeps its own.
    pub(super) fn merge(&mut self, one: CallKey, two: CallKey, now: Timestamp, out: &mut Vec<DirectoryOutput>) {
        let (Some(first), Some(second)) = (self.calls.get(&one), self.calls.get(&two)) else {
            return;
        };
        let share = first.sessions.iter().any(|session| second.session_of(session.tenant).is_some());
        if !share && !first.sessions.is_empty() && !second.sessions.is_empty() {
            return;
        }
        let (into, from) = if (first.opened_at, one) <= (second.opened_at, two) {
            (one, two)
        } else {
            (two, one)
        };
        let before = self.shown(into).into_iter().chain(self.shown(from)).collect();
        let Some(mut younger) = self.calls.remove(&from) else { return };
        let Some(older) = self.calls.get_mut(&into) else { return };
        older.channels.extend(younger.channels.iter().cloned());
        let replay = join_held(older, &mut younger);
        let merged = join_sessions(older, &younger, out);
        let until = now.plus(self.limits.rest);
        self.resting.extend(merged.into_iter().map(|session| (until, session)));
        for uniqueid in &younger.channels {
            if let Some(entry) = self.channels.get_mut(uniqueid) {
                entry.call = into;
            }
        }
        for linkedid in &younger.linkedids {
            self.linkedids.remove(linkedid);
            self.note_linkedid(into, linkedid);
        }
        // What was held is told, and channels known only to the other session are introduced; a channel that is
        // told twice begins once.
        for told in replay {
            self.route(into, &told, out);
        }
        self.show_changes(into, &before, out);
        self.bound_held(into);
    }
}

/// What was held for the one is to be told where only the other was claimed; of two unclaimed calls it goes together, by time.
fn join_held(older: &mut Call, younger: &mut Call) -> VecDeque<Told> {
    match (older.sessions.is_empty(), younger.sessions.is_empty()) {
        (true, false) => std::mem::take(&mut older.held),
        (false, true) => std::mem::take(&mut younger.held),
        _ => {
            older.held.append(&mut younger.held);
            older.held.make_contiguous().sort_by_key(|told| told.at);
            VecDeque::new()
        }
    }
}

/// The sessions of the younger that end in one of the older; the others move over.
fn join_sessions(older: &mut Call, younger: &Call, out: &mut Vec<DirectoryOutput>) -> Vec<CallId> {
    let mut merged = Vec::new();
    for session in &younger.sessions {
        match older.session_of(session.tenant) {
            Some(lives) => {
                out.push(DirectoryOutput::Merged {
                    from: session.id,
                    into: lives.id,
                });
                merged.push(session.id);
            }
            None => older.sessions.push(*session),
        }
    }
    merged
}
