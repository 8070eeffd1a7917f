//! Recordings: their manifests, and the WAV rendered from them.

use super::handler;
use crate::ask::Ask;
use crate::faults::of_store;
use crate::page::{self, Part, Wanted};
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::recording::Recording;
use aimg_domain::role::Permission;
use aimg_domain::{CallId, Fault, RecordingId};
use aimg_store::records::PageRequest;
use aimg_store::repo::Versioned;
use http::Method;

mod download;
mod range;
mod view;

pub use view::RecordingView;

const FILTER: &[Field] = &[page::PAGE, page::SIZE, page::CURSOR, Field::may("call_session_id", Kind::Id, "")];

pub fn rows() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::RecordingsRead);
    vec![
        route(Method::GET, "/api/v1/audio-recordings", READ, handler!(list))
            .about("audio-recordings", "Recordings of the tenant, newest first")
            .query(FILTER)
            .answers(200, Answers::List(schema::<RecordingView>)),
        route(Method::GET, "/api/v1/audio-recordings/{id}", READ, handler!(read))
            .about("audio-recordings", "One recording with its segments and gaps")
            .answers(200, Answers::Json(schema::<RecordingView>)),
        route(Method::GET, "/api/v1/audio-recordings/{id}/download", READ, handler!(download::download))
            .about("audio-recordings", "The WAV, or a range of it; the ETag is its SHA-256")
            .answers(200, Answers::Other("audio/wav"))
            .errors(&[206, 304, 409, 416, 429]),
    ]
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let (tenant, wanted) = (ask.tenant()?, Wanted::of(&ask)?);
    let after = match &wanted.part {
        Part::Cursor(id) if !id.is_empty() => Some(id.parse().map_err(|_| page::bad_cursor())?),
        _ => None,
    };
    let rows = PageRequest {
        after,
        limit: wanted.skip() + wanted.size + 1,
        descending: true,
    };
    let recordings = &ask.edge.repos.recordings;
    let (stored, count) = match ask.query.uuid("call_session_id") {
        Some(call) => (recordings.by_call(tenant, CallId(call), rows).await.map_err(of_store)?, None),
        None => {
            let count = recordings.count(tenant).await.map_err(of_store)?;
            (recordings.list(tenant, rows).await.map_err(of_store)?, count)
        }
    };
    let mut views: Vec<RecordingView> = stored.iter().skip(wanted.skip()).map(|(recording, _)| RecordingView::of(recording)).collect();
    let more = views.len() > wanted.size;
    views.truncate(wanted.size);
    let next = views.last().filter(|_| more).map(|view| view.id.to_string());
    Ok(Reply::json(&page::list(&ask, &wanted, count, next, views)))
}

async fn stored(ask: &Ask) -> Result<Versioned<Recording>, Fault> {
    let id: RecordingId = ask.id("audio-recording")?;
    let stored = ask.edge.repos.recordings.get(ask.tenant()?, id).await.map_err(of_store)?;
    stored.ok_or_else(|| Fault::not_found("audio-recording"))
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    let (recording, version) = stored(&ask).await?;
    Ok(Reply::json(&RecordingView::of(&recording)).version(version))
}
