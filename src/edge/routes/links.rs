//! Ties of the tenant to PBXs.

use super::handler;
use super::pbxs;
use crate::ask::Ask;
use crate::faults::{of_store, of_write};
use crate::page;
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::link::{AudioPolicy, ControlPolicy, PbxLink, RecordingPolicy};
use aimg_domain::pbx::{Pbx, PbxState};
use aimg_domain::role::Permission;
use aimg_domain::{Fault, PbxId, PbxLinkId};
use aimg_store::records::PageRequest;
use aimg_store::repo::Versioned;
use aimg_wire::request::TenantRequest;
use http::Method;

mod input;
mod view;

use input::{CHANGE, CREATE, TAP_BUDGET, budget, claims, everything};
pub use view::LinkView;

const FILTER: &[Field] = &[page::PAGE, page::SIZE, page::CURSOR, Field::may("pbx_id", Kind::Id, "")];

pub fn rows() -> Vec<Route> {
    const ONE: &str = "/api/v1/pbx-links/{id}";
    const READ: Access = Access::Needs(Permission::PbxsRead);
    const MANAGE: Access = Access::Needs(Permission::PbxsManage);
    let one = Answers::Json(schema::<LinkView>);
    vec![
        route(Method::GET, "/api/v1/pbx-links", READ, handler!(list))
            .about("pbx-links", "The tenant's ties to PBXs")
            .query(FILTER)
            .answers(200, Answers::List(schema::<LinkView>)),
        route(Method::POST, "/api/v1/pbx-links", MANAGE, handler!(create))
            .about("pbx-links", "Tie the tenant to a PBX, or attach one in the same call")
            .body(CREATE)
            .answers(201, one)
            .idempotent(),
        route(Method::GET, ONE, READ, handler!(read)).about("pbx-links", "One tie").answers(200, one),
        route(Method::PATCH, ONE, MANAGE, handler!(change))
            .about("pbx-links", "Change claims and policies")
            .partial(CHANGE)
            .answers(200, one)
            .errors(&[412]),
        route(Method::PUT, ONE, MANAGE, handler!(replace))
            .about("pbx-links", "Replace claims and policies")
            .body(CHANGE)
            .answers(200, one)
            .errors(&[412]),
        route(Method::DELETE, ONE, MANAGE, handler!(remove))
            .about("pbx-links", "Untie: calls of this PBX are no longer the tenant's")
            .answers(204, Answers::Empty)
            .errors(&[412]),
    ]
}

fn all_rows() -> PageRequest {
    PageRequest {
        after: None,
        limit: pbxs::ROWS_MAX,
        descending: false,
    }
}

async fn view(ask: &Ask, link: &PbxLink) -> Result<LinkView, Fault> {
    let statuses = pbxs::statuses(ask).await;
    let pbx = ask.edge.repos.pbxs.find(link.pbx_id).await.map_err(of_store)?;
    let state = pbx.map_or(PbxState::Detached, |(pbx, _)| pbxs::status_of(&pbx, &statuses, ask).state);
    Ok(LinkView::of(link, state))
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let mut links = ask.edge.repos.links.list(ask.tenant()?, all_rows()).await.map_err(of_store)?;
    if let Some(pbx) = ask.query.uuid("pbx_id") {
        links.retain(|(link, _)| link.pbx_id.0 == pbx);
    }
    let page = page::slice(&ask, links, |(link, _)| link.id.to_string())?;
    let statuses = pbxs::statuses(&ask).await;
    let known = pbxs::visible(&ask).await?;
    Ok(Reply::json(&page.map(|(link, _)| {
        let pbx = known.iter().find(|(pbx, _)| pbx.id == link.pbx_id);
        let state = pbx.map_or(PbxState::Detached, |(pbx, _)| pbxs::status_of(pbx, &statuses, &ask).state);
        LinkView::of(&link, state)
    })))
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    let (link, version) = stored(&ask).await?;
    Ok(Reply::json(&view(&ask, &link).await?).version(version))
}

async fn create(ask: Ask) -> Result<Reply, Fault> {
    let claims = claims(&ask.body)?;
    let (pbx, made) = pbx_of(&ask).await?;
    let link = PbxLink {
        id: PbxLinkId(ask.edge.ids.uuid()),
        tenant_id: ask.tenant()?,
        pbx_id: pbx.id,
        claims: claims.unwrap_or_else(everything),
        audio: ask.body.word("audio").unwrap_or(AudioPolicy::OnDemand),
        recording: ask.body.word("recording").unwrap_or(RecordingPolicy::OnDemand),
        control: ask.body.word("control").unwrap_or(ControlPolicy::Observe),
        tap_budget: budget(&ask.body).unwrap_or(TAP_BUDGET),
        created_at: ask.now(),
    };
    match install(&ask, &link).await {
        Ok(version) => {
            let view = view(&ask, &link).await?;
            Ok(Reply::created(&format!("/api/v1/pbx-links/{}", link.id), &view).version(version))
        }
        Err(fault) => {
            if let Some(version) = made {
                pbxs::undo_attach(&ask, &pbx, version).await;
            }
            Err(fault)
        }
    }
}

