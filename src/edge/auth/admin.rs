//! The first administrator, made at the first start.

use super::hash_password;
use crate::faults::{internal, of_store};
use crate::spec::{Field, Kind, Mode, check_body};
use aimg_domain::tenant::{Tenant, TenantStatus};
use aimg_domain::user::User;
use aimg_domain::{Clock, Fault, IdSource, Role, TenantId, UserId};
use aimg_store::repo::Repos;

/// Who shall be there.
pub struct AdminSeed<'a> {
    pub email: &'a str,
    pub password: &'a str,
    pub name: &'a str,
    /// The home tenant, made when there is none of this slug.
    pub tenant_slug: &'a str,
    pub tenant_name: &'a str,
}

const FIELDS: &[Field] = &[
    Field::must("email", Kind::Email, ""),
    Field::must("password", crate::routes::users::PASSWORD, ""),
    Field::must("tenant_slug", Kind::Slug, ""),
];

/// Makes a super_admin and the home tenant unless a user of this email is there already (who is left as is).
/// The user, and whether it was made now.
pub async fn ensure_admin(repos: &Repos, clock: &dyn Clock, ids: &dyn IdSource, seed: AdminSeed<'_>) -> Result<(User, bool), Fault> {
    if let Some((user, _)) = repos.users.by_email(seed.email).await.map_err(of_store)? {
        return Ok((user, false));
    }
    let given = serde_json::json!({"email": seed.email, "password": seed.password, "tenant_slug": seed.tenant_slug});
    let checked = check_body(FIELDS, given.to_string().as_bytes(), Mode::Whole)?;
    let password = seed.password.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    let user = User {
        id: UserId(ids.uuid()),
        tenant_id: home_tenant(repos, clock, ids, &seed).await?,
        email: checked.string("email"),
        name: seed.name.to_owned(),
        role: Role::SuperAdmin,
        disabled: false,
        password_hash: hashed.map_err(|error| internal(&format!("a password: {error}")))??,
        generation: 1,
        created_at: clock.now(),
    };
    repos.users.create(&user).await.map_err(of_store)?;
    Ok((user, true))
}

async fn home_tenant(repos: &Repos, clock: &dyn Clock, ids: &dyn IdSource, seed: &AdminSeed<'_>) -> Result<TenantId, Fault> {
    if let Some((tenant, _)) = repos.tenants.by_slug(seed.tenant_slug).await.map_err(of_store)? {
        return Ok(tenant.id);
    }
    let id = TenantId(ids.uuid());
    let tenant = Tenant {
        id,
        name: seed.tenant_name.to_owned(),
        slug: seed.tenant_slug.to_owned(),
        status: TenantStatus::Active,
        placement_key: id.to_string(),
        created_at: clock.now(),
    };
    repos.tenants.create(&tenant).await.map_err(of_store)?;
    Ok(id)
}
