//! What waits to be committed: bounded by bytes. At the bound nothing is held back and nothing is refused: a call
//! that cannot queue more keeps its latest session and owes one `call.reconciled` in place of its events.

use aimg_domain::{CallId, EventKind, NewEvent, Timestamp};
use aimg_store::journal::Commit;
use aimg_store::sessions::SessionRow;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

/// One append: the events and the session they leave, stored together or not at all.
#[derive(Debug)]
pub struct Append<A> {
    pub call: Option<CallId>,
    pub events: Vec<NewEvent>,
    pub session: Option<SessionRow>,
    /// Told when it is stored.
    pub ack: Option<A>,
}

struct Collapsed {
    session: Option<SessionRow>,
    last: NewEvent,
    lost: u64,
    since: Timestamp,
}

pub struct Backlog<A> {
    waiting: VecDeque<(usize, Append<A>)>,
    in_flight: Vec<(usize, Append<A>)>,
    bytes: usize,
    bound: usize,
    collapsed: BTreeMap<CallId, Collapsed>,
    /// Events of no call that found no room.
    pub dropped: u64,
}

/// Most appends in one commit.
const BATCH: usize = 512;

impl<A> Backlog<A> {
    pub fn new(bound_bytes: usize) -> Backlog<A> {
        Backlog {
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            bytes: 0,
            bound: bound_bytes,
            collapsed: BTreeMap::new(),
            dropped: 0,
        }
    }

    pub fn push(&mut self, append: Append<A>) {
        let size = size(&append);
        let collapsed_already = append.call.is_some_and(|call| self.collapsed.contains_key(&call));
        if !collapsed_already && self.bytes + size <= self.bound {
            self.bytes += size;
            self.waiting.push_back((size, append));
            return;
        }
        self.collapse(append);
    }

    fn collapse(&mut self, append: Append<A>) {
        let (Some(call), lost) = (append.call, append.events.len() as u64) else {
            self.dropped += append.events.len() as u64;
            return;
        };
        let last = append.events.into_iter().last();
        match (self.collapsed.get_mut(&call), last) {
            (Some(collapsed), last) => {
                collapsed.lost += lost;
                collapsed.session = append.session.or(collapsed.session.take());
                if let Some(last) = last {
                    collapsed.last = last;
                }
            }
            (None, Some(last)) => {
                let since = last.at;
                self.collapsed.insert(
                    call,
                    Collapsed {
                        session: append.session,
                        last,
                        lost,
                        since,
                    },
                );
            }
            // Only a resume state without an event: the next append brings a newer one.
            (None, None) => {}
        }
    }

    /// The next commit, if none is under way.
    pub fn take(&mut self) -> Option<Commit> {
        if !self.in_flight.is_empty() {
            return None;
        }
        if self.waiting.is_empty() {
            self.requeue_collapsed();
        }
        let count = self.waiting.len().min(BATCH);
        self.in_flight.extend(self.waiting.drain(..count));
        if self.in_flight.is_empty() {
            return None;
        }
        Some(self.commit())
    }

    /// The commit that is under way, once more: its outcome was a failure.
    pub fn retry(&self) -> Commit {
        self.commit()
    }

    fn commit(&self) -> Commit {
        let mut commit = Commit::default();
        let mut latest: BTreeMap<CallId, usize> = BTreeMap::new();
        for (_, append) in &self.in_flight {
            commit.events.extend(append.events.iter().cloned());
            if let Some(row) = &append.session {
                match latest.get(&row.session.id) {
                    Some(&at) => commit.sessions[at] = row.clone(),
                    None => {
                        latest.insert(row.session.id, commit.sessions.len());
                        commit.sessions.push(row.clone());
                    }
                }
            }
        }
        commit
    }

    /// The commit under way is stored: whom to tell.
    pub fn stored(&mut self) -> Vec<A> {
        let done = std::mem::take(&mut self.in_flight);
        self.bytes -= done.iter().map(|(size, _)| size).sum::<usize>();
        done.into_iter().filter_map(|(_, append)| append.ack).collect()
    }

