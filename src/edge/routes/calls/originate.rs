//! Starting a call.

use super::{CallView, detail};
use crate::ask::Ask;
use crate::faults::{internal, of_store};
use crate::reply::Reply;
use crate::spec::{Field, Kind};
use aimg_domain::{CallId, Fault, PbxLinkId};
use aimg_store::records::PageRequest;
use aimg_wire::request::{Originate, OriginateTo, TenantReply, TenantRequest};
use http::StatusCode;
use http::header::LOCATION;

const RING_TIMEOUT_MS: u64 = 30_000;
const NAME: Kind = Kind::Text { min: 1, max: 80 };
const TO: &[Field] = &[
    Field::may("context", NAME, "Of the dialplan, with `exten`."),
    Field::may("exten", NAME, ""),
    Field::may("stasis", Kind::Bool, "true: into our application, in place of a dialplan's extension."),
];
const CALLER: &[Field] = &[
    Field::may("number", Kind::Text { min: 1, max: 80 }, ""),
    Field::may("name", Kind::Text { min: 1, max: 80 }, ""),
];
pub const BODY: &[Field] = &[
    Field::may("pbx_link_id", Kind::Id, "Needed when the tenant has more than one link."),
    Field::must("endpoint", Kind::Text { min: 3, max: 200 }, "Rung first: `PJSIP/1001`."),
    Field::must("to", Kind::Object(TO), "Where the call goes when it answers."),
    Field::may("caller", Kind::Object(CALLER), "Shown to who is rung."),
    Field::may("ring_timeout_ms", Kind::Int { min: 1000, max: 300_000 }, "30000 unless told."),
];

pub async fn create(ask: Ask) -> Result<Reply, Fault> {
    let caller = ask.body.object("caller").unwrap_or_default();
    let originate = Originate {
        to: to(&ask)?,
        link: link(&ask).await?,
        endpoint: endpoint(&ask)?,
        caller_number: caller.text("number").map(str::to_owned),
        caller_name: caller.text("name").map(str::to_owned),
        ring_timeout_ms: ask.body.unsigned("ring_timeout_ms").unwrap_or(RING_TIMEOUT_MS),
    };
    match ask.ask_tenant(TenantRequest::Originate(Box::new(originate))).await? {
        TenantReply::Originated(call) => created(&ask, call).await,
        other => Err(internal(&format!("{other:?} for an originate"))),
    }
}

/// The call exists, whatever can be read of it this moment.
async fn created(ask: &Ask, call: CallId) -> Result<Reply, Fault> {
    let at = format!("/api/v1/call-sessions/{call}");
    let view: CallView = match detail(ask, call).await {
        Ok(view) => view,
        Err(fault) => {
            tracing::warn!(%fault, %call, "a call was started and cannot be read yet");
            return Ok(Reply::json(&serde_json::json!({"id": call})).status(StatusCode::ACCEPTED).header(LOCATION, &at));
        }
    };
    Ok(Reply::created(&at, &view))
}

fn endpoint(ask: &Ask) -> Result<String, Fault> {
    let endpoint = ask.body.string("endpoint");
    let plain = endpoint
        .split_once('/')
        .is_some_and(|(technology, rest)| technology.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !technology.is_empty() && !rest.is_empty());
    // A comma would begin another argument of Asterisk's.
    if plain && !endpoint.contains([',', '\r', '\n']) {
        return Ok(endpoint);
    }
    Err(Fault::invalid("endpoint", "technology and endpoint such as PJSIP/1001"))
}

fn to(ask: &Ask) -> Result<OriginateTo, Fault> {
    let to = ask.body.object("to").unwrap_or_default();
    let extension = (to.text("context"), to.text("exten"));
    match (to.boolean("stasis").unwrap_or(false), extension) {
        (true, (None, None)) => Ok(OriginateTo::Stasis),
        (false, (Some(context), Some(exten))) => Ok(OriginateTo::Extension {
            context: context.to_owned(),
            exten: exten.to_owned(),
        }),
        _ => Err(Fault::invalid("to", "either context and exten, or stasis: true")),
    }
}

/// The one that is named, or the only one there is.
async fn link(ask: &Ask) -> Result<PbxLinkId, Fault> {
    let tenant = ask.tenant()?;
    if let Some(id) = ask.body.uuid("pbx_link_id").map(PbxLinkId) {
        let stored = ask.edge.repos.links.get(tenant, id).await.map_err(of_store)?;
        return stored
            .map(|_| id)
            .ok_or_else(|| Fault::invalid("pbx_link_id", "the id of a pbx-link of this tenant"));
    }
    let page = PageRequest {
        after: None,
        limit: 2,
        descending: false,
    };
    let links = ask.edge.repos.links.list(tenant, page).await.map_err(of_store)?;
    match links.as_slice() {
        [(only, _)] => Ok(only.id),
        [] => Err(Fault::not_possible("this tenant has no link to a PBX: make one at pbx-links")),
        _ => Err(Fault::invalid("pbx_link_id", "required: this tenant has several links")),
    }
}
