//! PBXs: records with the live state of their links. Secrets go in and never come out.

use super::handler;
use crate::ask::Ask;
use crate::faults::{internal, of_store, of_write};
use crate::page;
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use aimg_domain::pbx::{Pbx, PbxState, PbxStatus};
use aimg_domain::role::Permission;
use aimg_domain::{Fault, PbxId, TenantId};
use aimg_store::records::{PageRequest, Scope};
use aimg_store::repo::Versioned;
use aimg_wire::request::{PbxAccess, TenantReply, TenantRequest};
use http::Method;
use std::collections::HashMap;
use std::time::Duration;

mod input;
mod view;

pub use input::{PBX, build};
pub use view::{PbxTestView, PbxView};

/// A test dials, signs in and opens a websocket, each with its own deadline.
const TEST_TIMEOUT: Duration = Duration::from_secs(45);
/// More PBXs than a tenant has.
pub const ROWS_MAX: usize = 10_000;

pub fn rows() -> Vec<Route> {
    const ONE: &str = "/api/v1/pbxs/{id}";
    const READ: Access = Access::Needs(Permission::PbxsRead);
    const MANAGE: Access = Access::Needs(Permission::PbxsManage);
    let one = Answers::Json(schema::<PbxView>);
    vec![
        route(Method::GET, "/api/v1/pbxs", READ, handler!(list))
            .about("pbxs", "PBXs of the tenant with their live state")
            .query(page::PAGED)
            .answers(200, Answers::List(schema::<PbxView>)),
        route(Method::POST, "/api/v1/pbxs", MANAGE, handler!(create))
            .about("pbxs", "Attach a PBX")
            .body(PBX)
            .answers(201, one)
            .idempotent(),
        route(Method::POST, "/api/v1/pbxs/test", MANAGE, handler!(test_given))
            .about("pbxs", "Try an access that is not saved; the first step that failed names what is wrong")
            .body(input::ACCESS)
            .answers(200, Answers::Json(schema::<PbxTestView>))
            .timeout(TEST_TIMEOUT),
        route(Method::POST, "/api/v1/pbxs/{id}/test", MANAGE, handler!(test_saved))
            .about("pbxs", "Try the access of a PBX")
            .body(&[])
            .answers(200, Answers::Json(schema::<PbxTestView>))
            .timeout(TEST_TIMEOUT),
        route(Method::GET, ONE, READ, handler!(read)).about("pbxs", "One PBX").answers(200, one),
        route(Method::PATCH, ONE, MANAGE, handler!(change))
            .about("pbxs", "Change it; secrets that are not given stay")
            .partial(PBX)
            .answers(200, one)
            .errors(&[412]),
        route(Method::PUT, ONE, MANAGE, handler!(replace))
            .about("pbxs", "Replace it")
            .body(PBX)
            .answers(200, one)
            .errors(&[412]),
        route(Method::DELETE, ONE, MANAGE, handler!(remove))
            .about("pbxs", "Detach it and forget it with this tenant's links to it; its live calls end as failed")
            .answers(204, Answers::Empty)
            .errors(&[409, 412]),
    ]
}

/// What the tree says of each PBX now. Reading goes on without it: the state is then `connecting` with the reason.
pub async fn statuses(ask: &Ask) -> HashMap<PbxId, PbxStatus> {
    match ask.ask_tenant(TenantRequest::PbxStatuses).await {
        Ok(TenantReply::Statuses(statuses)) => statuses.into_iter().collect(),
        Ok(other) => {
            tracing::error!(?other, "an answer that was not asked for");
            HashMap::new()
        }
        Err(fault) => {
            tracing::warn!(%fault, "the state of PBXs is not known now");
            HashMap::new()
        }
    }
}

/// The tenant's own, then the platform's for who manages those, then the platform's that a link of the tenant names.
pub async fn visible(ask: &Ask) -> Result<Vec<Versioned<Pbx>>, Fault> {
    let caller = ask.caller()?;
    let rows = || PageRequest {
        after: None,
        limit: ROWS_MAX,
        descending: false,
    };
    let mut found = ask.edge.repos.pbxs.list(Scope::Tenant(caller.tenant), rows()).await.map_err(of_store)?;
    let platform = ask.edge.repos.pbxs.list(Scope::Platform, rows()).await.map_err(of_store)?;
    if caller.may(Permission::PlatformPbxs) {
        found.extend(platform);
    } else if !platform.is_empty() {
        let links = ask.edge.repos.links.list(caller.tenant, rows()).await.map_err(of_store)?;
        found.extend(platform.into_iter().filter(|(pbx, _)| links.iter().any(|(link, _)| link.pbx_id == pbx.id)));
    }
    Ok(found)
}

