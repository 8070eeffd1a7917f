//! Live sessions laid over stored ones. Pure.

use aimg_domain::{CallId, CallSession, Outcome};
use aimg_store::sessions::SessionQuery;
use std::collections::HashMap;

pub const NOT_ANSWERED: [Outcome; 8] = [
    Outcome::NoAnswer,
    Outcome::Busy,
    Outcome::Canceled,
    Outcome::Rejected,
    Outcome::Abandoned,
    Outcome::Voicemail,
    Outcome::Failed,
    Outcome::Merged,
];

pub fn matches(query: &SessionQuery, session: &CallSession) -> bool {
    let number = |wanted: &String| {
        [&session.caller, &session.callee]
            .into_iter()
            .any(|party| party.number.as_ref() == Some(wanted) || party.e164.as_ref() == Some(wanted))
    };
    query.active.is_none_or(|active| active != session.is_ended())
        && (query.states.is_empty() || query.states.contains(&session.state))
        && (query.outcomes.is_empty() || session.outcome.is_some_and(|outcome| query.outcomes.contains(&outcome)))
        && (query.directions.is_empty() || query.directions.contains(&session.direction))
        && query.pbx.is_none_or(|pbx| pbx == session.pbx_id)
        && query.number.as_ref().is_none_or(number)
        && query.started_after.is_none_or(|after| session.started_at >= after)
        && query.started_before.is_none_or(|before| session.started_at < before)
}

/// Puts what is known fresh in place of what is stored, and drops what no longer matches. On the first page of
/// newest first, calls too young to be stored stand on top.
pub fn merge(rows: &mut Vec<CallSession>, mut fresh: HashMap<CallId, CallSession>, query: &SessionQuery, first: bool) {
    for row in rows.iter_mut() {
        // One that the store knows as ended is ended, whatever the tree has not yet let go.
        if let Some(live) = fresh.remove(&row.id).filter(|_| !row.is_ended()) {
            *row = live;
        }
    }
    rows.retain(|row| matches(query, row));
    if first && !query.ascending {
        let oldest_young = rows.first().map(|row| (row.started_at, row.id));
        let mut young: Vec<CallSession> = fresh
            .into_values()
            .filter(|call| matches(query, call) && oldest_young.is_none_or(|top| (call.started_at, call.id) > top))
            .collect();
        young.sort_by_key(|call| std::cmp::Reverse((call.started_at, call.id)));
        rows.splice(0..0, young);
    }
}
