//! To whom a fact is told.

use super::book::CallKey;
use super::{CallDirectory, DirectoryOutput};
use crate::calls::channel::mask_fact;
use aimg_pbx::fact::{Fact, Told};

impl CallDirectory {
    /// Each session hears of its own channels; others in the same fact are masked. Unclaimed, it is held.
    pub(super) fn route(&mut self, key: CallKey, told: &Told, out: &mut Vec<DirectoryOutput>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.sessions.is_empty() {
            if !matches!(told.fact, Fact::Rtcp { .. }) {
                call.held.push_back(told.clone());
                self.bound_held(key);
            }
            return;
        }
        for session in &call.sessions {
            let shown = |id: &str| {
                self.channels
                    .get(id)
                    .is_some_and(|entry| entry.call == key && call.shows(entry, session.tenant))
            };
            if let Some(fact) = mask_fact(&told.fact, shown) {
                out.push(DirectoryOutput::Told {
                    session: session.id,
                    told: Box::new(Told { at: told.at, fact }),
                });
            }
        }
    }

    /// Drops the oldest that is not the beginning of a channel.
    pub(super) fn bound_held(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        while call.held.len() > self.limits.held_facts_per_call {
            let oldest = call.held.iter().position(|told| !matches!(told.fact, Fact::NewChannel(_))).unwrap_or(0);
            call.held.remove(oldest);
            self.counters.dropped_held_facts += 1;
        }
    }
}
