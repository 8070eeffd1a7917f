//! Users of a tenant. Who may change whom: a tenant_admin the people of the own tenant who are no super_admins,
//! a super_admin everybody; nobody takes away the last super_admin.

use super::handler;
use crate::ask::Ask;
use crate::auth::LoginGuard;
use crate::faults::of_store;
use crate::page::{self, Part, Wanted};
use crate::reply::Reply;
use crate::route::{Access, Answers, Route, route, schema};
use crate::spec::{Field, Kind};
use aimg_domain::role::Permission;
use aimg_domain::secret::Secret;
use aimg_domain::user::User;
use aimg_domain::{Fault, Role, TenantId, Timestamp, UserId};
use aimg_store::records::PageRequest;
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

mod rules;

use rules::{end_tokens, is_self, manageable, may_give, may_touch, not_the_last_admin, save, stored};

pub const PASSWORD: Kind = Kind::Secret { min: 8, max: 1024 };
const ROLES: Kind = Kind::OneOf(&["super_admin", "tenant_admin", "operator", "viewer"]);
const NAME: Kind = Kind::Text { min: 0, max: 200 };
const CREATE: &[Field] = &[
    Field::must("email", Kind::Email, "Unique in the whole system."),
    Field::must("password", PASSWORD, ""),
    Field::must("role", ROLES, ""),
    Field::may("name", NAME, ""),
];
const CHANGE: &[Field] = &[Field::must("name", NAME, "")];
const CHANGE_ROLE: &[Field] = &[Field::must("role", ROLES, "")];
const CHANGE_PASSWORD: &[Field] = &[
    Field::may("current_password", Kind::Secret { min: 1, max: 1024 }, "Needed for one's own."),
    Field::must("new_password", PASSWORD, ""),
];

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    email: String,
    name: String,
    /// `super_admin`, `tenant_admin`, `operator` or `viewer`
    #[schema(value_type = String)]
    role: Role,
    disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl UserView {
    pub fn of(user: &User) -> UserView {
        UserView {
            id: user.id,
            tenant_id: user.tenant_id,
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role,
            disabled: user.disabled,
            created_at: user.created_at,
        }
    }
}

pub fn rows() -> Vec<Route> {
    const ONE: &str = "/api/v1/users/{id}";
    const SELF_OR_READ: Access = Access::NeedsOneOf(&[Permission::UsersRead, Permission::UsersReadSelf]);
    const MANAGE: Access = Access::Needs(Permission::UsersManage);
    let one = Answers::Json(schema::<UserView>);
    vec![
        route(Method::GET, "/api/v1/users", Access::Needs(Permission::UsersRead), handler!(list))
            .about("users", "Users of the tenant")
            .query(page::PAGED)
            .answers(200, Answers::List(schema::<UserView>)),
        route(Method::POST, "/api/v1/users", MANAGE, handler!(create))
            .about("users", "Make a user")
            .body(CREATE)
            .answers(201, one)
            .idempotent(),
        route(Method::GET, ONE, SELF_OR_READ, handler!(read))
            .about("users", "One user; `me` is the caller")
            .answers(200, one),
        route(Method::PATCH, ONE, MANAGE, handler!(change))
            .about("users", "Change the name")
            .partial(CHANGE)
            .answers(200, one)
            .errors(&[412]),
        route(Method::PUT, ONE, MANAGE, handler!(change))
            .about("users", "Replace the name")
            .body(CHANGE)
            .answers(200, one)
            .errors(&[412]),
        route(Method::POST, "/api/v1/users/{id}/change-role", MANAGE, handler!(change_role))
            .about("users", "Change the role; what the user holds of tokens ends")
            .body(CHANGE_ROLE)
            .answers(200, one)
            .idempotent(),
        route(Method::POST, "/api/v1/users/{id}/disable", MANAGE, handler!(disable))
            .about("users", "Disable; what the user holds of tokens ends")
            .body(&[])
            .answers(200, one)
            .idempotent(),
        route(Method::POST, "/api/v1/users/{id}/enable", MANAGE, handler!(enable))
            .about("users", "Enable again")
            .body(&[])
            .answers(200, one)
            .idempotent(),
        route(Method::POST, "/api/v1/users/{id}/password", SELF_OR_READ, handler!(change_password))
            .about("users", "Change one's own password (`me`), or a user's as who manages users; tokens end")
            .body(CHANGE_PASSWORD)
            .answers(204, Answers::Empty)
            .errors(&[429]),
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
        descending: false,
    };
    let stored = ask.edge.repos.users.list(tenant, rows).await.map_err(of_store)?;
    let mut views: Vec<UserView> = stored.iter().skip(wanted.skip()).map(|(user, _)| UserView::of(user)).collect();
    let more = views.len() > wanted.size;
    views.truncate(wanted.size);
    let count = ask.edge.repos.users.count(tenant).await.map_err(of_store)?;
    let next = views.last().filter(|_| more).map(|view| view.id.to_string());
    Ok(Reply::json(&page::list(&ask, &wanted, count, next, views)))
}

