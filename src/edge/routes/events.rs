//! The history of events, from the tenant's journal.

use super::handler;
use crate::ask::Ask;
use crate::faults::of_store;
use crate::page::{self, Part, Wanted};
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::role::Permission;
use aimg_domain::{CallId, Event, EventKind, Fault, Position, TenantId, Timestamp};
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Read of the journal for one answer, however few of them match: then the cursor says where to go on.
const SCAN_MAX: usize = 20_000;
const CHUNK: usize = 500;

const FILTER: &[Field] = &[
    page::PAGE,
    page::SIZE,
    page::CURSOR,
    Field::may("call_id", Kind::Id, ""),
    Field::may(
        "event",
        Kind::List {
            of: &Kind::Text { min: 1, max: 100 },
            max: 50,
        },
        "Names such as `call.started`.",
    ),
    Field::may(
        "after_epoch",
        Kind::Int { min: 0, max: i64::MAX },
        "With `after_offset`: events after this position, oldest first.",
    ),
    Field::may("after_offset", Kind::Int { min: 0, max: i64::MAX }, ""),
    Field::may(
        "ordering",
        Kind::OneOf(&["-at", "at"]),
        "`-at` (newest first) unless told, `at` after a position.",
    ),
];

#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    id: Uuid,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = Option<uuid::Uuid>)]
    call_id: Option<CallId>,
    #[schema(value_type = String)]
    event: EventKind,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    epoch: u64,
    offset: u64,
    /// Order within the call; no cursor.
    seq: u64,
    node: String,
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl EventView {
    fn of(event: Event) -> EventView {
        EventView {
            id: event.id,
            tenant_id: event.tenant_id,
            call_id: event.call_id,
            event: event.event,
            at: event.at,
            epoch: event.epoch,
            offset: event.offset,
            seq: event.seq,
            node: event.node,
            data: event.data,
        }
    }
}

pub fn rows() -> Vec<Route> {
    vec![
        route(Method::GET, "/api/v1/events", Access::Needs(Permission::EventsRead), handler!(list))
            .about("events", "Events, newest first, or after a position")
            .query(FILTER)
            .answers(200, Answers::List(schema::<EventView>)),
    ]
}

struct Reading {
    call: Option<CallId>,
    kinds: Vec<EventKind>,
    ascending: bool,
    /// After (ascending) or before (descending) this.
    from: Option<Position>,
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let wanted = Wanted::of(&ask)?;
    let reading = reading(&ask, &wanted)?;
    let (mut events, stopped_at) = gather(&ask, &reading, wanted.skip() + wanted.size + 1).await?;
    let mut shown: Vec<Event> = events.drain(..).skip(wanted.skip()).collect();
    let more = shown.len() > wanted.size;
    shown.truncate(wanted.size);
    let next = match shown.last() {
        Some(last) if more => Some(last.position()),
        _ => stopped_at,
    };
    let next = next.map(|position| format!("{}.{}", position.epoch, position.offset));
    let views = shown.into_iter().map(EventView::of).collect();
    Ok(Reply::json(&page::list(&ask, &wanted, None, next, views)))
}

fn reading(ask: &Ask, wanted: &Wanted) -> Result<Reading, Fault> {
    let given = &ask.query;
    let mut kinds = Vec::new();
    for name in given.texts("event").unwrap_or_default() {
        kinds.push(EventKind::parse(&name).ok_or_else(|| Fault::invalid("event", format!("names of events; {name} is none")))?);
    }
    let after = match (given.unsigned("after_epoch"), given.unsigned("after_offset")) {
        (None, None) => None,
        (Some(epoch), Some(offset)) => Some(Position { epoch, offset }),
        _ => return Err(Fault::invalid("after_epoch", "both after_epoch and after_offset")),
    };
    let ascending = match given.text("ordering") {
        Some("-at") if after.is_some() => return Err(Fault::invalid("ordering", "`at`: after a position one reads forward")),
        Some(ordering) => ordering == "at",
        None => after.is_some(),
    };
    let from = match &wanted.part {
        Part::Cursor(cursor) if !cursor.is_empty() => Some(position(cursor)?),
        _ => after,
    };
    Ok(Reading {
        call: given.uuid("call_id").map(CallId),
        kinds,
        ascending,
        from,
    })
}

fn position(cursor: &str) -> Result<Position, Fault> {
    let parsed = cursor.split_once('.').and_then(|(epoch, offset)| {
        Some(Position {
            epoch: epoch.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    });
    parsed.ok_or_else(page::bad_cursor)
}

/// Up to `limit` matching events; and where the search stopped, if it was at its bound and not at the end.
async fn gather(ask: &Ask, reading: &Reading, limit: usize) -> Result<(Vec<Event>, Option<Position>), Fault> {
    let mut found = Vec::new();
    let (mut from, mut scanned) = (reading.from, 0);
    loop {
        let chunk = chunk(ask, reading, from).await?;
        let ended = chunk.len() < CHUNK;
        scanned += chunk.len();
        from = chunk.last().map(Event::position).or(from);
        found.extend(chunk.into_iter().filter(|event| matches(reading, event)));
        if found.len() >= limit {
            found.truncate(limit);
            return Ok((found, None));
        }
        if ended {
            return Ok((found, None));
        }
        if scanned >= SCAN_MAX {
            return Ok((found, from));
        }
    }
}

fn matches(reading: &Reading, event: &Event) -> bool {
    reading.call.is_none_or(|call| event.call_id == Some(call)) && (reading.kinds.is_empty() || reading.kinds.contains(&event.event))
}

async fn chunk(ask: &Ask, reading: &Reading, from: Option<Position>) -> Result<Vec<Event>, Fault> {
    let (tenant, journal) = (ask.tenant()?, &ask.edge.journal);
    let forward = from.unwrap_or_default();
    let read = match (reading.call, reading.ascending) {
        (Some(call), true) => journal.read_call(tenant, call, forward, CHUNK).await,
        (Some(call), false) => return newest_of_call(ask, call, from).await,
        (None, true) => journal.read(tenant, forward, CHUNK).await,
        (None, false) => journal.read_back(tenant, from, CHUNK).await,
    };
    read.map_err(of_store)
}

/// A call has few events: they are read forward and turned round.
async fn newest_of_call(ask: &Ask, call: CallId, before: Option<Position>) -> Result<Vec<Event>, Fault> {
    let mut events = ask
        .edge
        .journal
        .read_call(ask.tenant()?, call, Position::default(), SCAN_MAX)
        .await
        .map_err(of_store)?;
    events.retain(|event| before.is_none_or(|before| event.position() < before));
    events.reverse();
    events.truncate(CHUNK);
    Ok(events)
}
