//! Call sessions: history from the store, live ones fresh from the tree.

use super::handler;
use crate::ask::Ask;
use crate::faults::of_store;
use crate::page::{self, Part, Wanted};
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::role::Permission;
use aimg_domain::{CallId, CallSession, CallState, Fault, Outcome, PbxId};
use aimg_store::sessions::{SessionCursor, SessionQuery};
use aimg_wire::request::{CallReply, CallRequest, TenantReply, TenantRequest};
use http::Method;
use std::collections::HashMap;

mod actions;
mod filter;
mod originate;
mod view;

pub use view::CallView;

pub const STATES: Kind = Kind::OneOf(&["detected", "ringing", "up", "ended"]);
const OUTCOMES: Kind = Kind::OneOf(&[
    "answered",
    "no_answer",
    "busy",
    "canceled",
    "rejected",
    "abandoned",
    "voicemail",
    "failed",
    "merged",
]);
const DIRECTIONS: Kind = Kind::OneOf(&["inbound", "outbound", "internal", "unknown"]);
const FILTER: &[Field] = &[
    page::PAGE,
    page::SIZE,
    page::CURSOR,
    Field::may(
        "status",
        Kind::OneOf(&["active", "completed", "failed"]),
        "Not ended; ended and answered; ended otherwise.",
    ),
    Field::may("state", Kind::List { of: &STATES, max: 4 }, ""),
    Field::may("outcome", Kind::List { of: &OUTCOMES, max: 9 }, ""),
    Field::may("direction", Kind::List { of: &DIRECTIONS, max: 4 }, ""),
    Field::may("number", Kind::Text { min: 1, max: 100 }, "Of caller or callee, exactly: as dialled or E.164."),
    Field::may("pbx_id", Kind::Id, ""),
    Field::may("started_after", Kind::Time, "Inclusive."),
    Field::may("started_before", Kind::Time, "Exclusive."),
    Field::may("ordering", Kind::OneOf(&["-started_at", "started_at"]), "`-started_at` unless told."),
];

pub fn rows() -> Vec<Route> {
    let one = Answers::Json(schema::<CallView>);
    let mut rows = vec![
        route(Method::GET, "/api/v1/call-sessions", Access::Needs(Permission::CallsRead), handler!(list))
            .about("call-sessions", "Calls, newest first; those that have not ended as they are now")
            .query(FILTER)
            .answers(200, Answers::List(schema::<CallView>)),
        route(
            Method::POST,
            "/api/v1/call-sessions",
            Access::Needs(Permission::CallsOriginate),
            handler!(originate::create),
        )
        .about("call-sessions", "Start a call: the PBX rings `endpoint` and joins it with where the call goes")
        .body(originate::BODY)
        .answers(201, one)
        .errors(&[409, 502, 503, 504])
        .idempotent(),
        route(Method::GET, "/api/v1/call-sessions/{id}", Access::Needs(Permission::CallsRead), handler!(read))
            .about("call-sessions", "One call with its legs, quality and what can be done with it now")
            .answers(200, one),
    ];
    rows.extend(actions::rows());
    rows
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let wanted = Wanted::of(&ask)?;
    let query = query(&ask)?;
    let tenant = ask.tenant()?;
    let after = match &wanted.part {
        Part::Cursor(cursor) if !cursor.is_empty() => Some(cursor_from(cursor)?),
        _ => None,
    };
    let fresh = active(&ask).await;
    let mut rows = read_rows(&ask, &query, after, wanted.skip() + wanted.size + 1).await?;
    let first = after.is_none() && wanted.skip() == 0;
    filter::merge(&mut rows, fresh, &query, first);
    let mut rows: Vec<CallSession> = rows.into_iter().skip(wanted.skip()).collect();
    let more = rows.len() > wanted.size;
    rows.truncate(wanted.size);
    let next = rows.last().filter(|_| more).map(|last| format!("{}.{}", last.started_at.0, last.id));
    let count = ask.edge.sessions.count(tenant, &query).await.map_err(of_store)?;
    let now = ask.now();
    let views = rows.iter().map(|session| CallView::of(session, None, now)).collect();
    Ok(Reply::json(&page::list(&ask, &wanted, count, next, views)))
}