    fn requeue_collapsed(&mut self) {
        for (call, collapsed) in std::mem::take(&mut self.collapsed) {
            let data = json!({ "what": "collapsed", "events_lost": collapsed.lost, "since": collapsed.since, "last": collapsed.last.event, "state": collapsed.last.data });
            let event = NewEvent {
                event: EventKind::CallReconciled,
                data,
                ..collapsed.last
            };
            let append = Append {
                call: Some(call),
                events: vec![event],
                session: collapsed.session,
                ack: None,
            };
            let size = size(&append);
            self.bytes += size;
            self.waiting.push_back((size, append));
        }
    }

    /// Some call's events were folded into one.
    pub fn is_full(&self) -> bool {
        !self.collapsed.is_empty() || self.dropped > 0
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty() && self.collapsed.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// About what it costs to keep: the event's data as text and a fixed share for the rest.
fn size<A>(append: &Append<A>) -> usize {
    let events: usize = append.events.iter().map(|event| 200 + event.data.to_string().len()).sum();
    events + append.session.as_ref().map_or(0, |row| 2000 + row.session.legs.len() * 400)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn event(call: u128, seq: u64) -> Append<u64> {
        let event = NewEvent {
            id: Uuid::from_u128(u128::from(seq)),
            call_id: Some(CallId(Uuid::from_u128(call))),
            event: EventKind::CallDtmf,
            at: Timestamp(1),
            seq,
            data: json!({ "n": seq }),
        };
        Append {
            call: event.call_id,
            events: vec![event],
            session: None,
            ack: Some(seq),
        }
    }

    #[test]
    fn at_the_bound_a_call_keeps_one_reconciled_event_with_the_last_state() {
        let mut backlog = Backlog::new(450);
        for seq in 1..=5 {
            backlog.push(event(1, seq));
        }
        assert!(backlog.is_full());
        assert_eq!(backlog.take().unwrap().events.len(), 2);
        assert!(backlog.take().is_none(), "one commit at a time");
        assert_eq!(backlog.stored(), [1, 2]);
        let last = backlog.take().unwrap().events;
        assert_eq!(
            (last[0].event, last[0].seq, last[0].data["events_lost"].as_u64()),
            (EventKind::CallReconciled, 5, Some(3))
        );
        backlog.stored();
        assert!(backlog.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_forgotten_and_order_within_a_call_holds(steps in prop::collection::vec((0..4_u128, any::<bool>()), 1..200), bound in 0..4000_usize) {
            let mut backlog = Backlog::new(bound);
            let mut seen: BTreeMap<u128, u64> = BTreeMap::new();
            let mut sent: BTreeMap<u128, u64> = BTreeMap::new();
            let mut written: Vec<NewEvent> = Vec::new();
            let drain = |backlog: &mut Backlog<u64>, written: &mut Vec<NewEvent>| {
                if let Some(commit) = backlog.take() {
                    assert_eq!(backlog.retry().events, commit.events);
                    written.extend(commit.events);
                    backlog.stored();
                }
            };
            for (call, commit) in steps {
                let seq = sent.entry(call).or_insert(0);
                *seq += 1;
                backlog.push(event(call, *seq));
                prop_assert!(backlog.bytes() <= bound + 1000);
                if commit { drain(&mut backlog, &mut written); }
            }
            while !backlog.is_empty() { drain(&mut backlog, &mut written); }
            for event in written {
                let call = event.call_id.unwrap().0.as_u128();
                let last = seen.entry(call).or_insert(0);
                let lost = event.data["events_lost"].as_u64().unwrap_or(1);
                prop_assert_eq!(event.seq, *last + lost);
                *last = event.seq;
            }
            prop_assert_eq!(seen, sent);
            prop_assert_eq!(backlog.bytes(), 0);
        }
    }
}
