//! How far a tenant's topics are. Pure.

use aimg_domain::{CallId, Event, Position};
use std::collections::{BTreeMap, HashMap};

/// Calls whose last position is remembered; beyond it the one that was quiet longest is forgotten. Its next event then says
/// `prev: null` unless somebody subscribes meanwhile, who looks it up.
const CALLS_MAX: usize = 8192;

#[derive(Default)]
pub struct TenantStream {
    /// Of the event published last; before the first, the lowest position at which somebody began to follow.
    last: Option<Position>,
    published: bool,
    /// While a gap is being read: up to where it must go.
    fill_to: Option<Position>,
    calls: HashMap<CallId, Position>,
    by_position: BTreeMap<Position, CallId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    None,
    /// The caller reads from `last` on, and `advance`s, until `is_filled`.
    Found,
    /// What came now is read by the one who fills.
    BeingFilled,
}

impl TenantStream {
    pub fn last(&self) -> Option<Position> {
        self.last
    }

    pub fn has_published(&self) -> bool {
        self.published
    }

    /// Whether `events` follow on what was published. Offsets have no holes.
    pub fn gap(&mut self, events: &[Event]) -> Gap {
        let (Some(first), Some(newest)) = (events.first(), events.last()) else {
            return Gap::None;
        };
        if let Some(to) = &mut self.fill_to {
            *to = (*to).max(newest.position());
            return Gap::BeingFilled;
        }
        if self.last.is_some_and(|last| first.offset > last.offset + 1) {
            self.fill_to = Some(newest.position());
            return Gap::Found;
        }
        Gap::None
    }

    /// True once, when all that was asked for has come by.
    pub fn is_filled(&mut self) -> bool {
        let filled = self.fill_to.is_none_or(|to| self.last.is_some_and(|last| last.offset >= to.offset));
        if filled {
            self.fill_to = None;
        }
        filled
    }

    /// The journal cannot say what lies before `valid`.
    pub fn jump(&mut self, valid: Position) {
        self.last = Some(valid);
        if self.fill_to.is_some_and(|to| to.offset <= valid.offset) {
            self.fill_to = Some(valid);
        }
    }

    /// `prev` of the tenant's topic and of the call's.
    pub fn advance(&mut self, event: &Event) -> (Option<Position>, Option<Position>) {
        let position = event.position();
        let before = Position {
            epoch: event.epoch,
            offset: event.offset.saturating_sub(1),
        };
        let prev = self.last.filter(|last| last.offset == before.offset).unwrap_or(before);
        if self.last.is_none_or(|last| last.offset < position.offset) {
            self.last = Some(position);
        }
        self.published = true;
        let call_prev = event
            .call_id
            .and_then(|call| self.note_call(call, position))
            .filter(|prev| prev.offset < event.offset);
        ((event.offset > 1).then_some(prev), call_prev.filter(|_| event.seq != 1))
    }

    pub fn knows(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// What was known of it before. A lower position than the known one changes nothing.
    pub fn note_call(&mut self, call: CallId, position: Position) -> Option<Position> {
        let before = self.calls.get(&call).copied();
        if before.is_some_and(|before| before >= position) {
            return before;
        }
        if let Some(before) = before {
            self.by_position.remove(&before);
        }
        self.calls.insert(call, position);
        self.by_position.insert(position, call);
        // Never the one that was just noted: an old call that somebody looked up has a low position.
        if self.calls.len() > CALLS_MAX
            && let Some((&oldest, &forgotten)) = self.by_position.iter().find(|(_, known)| **known != call)
        {
            self.by_position.remove(&oldest);
            self.calls.remove(&forgotten);
        }
        before
    }

    /// Somebody follows from `head` on. What was committed after it and never published shows as a gap.
    pub fn note_head(&mut self, head: Position) {
        if !self.published {
            self.last = Some(self.last.map_or(head, |last| last.min(head)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use aimg_domain::{EventKind, TenantId, Timestamp};
    use serde_json::Value;
    use uuid::Uuid;

    fn event(offset: u64, call: u128, seq: u64) -> Event {
        Event {
            id: Uuid::nil(),
            tenant_id: TenantId(Uuid::nil()),
            call_id: Some(CallId(Uuid::from_u128(call))),
            event: EventKind::CallStarted,
            at: Timestamp(0),
            epoch: 1,
            offset,
            seq,
            node: String::new(),
            data: Value::Null,
        }
    }

    fn at(offset: u64) -> Option<Position> {
        Some(Position { epoch: 1, offset })
    }

    #[test]
    fn each_topic_has_its_own_prev() {
        let mut stream = TenantStream::default();
        assert_eq!(stream.advance(&event(1, 7, 1)), (None, None));
        assert_eq!(stream.advance(&event(2, 8, 1)), (at(1), None));
        assert_eq!(stream.advance(&event(3, 7, 2)), (at(2), at(1)));
        assert_eq!(stream.advance(&event(4, 8, 2)), (at(3), at(2)));
    }

    #[test]
    fn what_was_committed_and_never_published_is_a_gap_also_before_the_first_publication() {
        let mut stream = TenantStream::default();
        stream.note_head(at(9).unwrap());
        stream.note_head(at(5).unwrap());
        stream.note_head(at(7).unwrap());
        assert_eq!(stream.gap(&[event(7, 1, 1)]), Gap::Found);
        assert_eq!(stream.gap(&[event(8, 1, 2)]), Gap::BeingFilled);
        assert_eq!(stream.last(), at(5));
        for offset in [6, 7] {
            stream.advance(&event(offset, 1, offset));
            assert!(!stream.is_filled());
        }
        stream.advance(&event(8, 1, 8));
        assert!(stream.is_filled());
        assert_eq!(stream.gap(&[event(9, 1, 9)]), Gap::None);
    }

    #[test]
    fn a_forgotten_call_has_no_prev_until_it_is_looked_up() {
        let mut stream = TenantStream::default();
        for n in 0..=CALLS_MAX as u64 {
            stream.advance(&event(n + 1, u128::from(n), 1));
        }
        assert!(!stream.knows(CallId(Uuid::from_u128(0))));
        assert_eq!(stream.advance(&event(10_000, 0, 2)).1, None);
        stream.note_call(CallId(Uuid::from_u128(1 << 64)), at(3).unwrap());
        assert_eq!(stream.advance(&event(10_001, 1 << 64, 5)).1, at(3));
    }
}
