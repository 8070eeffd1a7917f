//! Who asks, and for which tenant. The tenant comes from the credential; what the request names is only checked
//! against it.

use crate::Edge;
use crate::auth::{Claims, TokenUse};
use crate::faults::of_store;
use crate::spec::percent_decode;
use aimg_domain::tenant::{Tenant, TenantStatus};
use aimg_domain::user::User;
use aimg_domain::{Caller, Fault, Role, TenantId, Timestamp, UserId};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

pub struct Identity {
    pub caller: Caller,
    pub claims: Option<Claims>,
    pub expires_at: Timestamp,
}

/// What a one-time ticket stands for.
#[derive(Serialize, Deserialize)]
pub struct Ticket {
    pub user: UserId,
    pub home: TenantId,
    pub tenant: TenantId,
    pub generation: u64,
    /// Of the credential it was bought with: a ticket prolongs nothing.
    pub expires_at: Timestamp,
}

/// By the credential in the headers; on sockets also by subprotocol or ticket.
pub async fn identify(edge: &Edge, headers: &HeaderMap, raw_query: &str, socket: bool) -> Result<Identity, Fault> {
    let named = named_tenant(headers, raw_query)?;
    if socket && headers.get(header::AUTHORIZATION).is_none() {
        if let Some(ticket) = parameter(raw_query, "ticket") {
            return by_ticket(edge, &ticket, named).await;
        }
        if let Some(token) = crate::socket::bearer_protocol(headers) {
            return by_token(edge, &token, named).await;
        }
    }
    by_token(edge, bearer(headers)?, named).await
}

fn unauthenticated(detail: &str) -> Fault {
    Fault::Unauthenticated { detail: detail.into() }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Fault> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let detail = if headers.contains_key("x-api-key") {
            "API keys are not taken yet: send `Authorization: Bearer <access token>` from POST /api/v1/auth/token"
        } else {
            "send `Authorization: Bearer <access token>` from POST /api/v1/auth/token"
        };
        return Err(unauthenticated(detail));
    };
    let text = value.to_str().map_err(|_| unauthenticated("the Authorization header is not text"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" if !token.trim().is_empty() => Ok(token.trim()),
        "bearer" => Err(unauthenticated(
            "the Authorization header has no token: send `Authorization: Bearer <access token>`",
        )),
        "token" => Err(unauthenticated("API tokens are not taken yet: use `Authorization: Bearer <access token>`")),
        _ => Err(unauthenticated("this scheme is not taken: use `Authorization: Bearer <access token>`")),
    }
}

async fn by_token(edge: &Edge, token: &str, named: Option<String>) -> Result<Identity, Fault> {
    let claims = edge.tokens.verify(token, TokenUse::Access, edge.clock.now())?;
    check_not_revoked(edge, &claims).await?;
    let user = living_user(edge, claims.tid, claims.sub, claims.generation).await?;
    let caller = caller_in(edge, &user, named).await?;
    Ok(Identity {
        caller,
        expires_at: claims.expires_at(),
        claims: Some(claims),
    })
}

async fn by_ticket(edge: &Edge, ticket: &str, named: Option<String>) -> Result<Identity, Fault> {
    let value = edge.shared.take_ticket(&format!("ws:{ticket}")).await.map_err(of_store)?;
    let ticket: Ticket = value
        .and_then(|value| serde_json::from_str(&value).ok())
        .ok_or_else(|| unauthenticated("no such ticket: it is good once and for 30 seconds"))?;
    let user = living_user(edge, ticket.home, ticket.user, ticket.generation).await?;
    let named = named.or_else(|| (ticket.tenant != ticket.home).then(|| ticket.tenant.to_string()));
    Ok(Identity {
        caller: caller_in(edge, &user, named).await?,
        claims: None,
        expires_at: ticket.expires_at,
    })
}

/// Neither this token nor the sign-in it came from has been ended.
pub async fn check_not_revoked(edge: &Edge, claims: &Claims) -> Result<(), Fault> {
    let mut revoked = edge.repos.revoked_tokens.is_revoked(claims.jti).await.map_err(of_store)?;
    if let Some(family) = claims.fam.filter(|_| !revoked) {
        let stored = edge.repos.refresh_tokens.get(claims.tid, family).await.map_err(of_store)?;
        revoked = stored.is_none_or(|(family, _)| family.revoked.is_some());
    }
    if revoked {
        Err(unauthenticated("this sign-in is ended: sign in again"))
    } else {
        Ok(())
    }
}

/// The user as stored now: a role or password changed or an account disabled ends what was issued before.
pub async fn living_user(edge: &Edge, home: TenantId, id: UserId, generation: u64) -> Result<User, Fault> {
    let stored = edge.repos.users.get(home, id).await.map_err(of_store)?;
    match stored {
        Some((user, _)) if user.disabled => Err(unauthenticated("this account is disabled")),
        Some((user, _)) if user.generation == generation => Ok(user),
        _ => Err(unauthenticated("this token is no longer good: sign in again")),
    }
}

async fn caller_in(edge: &Edge, user: &User, named: Option<String>) -> Result<Caller, Fault> {
    let tenant = match named {
        None => stored_tenant(edge, user.tenant_id).await?,
        Some(named) => chosen(edge, user, &named).await?,
    };
    if tenant.status == TenantStatus::Suspended && user.role != Role::SuperAdmin {
        return Err(Fault::Forbidden {
            detail: "this tenant is suspended".into(),
        });
    }
    Ok(Caller {
        user: user.id,
        email: user.email.clone(),
        role: user.role,
        tenant: tenant.id,
    })
}

async fn stored_tenant(edge: &Edge, id: TenantId) -> Result<Tenant, Fault> {
    let stored = edge.repos.tenants.get(id).await.map_err(of_store)?;
    stored.map(|(tenant, _)| tenant).ok_or_else(|| Fault::not_found("tenant"))
}

/// Only a super_admin chooses; to others every tenant but their own is forbidden, whether it exists or not.
async fn chosen(edge: &Edge, user: &User, named: &str) -> Result<Tenant, Fault> {
    let stored = match named.parse::<TenantId>() {
        Ok(id) => edge.repos.tenants.get(id).await,
        Err(_) => edge.repos.tenants.by_slug(named).await,
    };
    let found = stored.map_err(of_store)?.map(|(tenant, _)| tenant);
    if user.role == Role::SuperAdmin {
        return found.ok_or_else(|| Fault::not_found("tenant"));
    }
    found.filter(|tenant| tenant.id == user.tenant_id).ok_or_else(|| Fault::Forbidden {
        detail: "this is not your tenant".into(),
    })
}

/// `X-Tenant-ID` or `?tenant=`: an id or a slug.
fn named_tenant(headers: &HeaderMap, raw_query: &str) -> Result<Option<String>, Fault> {
    let header = match headers.get("x-tenant-id") {
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_| Fault::invalid("X-Tenant-ID", "a tenant's id or slug"))?
                .trim()
                .to_owned(),
        ),
        None => None,
    };
    let query = parameter(raw_query, "tenant");
    match (header, query) {
        (Some(a), Some(b)) if a != b => Err(Fault::invalid("tenant", "the same tenant as X-Tenant-ID")),
        (a, b) => Ok(a.or(b).filter(|named| !named.is_empty())),
    }
}

pub fn parameter(raw_query: &str, name: &str) -> Option<String> {
    raw_query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(known, _)| *known == name)
        .and_then(|(_, value)| percent_decode(value))
}
