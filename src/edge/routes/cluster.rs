//! The supervision tree: every actor of this node, and restarting one.

use super::handler;
use crate::ask::Ask;
use crate::page;
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::actor::{ActorInfo, ActorRestart, ActorState};
use aimg_domain::role::Permission;
use aimg_domain::{Fault, Timestamp};
use http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// A tree is looked at whole: its pages are longer.
pub const TREE_PAGE_MAX: i64 = 5000;
const FILTER: &[Field] = &[
    page::PAGE,
    Field::may("page_size", Kind::Int { min: 1, max: TREE_PAGE_MAX }, "1000 unless told."),
    page::CURSOR,
    Field::may("kind", Kind::Text { min: 1, max: 100 }, ""),
    Field::may("parent", Kind::Text { min: 1, max: 200 }, "An actor's id."),
];

#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorView {
    /// `kind:subject`
    id: String,
    kind: String,
    subject: String,
    parent: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// `starting`, `running`, `degraded` or `stopping`
    #[schema(value_type = String)]
    state: ActorState,
    messages: MessagesView,
    /// Waiting in the mailbox: now, at most so far, and the bound.
    depth: u64,
    depth_max: u64,
    bound: u64,
    /// What happens to a message that finds the mailbox full.
    overflow: String,
    restarts: Vec<RestartView>,
    /// What the actor says of itself.
    note: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct MessagesView {
    #[serde(rename = "in")]
    received: u64,
    handled: u64,
    refused: u64,
    failed: u64,
    busy_us: u64,
}

#[derive(Serialize, ToSchema)]
pub struct RestartView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    cause: String,
}

impl ActorView {
    fn of(info: ActorInfo) -> ActorView {
        ActorView {
            id: info.id,
            kind: info.kind,
            subject: info.subject,
            parent: info.parent,
            since: info.since,
            state: info.state,
            messages: MessagesView {
                received: info.messages.received,
                handled: info.messages.handled,
                refused: info.messages.refused,
                failed: info.messages.failed,
                busy_us: info.messages.busy_us,
            },
            depth: info.depth,
            depth_max: info.depth_max,
            bound: info.bound,
            overflow: info.overflow,
            restarts: info.restarts.into_iter().map(RestartView::of).collect(),
            note: info.note,
        }
    }
}

impl RestartView {
    fn of(restart: ActorRestart) -> RestartView {
        RestartView {
            at: restart.at,
            cause: restart.cause,
        }
    }
}

pub fn rows() -> Vec<Route> {
    let mut rows = vec![
        route(Method::GET, "/api/v1/cluster/tree", Access::Needs(Permission::ClusterRead), handler!(list))
            .about("cluster", "Every actor of this node, by id")
            .query(FILTER)
            .answers(200, Answers::List(schema::<ActorView>)),
    ];
    for (one, restarted) in [
        ("/api/v1/cluster/actors/{id}", "/api/v1/cluster/actors/{id}/restart"),
        ("/api/v1/cluster/tree/{id}", "/api/v1/cluster/tree/{id}/restart"),
    ] {
        rows.push(
            route(Method::GET, one, Access::Needs(Permission::ClusterRead), handler!(read))
                .about("cluster", "One actor")
                .answers(200, Answers::Json(schema::<ActorView>)),
        );
        rows.push(
            route(Method::POST, restarted, Access::Needs(Permission::ClusterOperate), handler!(restart))
                .about("cluster", "Restart one actor; its restart history says by whom")
                .body(&[])
                .answers(202, Answers::Json(schema::<ActorView>))
                .idempotent(),
        );
    }
    rows
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let mut tree = ask.edge.platform.tree();
    if let Some(kind) = ask.query.text("kind") {
        tree.retain(|actor| actor.kind == kind);
    }
    if let Some(parent) = ask.query.text("parent") {
        tree.retain(|actor| actor.parent.as_deref() == Some(parent));
    }
    tree.sort_by(|a, b| a.id.cmp(&b.id));
    let page = page::slice_by(&ask, tree, |actor: &ActorInfo| actor.id.clone(), 1000)?;
    Ok(Reply::json(&page.map(ActorView::of)))
}

fn find(ask: &Ask) -> Result<ActorView, Fault> {
    let id = ask.param("id");
    let found = ask.edge.platform.tree().into_iter().find(|actor| actor.id == id);
    found.map(ActorView::of).ok_or_else(|| Fault::not_found("actor"))
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    Ok(Reply::json(&find(&ask)?))
}

async fn restart(ask: Ask) -> Result<Reply, Fault> {
    ask.edge.platform.restart_actor(ask.param("id"), ask.caller()?)?;
    Ok(Reply::json(&find(&ask)?).status(StatusCode::ACCEPTED))
}
