//! Tenants. A super_admin sees all, everybody else their own.

use super::handler;
use crate::ask::Ask;
use crate::faults::{of_store, of_write};
use crate::page;
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::role::Permission;
use aimg_domain::tenant::{Tenant, TenantStatus};
use aimg_domain::{Fault, Role, TenantId, Timestamp};
use aimg_store::records::PageRequest;
use aimg_store::repo::Versioned;
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

/// What one page of the store holds.
const USERS_MAX: usize = 10_000;
const NAME: Kind = Kind::Text { min: 1, max: 200 };
const CREATE: &[Field] = &[
    Field::must("name", NAME, ""),
    Field::must("slug", Kind::Slug, "The subdomain; unique, never changed."),
];
const CHANGE: &[Field] = &[
    Field::must("name", NAME, ""),
    Field::may(
        "status",
        Kind::OneOf(&["active", "suspended"]),
        "For super_admin only. A suspended tenant's people are let in no more.",
    ),
];

#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    #[schema(value_type = uuid::Uuid)]
    id: TenantId,
    name: String,
    slug: String,
    /// `active` or `suspended`
    #[schema(value_type = String)]
    status: TenantStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl TenantView {
    pub fn of(tenant: &Tenant) -> TenantView {
        TenantView {
            id: tenant.id,
            name: tenant.name.clone(),
            slug: tenant.slug.clone(),
            status: tenant.status,
            created_at: tenant.created_at,
        }
    }
}

pub fn rows() -> Vec<Route> {
    const ONE: &str = "/api/v1/tenants/{id}";
    let one = Answers::Json(schema::<TenantView>);
    vec![
        route(Method::GET, "/api/v1/tenants", Access::Needs(Permission::TenantsRead), handler!(list))
            .about("tenants", "Tenants the caller may see")
            .query(page::PAGED)
            .answers(200, Answers::List(schema::<TenantView>)),
        route(Method::POST, "/api/v1/tenants", Access::Needs(Permission::TenantsCreate), handler!(create))
            .about("tenants", "Make a tenant")
            .body(CREATE)
            .answers(201, one)
            .idempotent(),
        route(Method::GET, ONE, Access::Needs(Permission::TenantsRead), handler!(read))
            .about("tenants", "One tenant")
            .answers(200, one),
        route(Method::PATCH, ONE, Access::Needs(Permission::TenantsManage), handler!(change))
            .about("tenants", "Change name or status")
            .partial(CHANGE)
            .answers(200, one)
            .errors(&[412]),
        route(Method::PUT, ONE, Access::Needs(Permission::TenantsManage), handler!(change))
            .about("tenants", "Replace name and status")
            .body(CHANGE)
            .answers(200, one)
            .errors(&[412]),
    ]
}

async fn list(ask: Ask) -> Result<Reply, Fault> {
    let caller = ask.caller()?;
    let tenants: Vec<Tenant> = if caller.role == Role::SuperAdmin {
        ask.edge
            .repos
            .tenants
            .all()
            .await
            .map_err(of_store)?
            .into_iter()
            .map(|(tenant, _)| tenant)
            .collect()
    } else {
        vec![stored(&ask, caller.tenant).await?.0]
    };
    let views = tenants.iter().map(TenantView::of).collect();
    Ok(Reply::json(&page::slice(&ask, views, |view: &TenantView| view.id.to_string())?))
}

async fn create(ask: Ask) -> Result<Reply, Fault> {
    let id = TenantId(ask.edge.ids.uuid());
    let tenant = Tenant {
        id,
        name: ask.body.string("name"),
        slug: ask.body.string("slug"),
        status: TenantStatus::Active,
        placement_key: id.to_string(),
        created_at: ask.now(),
    };
    let version = ask.edge.repos.tenants.create(&tenant).await.map_err(of_store)?;
    Ok(Reply::created(&format!("/api/v1/tenants/{id}"), &TenantView::of(&tenant)).version(version))
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    let (tenant, version) = visible(&ask).await?;
    Ok(Reply::json(&TenantView::of(&tenant)).version(version))
}

async fn change(ask: Ask) -> Result<Reply, Fault> {
    let (mut tenant, version) = visible(&ask).await?;
    ask.check_version(version)?;
    if let Some(name) = ask.body.text("name") {
        tenant.name = name.to_owned();
    }
    if let Some(status) = ask.body.word::<TenantStatus>("status").filter(|status| *status != tenant.status) {
        if ask.caller()?.role != Role::SuperAdmin {
            return Err(Fault::Forbidden {
                detail: "only a super_admin suspends or resumes a tenant".into(),
            });
        }
        tenant.status = status;
    }
    let suspended = tenant.status == TenantStatus::Suspended;
    let version = ask
        .edge
        .repos
        .tenants
        .update(&tenant, version)
        .await
        .map_err(|error| of_write(error, ask.if_match().ok().flatten()))?;
    if suspended {
        close_sockets(&ask, tenant.id).await?;
    }
    Ok(Reply::json(&TenantView::of(&tenant)).version(version))
}

/// Of the tenant's people; a super_admin may go on.
async fn close_sockets(ask: &Ask, tenant: TenantId) -> Result<(), Fault> {
    let everybody = PageRequest {
        after: None,
        limit: USERS_MAX,
        descending: false,
    };
    let users = ask.edge.repos.users.list(tenant, everybody).await.map_err(of_store)?;
    for (user, _) in users.iter().filter(|(user, _)| user.role != Role::SuperAdmin) {
        ask.edge.platform.policy_changed(user.id, None).await?;
    }
    Ok(())
}

/// Another's tenant is not there.
async fn visible(ask: &Ask) -> Result<Versioned<Tenant>, Fault> {
    let id: TenantId = ask.id("tenant")?;
    let caller = ask.caller()?;
    if caller.role != Role::SuperAdmin && caller.tenant != id {
        return Err(Fault::not_found("tenant"));
    }
    stored(ask, id).await
}

async fn stored(ask: &Ask, id: TenantId) -> Result<Versioned<Tenant>, Fault> {
    let stored = ask.edge.repos.tenants.get(id).await.map_err(of_store)?;
    stored.ok_or_else(|| Fault::not_found("tenant"))
}