/// Saves the tie and tells the tree; when the tree does not take it, it was never there.
async fn install(ask: &Ask, link: &PbxLink) -> Result<u64, Fault> {
    let version = ask.edge.repos.links.create(link).await.map_err(of_store)?;
    if let Err(fault) = ask.ask_tenant(TenantRequest::ApplyLink { link: link.id }).await {
        if let Err(error) = ask.edge.repos.links.delete(link.tenant_id, link.id, version).await {
            tracing::error!(%error, link = %link.id, "a link that could not be installed stays on record");
        }
        return Err(fault);
    }
    Ok(version)
}

/// The PBX that is named, or the one made now with its version.
async fn pbx_of(ask: &Ask) -> Result<(Pbx, Option<u64>), Fault> {
    let named = ask.body.uuid("pbx_id").map(PbxId);
    match (named, ask.body.object("pbx")) {
        (Some(id), None) => {
            let (pbx, _) = pbxs::find(ask, id).await.map_err(|fault| match fault {
                Fault::NotFound { .. } => Fault::invalid("pbx_id", "the id of a PBX of this tenant"),
                other => other,
            })?;
            // Claims on a PBX of the platform decide whose calls they are: not for the tenants themselves.
            if pbx.tenant_id.is_none() {
                ask.caller()?.require(Permission::PlatformPbxs)?;
            }
            Ok((pbx, None))
        }
        (None, Some(given)) => {
            let (pbx, version) = pbxs::attach(ask, &given).await?;
            Ok((pbx, Some(version)))
        }
        _ => Err(Fault::invalid("pbx_id", "either pbx_id or pbx")),
    }
}

async fn change(ask: Ask) -> Result<Reply, Fault> {
    let (mut link, version) = stored(&ask).await?;
    let body = &ask.body;
    if let Some(claims) = claims(body)? {
        link.claims = claims;
    }
    link.audio = body.word("audio").unwrap_or(link.audio);
    link.recording = body.word("recording").unwrap_or(link.recording);
    link.control = body.word("control").unwrap_or(link.control);
    link.tap_budget = budget(body).unwrap_or(link.tap_budget);
    save(ask, link, version).await
}

async fn replace(ask: Ask) -> Result<Reply, Fault> {
    let (mut link, version) = stored(&ask).await?;
    let body = &ask.body;
    link.claims = claims(body)?.unwrap_or_else(everything);
    link.audio = body.word("audio").unwrap_or(AudioPolicy::OnDemand);
    link.recording = body.word("recording").unwrap_or(RecordingPolicy::OnDemand);
    link.control = body.word("control").unwrap_or(ControlPolicy::Observe);
    link.tap_budget = budget(body).unwrap_or(TAP_BUDGET);
    save(ask, link, version).await
}

async fn save(ask: Ask, link: PbxLink, version: u64) -> Result<Reply, Fault> {
    manage(&ask, &link).await?;
    ask.check_version(version)?;
    let named = ask.if_match()?;
    let version = ask.edge.repos.links.update(&link, version).await.map_err(|error| of_write(error, named))?;
    ask.ask_tenant(TenantRequest::ApplyLink { link: link.id }).await?;
    Ok(Reply::json(&view(&ask, &link).await?).version(version))
}

async fn remove(ask: Ask) -> Result<Reply, Fault> {
    let (link, version) = stored(&ask).await?;
    manage(&ask, &link).await?;
    ask.check_version(version)?;
    let named = ask.if_match()?;
    ask.edge
        .repos
        .links
        .delete(link.tenant_id, link.id, version)
        .await
        .map_err(|error| of_write(error, named))?;
    ask.ask_tenant(TenantRequest::RemoveLink { link: link.id }).await?;
    Ok(Reply::no_content())
}

/// A tie to a PBX of the platform is the platform's to change.
async fn manage(ask: &Ask, link: &PbxLink) -> Result<(), Fault> {
    let pbx = ask.edge.repos.pbxs.find(link.pbx_id).await.map_err(of_store)?;
    if pbx.is_some_and(|(pbx, _)| pbx.tenant_id.is_none()) {
        ask.caller()?.require(Permission::PlatformPbxs)?;
    }
    Ok(())
}

async fn stored(ask: &Ask) -> Result<Versioned<PbxLink>, Fault> {
    let id: PbxLinkId = ask.id("pbx-link")?;
    let stored = ask.edge.repos.links.get(ask.tenant()?, id).await.map_err(of_store)?;
    stored.ok_or_else(|| Fault::not_found("pbx-link"))
}
