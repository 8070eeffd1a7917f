//! Sign-in, refresh, verify, sign-out, tickets for sockets.

use super::handler;
use super::tenants::TenantView;
use super::users::UserView;
use crate::ask::Ask;
use crate::auth::{Claims, LoginGuard, TokenError, TokenUse};
use crate::caller::{Ticket, living_user};
use crate::faults::{internal, of_store};
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::tenant::TenantStatus;
use aimg_domain::user::User;
use aimg_domain::{Fault, Role, TenantId, Timestamp};
use aimg_store::records::PageRequest;
use aimg_store::repo::{Redeemed, RefreshFamily};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Sign-ins kept of one user; the oldest is ended for the next.
const FAMILIES_MAX: usize = 100;
const FAMILIES_READ: usize = 1000;

const TOKEN: Kind = Kind::Secret { min: 1, max: 4096 };
const SIGN_IN: &[Field] = &[
    Field::must("email", Kind::Email, ""),
    Field::must("password", Kind::Secret { min: 1, max: 1024 }, ""),
];
const REFRESH: &[Field] = &[Field::must("refresh", TOKEN, "Good once: the answer has the next one.")];
const VERIFY: &[Field] = &[Field::must("token", TOKEN, "An access token.")];
const LOGOUT: &[Field] = &[Field::may("refresh", TOKEN, "Ends that sign-in as well, should it be another one.")];

#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    access: String,
    refresh: String,
    /// Of the access token, seconds.
    expires_in: u64,
    user: UserView,
    tenant: TenantView,
}

