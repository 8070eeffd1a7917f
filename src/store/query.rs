//! What a session query means, in one place: memory filters by it, indexes must agree with it.

use crate::sessions::{SessionCursor, SessionQuery};
use aimg_domain::CallSession;
use std::cmp::Ordering;

impl SessionQuery {
    pub fn matches(&self, session: &CallSession) -> bool {
        self.active.is_none_or(|active| active != session.is_ended())
            && (self.states.is_empty() || self.states.contains(&session.state))
            && (self.outcomes.is_empty() || session.outcome.is_some_and(|outcome| self.outcomes.contains(&outcome)))
            && (self.directions.is_empty() || self.directions.contains(&session.direction))
            && self.pbx.is_none_or(|pbx| pbx == session.pbx_id)
            && self.number.as_ref().is_none_or(|number| numbers(session).contains(&number.as_str()))
            && self.started_after.is_none_or(|after| session.started_at >= after)
            && self.started_before.is_none_or(|before| session.started_at < before)
    }

    /// How two places in the list relate, in the direction of reading.
    pub fn order(&self, a: SessionCursor, b: SessionCursor) -> Ordering {
        let order = (a.started_at, a.id).cmp(&(b.started_at, b.id));
        if self.ascending { order } else { order.reverse() }
    }
}

impl From<&CallSession> for SessionCursor {
    fn from(session: &CallSession) -> SessionCursor {
        SessionCursor {
            started_at: session.started_at,
            id: session.id,
        }
    }
}

/// Every number by which a session is found, each once.
pub fn numbers(session: &CallSession) -> Vec<&str> {
    let mut numbers: Vec<&str> = [&session.caller, &session.callee]
        .into_iter()
        .flat_map(|party| [party.number.as_deref(), party.e164.as_deref()])
        .flatten()
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
