//! What is not under `/api/v1`: life and readiness, figures, the document, the page at `/`; and the API's own health.

use super::handler;
use crate::ask::Ask;
use crate::metrics::CONTENT_TYPE;
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use aimg_domain::Fault;
use aimg_domain::role::Permission;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// What the node can do now.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ready` or `degraded`
    status: &'static str,
    ready: bool,
    /// What is missing, in words.
    missing: Vec<String>,
    checks: Vec<HealthCheck>,
    version: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct HealthCheck {
    name: String,
    ok: bool,
    detail: String,
}

pub fn rows() -> Vec<Route> {
    vec![
        route(Method::GET, "/", Access::Public, handler!(home))
            .about("node", "A page that says what runs and where the API is")
            .answers(200, Answers::Other("text/html")),
        route(Method::GET, "/page.css", Access::Public, handler!(style))
            .about("node", "The page's style")
            .answers(200, Answers::Other("text/css")),
        route(Method::GET, "/healthz", Access::Public, handler!(alive))
            .about("node", "The process lives")
            .answers(200, Answers::Other("text/plain")),
        route(Method::GET, "/readyz", Access::Public, handler!(ready))
            .about("node", "The node can serve; 503 says what is missing")
            .answers(200, Answers::Json(schema::<Health>))
            .also(&[503]),
        route(Method::GET, "/metrics", Access::Public, handler!(figures))
            .about("node", "Figures in Prometheus' text format")
            .answers(200, Answers::Other("text/plain")),
        route(Method::GET, "/api/openapi.json", Access::Public, handler!(document))
            .about("node", "This document")
            .answers(200, Answers::Other("application/json")),
        route(Method::GET, "/api/v1/health", Access::Needs(Permission::SystemRead), handler!(health))
            .about("system", "What the node can do now, check by check")
            .answers(200, Answers::Json(schema::<Health>)),
    ]
}

fn health_of(ask: &Ask) -> Health {
    let readiness = ask.edge.platform.readiness();
    let checks = readiness.checks.into_iter().map(|check| HealthCheck {
        name: check.name,
        ok: check.ok,
        detail: check.detail,
    });
    Health {
        status: if readiness.ready { "ready" } else { "degraded" },
        ready: readiness.ready,
        missing: readiness.missing,
        checks: checks.collect(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

async fn home(_: Ask) -> Result<Reply, Fault> {
    let page = Reply::text("text/html; charset=utf-8", aimg_dashboard::page(env!("CARGO_PKG_VERSION")));
    Ok(page.header(CONTENT_SECURITY_POLICY, aimg_dashboard::CONTENT_SECURITY_POLICY))
}

async fn style(_: Ask) -> Result<Reply, Fault> {
    Ok(Reply::text("text/css; charset=utf-8", aimg_dashboard::STYLE).header(CACHE_CONTROL, "max-age=300"))
}

async fn alive(_: Ask) -> Result<Reply, Fault> {
    Ok(Reply::text("text/plain; charset=utf-8", "alive\n"))
}

async fn ready(ask: Ask) -> Result<Reply, Fault> {
    let health = health_of(&ask);
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::json(&health).status(status))
}

async fn figures(ask: Ask) -> Result<Reply, Fault> {
    Ok(Reply::text(CONTENT_TYPE, (ask.edge.metrics)()))
}

async fn document(ask: Ask) -> Result<Reply, Fault> {
    Ok(Reply::text("application/json", ask.edge.openapi.clone()))
}

async fn health(ask: Ask) -> Result<Reply, Fault> {
    Ok(Reply::json(&health_of(&ask)))
}