#[derive(Serialize, ToSchema)]
pub struct Verified {
    valid: bool,
    user: UserView,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct WsTicket {
    /// For `?ticket=` of a websocket, once.
    ticket: String,
    /// Seconds.
    expires_in: u64,
}

pub fn rows() -> Vec<Route> {
    vec![
        route(Method::POST, "/api/v1/auth/token", Access::Public, handler!(sign_in))
            .about("auth", "Sign in with email and password")
            .body(SIGN_IN)
            .answers(200, Answers::Json(schema::<SignedIn>))
            .errors(&[401, 403, 429]),
        route(Method::POST, "/api/v1/auth/token/refresh", Access::Public, handler!(refresh))
            .about("auth", "The next access and refresh token; showing a used refresh token ends its sign-in")
            .body(REFRESH)
            .answers(200, Answers::Json(schema::<SignedIn>))
            .errors(&[401, 403]),
        route(Method::POST, "/api/v1/auth/token/verify", Access::Public, handler!(verify))
            .about("auth", "Whether an access token is good now")
            .body(VERIFY)
            .answers(200, Answers::Json(schema::<Verified>))
            .errors(&[401]),
        route(Method::POST, "/api/v1/auth/logout", Access::SignedIn, handler!(logout))
            .about("auth", "End this sign-in: its access and refresh tokens are good no longer")
            .body(LOGOUT)
            .answers(204, Answers::Empty),
        route(Method::POST, "/api/v1/auth/ws-ticket", Access::SignedIn, handler!(ticket))
            .about("auth", "A ticket that opens one websocket within 30 seconds")
            .body(&[])
            .answers(200, Answers::Json(schema::<WsTicket>)),
    ]
}

fn refused(detail: &str) -> Fault {
    Fault::Unauthenticated { detail: detail.into() }
}

fn signing(error: TokenError) -> Fault {
    internal(&error.to_string())
}

async fn sign_in(ask: Ask) -> Result<Reply, Fault> {
    let email = ask.body.string("email");
    let guard = LoginGuard::new(&ask, &email);
    guard.check().await?;
    let stored = ask.edge.repos.users.by_email(&email).await.map_err(of_store)?;
    let hash = stored.as_ref().map(|(user, _)| user.password_hash.clone());
    let good = ask.edge.passwords.verify(ask.body.string("password"), hash).await?;
    let Some((user, _)) = stored.filter(|_| good) else {
        guard.failed().await;
        return Err(refused("no user with this email and password"));
    };
    if user.disabled {
        return Err(refused("this account is disabled"));
    }
    guard.succeeded().await;
    let family = begin_family(&ask, &user).await?;
    signed_in(&ask, &user, &family).await
}

async fn begin_family(ask: &Ask, user: &User) -> Result<RefreshFamily, Fault> {
    let (tokens, now) = (&ask.edge.repos.refresh_tokens, ask.now());
    let page = PageRequest {
        after: None,
        limit: FAMILIES_READ,
        descending: false,
    };
    let all = tokens.by_user(user.tenant_id, user.id, page).await.map_err(of_store)?;
    let living: Vec<_> = all.iter().filter(|(family, _)| family.revoked.is_none() && family.expires_at > now).collect();
    if let Some((oldest, _)) = living.first().filter(|_| living.len() >= FAMILIES_MAX) {
        tokens.revoke(user.tenant_id, oldest.id, "too many sign-ins").await.map_err(of_store)?;
    }
    let family = RefreshFamily {
        id: ask.edge.ids.uuid(),
        user: user.id,
        tenant: user.tenant_id,
        current: ask.edge.ids.uuid(),
        expires_at: now.plus(ask.edge.config.refresh_token_life),
        created_at: now,
        refreshed_at: now,
        revoked: None,
    };
    tokens.begin(&family).await.map_err(of_store)?;
    Ok(family)
}

async fn signed_in(ask: &Ask, user: &User, family: &RefreshFamily) -> Result<Reply, Fault> {
    let edge = &ask.edge;
    let (now, life) = (ask.now(), edge.config.access_token_life);
    let tenant = edge.repos.tenants.get(user.tenant_id).await.map_err(of_store)?;
    let (tenant, _) = tenant.ok_or_else(|| refused("the tenant of this account is gone"))?;
    if tenant.status == TenantStatus::Suspended && user.role != Role::SuperAdmin {
        return Err(Fault::Forbidden {
            detail: "this tenant is suspended".into(),
        });
    }
    let access = edge.tokens.access(user, Some(family.id), edge.ids.uuid(), now, life).map_err(signing)?;
    let refresh = edge
        .tokens
        .refresh(user, family.id, family.current, now, edge.config.refresh_token_life)
        .map_err(signing)?;
    Ok(Reply::json(&SignedIn {
        access: access.expose().to_owned(),
        refresh: refresh.expose().to_owned(),
        expires_in: life.as_secs(),
        user: UserView::of(user),
        tenant: TenantView::of(&tenant),
    }))
}

async fn refresh(ask: Ask) -> Result<Reply, Fault> {
    let edge = &ask.edge;
    let now = ask.now();
    let claims = edge.tokens.verify(&ask.body.string("refresh"), TokenUse::Refresh, now)?;
    let family = claims.fam.ok_or_else(|| refused("this is no token of ours"))?;
    let user = match living_user(edge, claims.tid, claims.sub, claims.generation).await {
        Ok(user) => user,
        Err(fault) => {
            edge.repos
                .refresh_tokens
                .revoke(claims.tid, family, "account changed")
                .await
                .map_err(of_store)?;
            return Err(fault);
        }
    };
    let next = edge.ids.uuid();
    let until = now.plus(edge.config.refresh_token_life);
    let redeemed = edge
        .repos
        .refresh_tokens
        .redeem(claims.tid, family, claims.jti, next, now, until)
        .await
        .map_err(of_store)?;
    match redeemed {
        Redeemed::Rotated(family) => signed_in(&ask, &user, &family).await,
        Redeemed::Reused(family) => {
            tracing::warn!(user = %user.id, family = %family.id, "a used refresh token was shown again: sign-in ended");
            Err(refused("this refresh token was used before: the sign-in is ended, sign in again"))
        }
        Redeemed::Expired => Err(refused("this refresh token has expired: sign in again")),
        Redeemed::Revoked | Redeemed::Unknown => Err(refused("this sign-in is ended: sign in again")),
    }
}

async fn verify(ask: Ask) -> Result<Reply, Fault> {
    let claims = ask.edge.tokens.verify(&ask.body.string("token"), TokenUse::Access, ask.now())?;
    crate::caller::check_not_revoked(&ask.edge, &claims).await?;
    let user = living_user(&ask.edge, claims.tid, claims.sub, claims.generation).await?;
    Ok(Reply::json(&Verified {
        valid: true,
        user: UserView::of(&user),
        expires_at: claims.expires_at(),
    }))
}

async fn logout(ask: Ask) -> Result<Reply, Fault> {
    let caller = ask.caller()?.clone();
    if let Some(claims) = &ask.claims {
        ask.edge.repos.revoked_tokens.revoke(claims.jti, claims.expires_at()).await.map_err(of_store)?;
        if let Some(family) = claims.fam {
            end_family(&ask, claims.tid, family).await?;
        }
    }
    if let Some(token) = ask.body.text("refresh") {
        let other: Claims = ask.edge.tokens.verify(token, TokenUse::Refresh, ask.now())?;
        if let Some(family) = other.fam.filter(|_| other.sub == caller.user) {
            end_family(&ask, other.tid, family).await?;
        }
    }
    Ok(Reply::no_content())
}

async fn end_family(ask: &Ask, home: TenantId, family: Uuid) -> Result<(), Fault> {
    ask.edge.repos.refresh_tokens.revoke(home, family, "logout").await.map_err(of_store)?;
    Ok(())
}

async fn ticket(ask: Ask) -> Result<Reply, Fault> {
    let caller = ask.caller()?;
    let claims = ask.claims.as_ref().ok_or_else(|| refused("a ticket is bought with a token"))?;
    let value = Ticket {
        user: caller.user,
        home: claims.tid,
        tenant: caller.tenant,
        generation: claims.generation,
        expires_at: claims.expires_at(),
    };
    let text = serde_json::to_string(&value).map_err(|error| internal(&error.to_string()))?;
    // Two v4 UUIDs: 244 random bits.
    let ticket = URL_SAFE_NO_PAD.encode([*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat());
    ask.edge
        .shared
        .put_ticket(&format!("ws:{ticket}"), &text, TICKET_LIFE)
        .await
        .map_err(of_store)?;
    Ok(Reply::json(&WsTicket {
        ticket,
        expires_in: TICKET_LIFE.as_secs(),
    }))
}