async fn create(ask: Ask) -> Result<Reply, Fault> {
    let role = ask.body.word::<Role>("role").unwrap_or(Role::Viewer);
    may_give(&ask, role)?;
    let user = User {
        id: UserId(ask.edge.ids.uuid()),
        tenant_id: ask.tenant()?,
        email: ask.body.string("email"),
        name: ask.body.string("name"),
        role,
        disabled: false,
        password_hash: ask.edge.passwords.hash(ask.body.string("password")).await?,
        generation: 1,
        created_at: ask.now(),
    };
    let version = ask.edge.repos.users.create(&user).await.map_err(of_store)?;
    Ok(Reply::created(&format!("/api/v1/users/{}", user.id), &UserView::of(&user)).version(version))
}

async fn read(ask: Ask) -> Result<Reply, Fault> {
    let (user, version) = stored(&ask).await?;
    if !is_self(&ask, &user)? {
        // Who may only read themselves learns nothing of others, not even that they exist.
        ask.caller()?.require(Permission::UsersRead).map_err(|_| Fault::not_found("user"))?;
    }
    Ok(Reply::json(&UserView::of(&user)).version(version))
}

async fn change(ask: Ask) -> Result<Reply, Fault> {
    let (mut user, version) = manageable(&ask).await?;
    ask.check_version(version)?;
    if let Some(name) = ask.body.text("name") {
        user.name = name.to_owned();
    }
    let version = save(&ask, &user, version).await?;
    Ok(Reply::json(&UserView::of(&user)).version(version))
}

async fn change_role(ask: Ask) -> Result<Reply, Fault> {
    let role = ask.body.word::<Role>("role").unwrap_or(Role::Viewer);
    may_give(&ask, role)?;
    let edge = ask.edge.clone();
    let _one_at_a_time = edge.admin_changes.lock().await;
    let (mut user, version) = manageable(&ask).await?;
    if user.role == role {
        return Ok(Reply::json(&UserView::of(&user)).version(version));
    }
    not_the_last_admin(&ask, &user).await?;
    user.role = role;
    end_tokens(&ask, &mut user, version, "role changed").await
}

async fn disable(ask: Ask) -> Result<Reply, Fault> {
    let edge = ask.edge.clone();
    let _one_at_a_time = edge.admin_changes.lock().await;
    let (mut user, version) = manageable(&ask).await?;
    if user.disabled {
        return Ok(Reply::json(&UserView::of(&user)).version(version));
    }
    not_the_last_admin(&ask, &user).await?;
    user.disabled = true;
    end_tokens(&ask, &mut user, version, "disabled").await
}

async fn enable(ask: Ask) -> Result<Reply, Fault> {
    let (mut user, mut version) = manageable(&ask).await?;
    if user.disabled {
        user.disabled = false;
        version = save(&ask, &user, version).await?;
    }
    Ok(Reply::json(&UserView::of(&user)).version(version))
}

async fn change_password(ask: Ask) -> Result<Reply, Fault> {
    let (mut user, version) = stored(&ask).await?;
    if is_self(&ask, &user)? {
        check_current_password(&ask, &user).await?;
    } else {
        ask.caller()?.require(Permission::UsersManage).map_err(|_| Fault::not_found("user"))?;
        may_touch(&ask, &user)?;
    }
    user.password_hash = ask.edge.passwords.hash(ask.body.string("new_password")).await?;
    end_tokens(&ask, &mut user, version, "password changed").await?;
    Ok(Reply::no_content())
}

async fn check_current_password(ask: &Ask, user: &User) -> Result<(), Fault> {
    let Some(current) = ask.body.text("current_password") else {
        return Err(Fault::invalid("current_password", "required: your password as it is now"));
    };
    let guard = LoginGuard::new(ask, &user.email);
    guard.check().await?;
    let hash: Secret = user.password_hash.clone();
    if ask.edge.passwords.verify(current.to_owned(), Some(hash)).await? {
        return Ok(());
    }
    guard.failed().await;
    Err(Fault::invalid("current_password", "your password as it is now"))
}