/// One the caller may see, else it is not there.
pub async fn find(ask: &Ask, id: PbxId) -> Result<Versioned<Pbx>, Fault> {
    let caller = ask.caller()?;
    let stored = ask.edge.repos.pbxs.find(id).await.map_err(of_store)?;
    let Some((pbx, version)) = stored else { return Err(Fault::not_found("pbx")) };
    let seen = match pbx.tenant_id {
        Some(owner) => owner == caller.tenant,
        None => caller.may(Permission::PlatformPbxs) || is_linked(ask, caller.tenant, id).await?,
    };
    if seen { Ok((pbx, version)) } else { Err(Fault::not_found("pbx")) }
}

async fn is_linked(ask: &Ask, tenant: TenantId, pbx: PbxId) -> Result<bool, Fault> {
    let page = PageRequest {
        after: None,
        limit: 1,
        descending: false,
    };
    let links = ask.edge.repos.links.list_by_pbx(tenant, pbx, page).await.map_err(of_store)?;
    Ok(!links.is_empty())
}

/// One the caller may change: the platform's are only the platform's people's.
async fn manageable(ask: &Ask) -> Result<Versioned<Pbx>, Fault> {
    let found = find(ask, ask.id("pbx")?).await?;
    if found.0.tenant_id.is_none() {
        ask.caller()?.require(Permission::PlatformPbxs)?;
    }
    Ok(found)
}

fn view(ask: &Ask, pbx: &Pbx, statuses: &HashMap<PbxId, PbxStatus>) -> PbxView {
    let inside = pbx.tenant_id.is_some() || ask.caller.as_ref().is_some_and(|caller| caller.may(Permission::PlatformPbxs));
    PbxView::of(pbx, &status_of(pbx, statuses, ask), inside)
}

/// Without word from the tree: what the record says.
pub fn status_of(pbx: &Pbx, statuses: &HashMap<PbxId, PbxStatus>, ask: &Ask) -> PbxStatus {
    if let Some(status) = statuses.get(&pbx.id).filter(|_| !pbx.detached) {
        return status.clone();
    }
    let state = if pbx.detached { PbxState::Detached } else { PbxState::Connecting };
    PbxStatus {
        state,
        since: if pbx.detached { pbx.created_at } else { ask.now() },
        reason: (!pbx.detached).then(|| "the node has not said anything of it yet".into()),
        version: None,
        booted_at: None,
        last_gap: None,
    }
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let found = visible(&ask).await?;
    let page = page::slice(&ask, found, |(pbx, _)| pbx.id.to_string())?;
    let statuses = statuses(&ask).await;
    Ok(Reply::json(&page.map(|(pbx, _)| view(&ask, &pbx, &statuses))))
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    let (pbx, version) = find(&ask, ask.id("pbx")?).await?;
    let statuses = statuses(&ask).await;
    Ok(Reply::json(&view(&ask, &pbx, &statuses)).version(version))
}

async fn create(ask: Ask) -> Result<Reply, Fault> {
    let (pbx, version) = attach(&ask, &ask.body).await?;
    let statuses = statuses(&ask).await;
    Ok(Reply::created(&format!("/api/v1/pbxs/{}", pbx.id), &view(&ask, &pbx, &statuses)).version(version))
}

/// Saves a PBX and tells the tree; when the tree does not take it, it was never there.
pub async fn attach(ask: &Ask, body: &crate::spec::Checked) -> Result<Versioned<Pbx>, Fault> {
    let owner = owner(ask, body)?;
    let placement_key = match owner {
        Some(tenant) => {
            let stored = ask.edge.repos.tenants.get(tenant).await.map_err(of_store)?;
            stored.ok_or_else(|| Fault::not_found("tenant"))?.0.placement_key
        }
        None => ask.edge.ids.uuid().to_string(),
    };
    let pbx = build(body, PbxId(ask.edge.ids.uuid()), owner, placement_key, ask.now());
    let version = ask.edge.repos.pbxs.create(&pbx).await.map_err(of_store)?;
    if let Err(fault) = ask.ask_tenant(TenantRequest::ApplyPbx { pbx: pbx.id }).await {
        undo_attach(ask, &pbx, version).await;
        return Err(fault);
    }
    Ok((pbx, version))
}