/// Up to `limit` rows, over as many pages of the store as it takes.
async fn read_rows(ask: &Ask, query: &SessionQuery, mut after: Option<SessionCursor>, limit: usize) -> Result<Vec<CallSession>, Fault> {
    let tenant = ask.tenant()?;
    let mut rows = Vec::new();
    while rows.len() < limit {
        let page = ask.edge.sessions.list(tenant, query, after, limit - rows.len()).await.map_err(of_store)?;
        rows.extend(page.sessions);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    Ok(rows)
}

/// Sessions as the tree knows them. Without it the stored ones are shown.
async fn active(ask: &Ask) -> HashMap<CallId, CallSession> {
    match ask.ask_tenant(TenantRequest::ActiveCalls).await {
        Ok(TenantReply::Calls(calls)) => calls.into_iter().map(|call| (call.id, call)).collect(),
        Ok(other) => {
            tracing::error!(?other, "an answer that was not asked for");
            HashMap::new()
        }
        Err(fault) => {
            tracing::warn!(%fault, "active calls are shown as stored");
            HashMap::new()
        }
    }
}

fn query(ask: &Ask) -> Result<SessionQuery, Fault> {
    let given = &ask.query;
    let mut query = SessionQuery {
        active: None,
        states: given.words("state"),
        outcomes: given.words("outcome"),
        directions: given.words("direction"),
        pbx: given.uuid("pbx_id").map(PbxId),
        number: given.text("number").map(str::to_owned),
        started_after: given.time("started_after"),
        started_before: given.time("started_before"),
        ascending: given.text("ordering") == Some("started_at"),
    };
    if let Some(status) = given.text("status") {
        if !query.states.is_empty() || !query.outcomes.is_empty() {
            return Err(Fault::invalid("status", "either status or state and outcome"));
        }
        match status {
            "active" => query.active = Some(true),
            "completed" => {
                query.active = Some(false);
                query.outcomes = vec![Outcome::Answered];
            }
            _ => {
                query.active = Some(false);
                query.outcomes = filter::NOT_ANSWERED.to_vec();
            }
        }
    }
    Ok(query)
}

fn cursor_from(text: &str) -> Result<SessionCursor, Fault> {
    let parsed = text.split_once('.').and_then(|(at, id)| {
        Some(SessionCursor {
            started_at: aimg_domain::Timestamp(at.parse().ok()?),
            id: id.parse().ok()?,
        })
    });
    parsed.ok_or_else(page::bad_cursor)
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    let id: CallId = ask.id("call-session")?;
    Ok(Reply::json(&detail(&ask, id).await?))
}

/// As it is now: from the tree while it lives, else from the store.
pub async fn detail(ask: &Ask, id: CallId) -> Result<CallView, Fault> {
    let now = ask.now();
    match ask.edge.platform.call(id, ask.asked(CallRequest::Get)?).await {
        Ok(CallReply::Call(detail) | CallReply::Done { call: detail, .. }) => {
            own(ask, &detail.session)?;
            Ok(CallView::of(&detail.session, Some(&detail.actions), now))
        }
        Err(fault) => {
            let stored = stored(ask, id).await?;
            // One that has not ended and cannot be asked is shown as stored, without what could be done.
            if stored.state != CallState::Ended && !matches!(fault, Fault::NotFound { .. }) {
                tracing::warn!(%fault, call = %id, "a live call is shown as stored");
            }
            Ok(CallView::of(&stored, None, now))
        }
    }
}

async fn stored(ask: &Ask, id: CallId) -> Result<CallSession, Fault> {
    let stored = ask.edge.sessions.get(ask.tenant()?, id).await.map_err(of_store)?;
    stored.map(|row| row.session).ok_or_else(|| Fault::not_found("call-session"))
}

/// Whether there is such a call of the caller's tenant, live or not.
pub async fn known(ask: &Ask, id: CallId) -> Result<(), Fault> {
    match ask.edge.platform.call(id, ask.asked(CallRequest::Get)?).await {
        Ok(CallReply::Call(detail) | CallReply::Done { call: detail, .. }) => own(ask, &detail.session),
        Err(_) => stored(ask, id).await.map(|_| ()),
    }
}

/// The tree is asked with the tenant; this holds even if it answered for another.
fn own(ask: &Ask, session: &CallSession) -> Result<(), Fault> {
    if session.tenant_id == ask.tenant()? {
        Ok(())
    } else {
        Err(Fault::not_found("call-session"))
    }
}
