//! The one filter: everything between an accepted connection and a handler, in order, and what is put on every
//! answer.

use crate::accept::{self, ConnInfo};
use crate::ask::Ask;
use crate::body::{self, BodyStream};
use crate::caller::{self, Identity};
use crate::faults::internal;
use crate::idempotency::{self, Once};
use crate::reply::{Body, Reply};
use crate::route::{Access, Answers, Found, Route};
use crate::spec::{Checked, check_body, check_query, percent_decode};
use crate::{Edge, metrics};
use aimg_domain::Fault;
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Reply as _};

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much later than a handler's own deadline it is given up.
const OVERTIME: Duration = Duration::from_secs(1);
/// Parameters that every row takes: which tenant is meant.
const COMMON_PARAMETERS: [&str; 1] = ["tenant"];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request as it came.
struct Came {
    method: Method,
    path: String,
    raw_query: String,
    headers: HeaderMap,
    info: Option<ConnInfo>,
    upgrade: Option<OnUpgrade>,
    body: BodyStream,
    id: String,
    started: Instant,
}

pub fn filter(edge: Arc<Edge>) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let whole = warp::any()
        .map(move || edge.clone())
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<ConnInfo>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .then(
            |edge: Arc<Edge>, method, path: warp::path::FullPath, raw_query, headers: HeaderMap, info, upgrade, stream| {
                let came = Came {
                    method,
                    path: path.as_str().to_owned(),
                    raw_query,
                    id: request_id(&edge, &headers),
                    headers,
                    info,
                    upgrade,
                    body: body::boxed(stream),
                    started: Instant::now(),
                };
                answer(edge, came)
            },
        );
    accept::boxed(whole)
}

/// The client's own, if it is short and plain.
fn request_id(edge: &Edge, headers: &HeaderMap) -> String {
    let plain = |text: &&str| !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| edge.ids.uuid().to_string(), str::to_owned)
}

async fn answer(edge: Arc<Edge>, came: Came) -> Response {
    let (method, path, id, started) = (came.method.clone(), came.path.clone(), came.id.clone(), came.started);
    let info = came.info.clone();
    let served = edge.clone();
    let (route, reply) = match served.table.find(&method, &path) {
        Found::Route(route, params) => (route.path, serve(&edge, route, params, came).await),
        Found::OtherMethods(allow) if method == Method::OPTIONS => ("options", Reply::no_content().header(header::ALLOW, &allow)),
        Found::OtherMethods(allow) => ("method_not_allowed", Reply::method_not_allowed(&allow)),
        Found::Nothing => ("not_found", Reply::problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")),
    };
    let took = started.elapsed();
    metrics::answered(&method, route, reply.status.as_u16(), took);
    let peer = info.as_ref().map(|info| info.peer);
    // The path without its query: tickets are in queries.
    tracing::info!(target: "aimg::access", %method, path, status = reply.status.as_u16(), took_ms = took.as_millis() as u64, peer = ?peer, request = id);
    into_response(reply, &id, info)
}

async fn serve(edge: &Arc<Edge>, route: &Route, params: Vec<(String, String)>, came: Came) -> Reply {
    match pass(edge, route, params, came).await {
        Ok(reply) => reply,
        Err(fault) => Reply::fault(&fault),
    }
}

/// Caller, tenant, permission, query, body; then the handler.
async fn pass(edge: &Arc<Edge>, route: &Route, params: Vec<(String, String)>, came: Came) -> Result<Reply, Fault> {
    let identity = admit(edge, route, &came.headers, &came.raw_query).await?;
    let query = check_query(route.query, &own_parameters(&came.raw_query))?;
    let activity = came.info.as_ref().map(|info| info.activity.clone());
    let declared = came.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let (checked, raw) = match route.body {
        None => (Checked::default(), Bytes::new()),
        Some((fields, mode)) => {
            let raw = body::read(came.body, declared, edge.config.max_body_bytes, BODY_TIMEOUT, activity.as_deref()).await?;
            if !raw.is_empty() && !is_json(&came.headers) {
                return Ok(Reply::problem(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_media_type",
                    "send application/json",
                ));
            }
            (check_body(fields, &raw, mode)?, raw)
        }
    };
    let once = if route.idempotent {
        idempotency::begin(edge, identity.as_ref(), &came.method, &came.path, &came.headers, &raw).await?
    } else {
        Once::Unkeyed
    };
    if let Once::Replay(reply) = once {
        return Ok(reply);
    }
    let timeout = route.timeout.unwrap_or(edge.config.request_timeout);
    let (caller, claims, expires_at) = match identity {
        Some(identity) => (Some(identity.caller), identity.claims, Some(identity.expires_at)),
        None => (None, None, None),
    };
    let ask = Ask {
        edge: edge.clone(),
        caller,
        claims,
        expires_at,
        params: params
            .into_iter()
            .map(|(name, value)| (name, percent_decode(&value).unwrap_or(value)))
            .collect(),
        path: came.path,
        raw_query: came.raw_query,
        query,
        body: checked,
        head: came.method == Method::HEAD,
        headers: came.headers,
        peer: came.info.map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |info| info.peer),
        deadline: Instant::now() + timeout,
        upgrade: came.upgrade,
    };
    let reading = matches!(came.method, Method::GET | Method::HEAD);
    run(route, ask, timeout + OVERTIME, reading, once, edge.clone()).await
}

/// `None` on public rows: what is shown there is for everybody, so no credential is looked at.
async fn admit(edge: &Edge, route: &Route, headers: &HeaderMap, raw_query: &str) -> Result<Option<Identity>, Fault> {
    if route.access == Access::Public {
        return Ok(None);
    }
    let socket = matches!(route.answers, Answers::Socket);
    let identity = caller::identify(edge, headers, raw_query, socket).await?;
    match route.access {
        Access::Needs(permission) => identity.caller.require(permission)?,
        Access::NeedsOneOf(any) if !route.access.lets(identity.caller.role) => {
            if let Some(first) = any.first() {
                identity.caller.require(*first)?;
            }
        }
        _ => {}
    }
    Ok(Some(identity))
}

/// Runs the handler in a task of its own. A client that goes away ends a reading, but never half of a change;
/// a panic becomes a fault.
async fn run(route: &Route, ask: Ask, timeout: Duration, reading: bool, once: Once, edge: Arc<Edge>) -> Result<Reply, Fault> {
    let work = (route.handler)(ask);
    let task = tokio::spawn(async move {
        let result = work.await;
        idempotency::end(&edge, once, &result).await;
        result
    });
    let _ended = reading.then(|| AbortOnDrop(task.abort_handle()));
    match tokio::time::timeout(timeout, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(internal(&format!("{}: {error}", route.path))),
        Err(_) => Err(Fault::Timeout { what: "this request".into() }),
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn own_parameters(raw: &str) -> String {
    let own = |pair: &&str| !COMMON_PARAMETERS.contains(&pair.split_once('=').map_or(*pair, |(name, _)| name));
    raw.split('&').filter(own).collect::<Vec<_>>().join("&")
}

/// No content type counts as JSON: curl users forget it, and no cookie makes it dangerous.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn into_response(reply: Reply, id: &str, info: Option<ConnInfo>) -> Response {
    let mut response = match reply.body {
        Body::Whole(bytes) => Response::new(bytes.into()),
        Body::Chunks(chunks) => {
            // A long download is alive as long as pieces are taken.
            let touched = chunks.inspect(move |_| {
                if let Some(info) = &info {
                    info.activity.touch();
                }
            });
            warp::reply::stream(touched).into_response()
        }
    };
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}