/// Best effort: what cannot be undone is logged, and shows in the list.
pub async fn undo_attach(ask: &Ask, pbx: &Pbx, version: u64) {
    if let Err(fault) = ask.ask_tenant(TenantRequest::DetachPbx { pbx: pbx.id }).await {
        tracing::debug!(%fault, pbx = %pbx.id, "detach while undoing");
    }
    if let Err(error) = ask.edge.repos.pbxs.delete(scope(pbx), pbx.id, version).await {
        tracing::error!(%error, pbx = %pbx.id, "a PBX that could not be attached stays on record");
    }
}

pub fn scope(pbx: &Pbx) -> Scope {
    pbx.tenant_id.map_or(Scope::Platform, Scope::Tenant)
}

fn owner(ask: &Ask, body: &crate::spec::Checked) -> Result<Option<TenantId>, Fault> {
    let caller = ask.caller()?;
    if body.text("owner") == Some("platform") {
        caller.require(Permission::PlatformPbxs)?;
        return Ok(None);
    }
    Ok(Some(caller.tenant))
}

async fn change(ask: Ask) -> Result<Reply, Fault> {
    let (mut pbx, version) = manageable(&ask).await?;
    input::merge(&mut pbx, &ask.body)?;
    save(ask, pbx, version).await
}

async fn replace(ask: Ask) -> Result<Reply, Fault> {
    let (old, version) = manageable(&ask).await?;
    let mut pbx = build(&ask.body, old.id, old.tenant_id, old.placement_key, old.created_at);
    pbx.detached = old.detached;
    save(ask, pbx, version).await
}

async fn save(ask: Ask, pbx: Pbx, version: u64) -> Result<Reply, Fault> {
    if ask.body.text("owner").is_some_and(|owner| (owner == "platform") != pbx.tenant_id.is_none()) {
        return Err(Fault::invalid("owner", "the owner as it is: it never changes"));
    }
    ask.check_version(version)?;
    let named = ask.if_match()?;
    let version = ask.edge.repos.pbxs.update(&pbx, version).await.map_err(|error| of_write(error, named))?;
    ask.ask_tenant(TenantRequest::ApplyPbx { pbx: pbx.id }).await?;
    let statuses = statuses(&ask).await;
    Ok(Reply::json(&view(&ask, &pbx, &statuses)).version(version))
}

async fn remove(ask: Ask) -> Result<Reply, Fault> {
    let (mut pbx, mut version) = manageable(&ask).await?;
    ask.check_version(version)?;
    let links = ask.edge.repos.links.by_pbx(pbx.id).await.map_err(of_store)?;
    let tenant = ask.tenant()?;
    if links.iter().any(|(link, _)| link.tenant_id != tenant) {
        return Err(Fault::Conflict {
            detail: "other tenants have links to this PBX: delete those first".into(),
        });
    }
    if !pbx.detached {
        // On record first: a restart between the two does not dial it again.
        pbx.detached = true;
        let named = ask.if_match()?;
        version = ask.edge.repos.pbxs.update(&pbx, version).await.map_err(|error| of_write(error, named))?;
    }
    ask.ask_tenant(TenantRequest::DetachPbx { pbx: pbx.id }).await?;
    for (link, version) in links {
        ask.ask_tenant(TenantRequest::RemoveLink { link: link.id }).await?;
        ask.edge.repos.links.delete(link.tenant_id, link.id, version).await.map_err(of_store)?;
    }
    ask.edge.repos.pbxs.delete(scope(&pbx), pbx.id, version).await.map_err(of_store)?;
    Ok(Reply::no_content())
}

async fn test_given(ask: Ask) -> Result<Reply, Fault> {
    let access = input::access(&ask.body);
    run_test(&ask, access).await
}

async fn test_saved(ask: Ask) -> Result<Reply, Fault> {
    let (pbx, _) = manageable(&ask).await?;
    run_test(&ask, PbxAccess::from(&pbx)).await
}

async fn run_test(ask: &Ask, access: PbxAccess) -> Result<Reply, Fault> {
    match ask.ask_tenant(TenantRequest::TestPbx { access: Box::new(access) }).await? {
        TenantReply::Tested(test) => Ok(Reply::json(&PbxTestView::of(test))),
        other => Err(internal(&format!("{other:?} for a test"))),
    }
}
