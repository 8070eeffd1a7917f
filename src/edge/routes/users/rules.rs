//! Who may touch whom, and what a change ends.

use super::UserView;
use crate::ask::Ask;
use crate::faults::{of_store, of_write};
use crate::reply::Reply;
use aimg_domain::user::User;
use aimg_domain::{Fault, Role};
use aimg_store::repo::Versioned;

/// The user in the path, in the caller's tenant. `me` lives in the home tenant, wherever a super_admin acts.
pub async fn stored(ask: &Ask) -> Result<Versioned<User>, Fault> {
    let caller = ask.caller()?;
    let (tenant, id) = if ask.param("id") == "me" {
        (ask.claims.as_ref().map_or(caller.tenant, |claims| claims.tid), caller.user)
    } else {
        (caller.tenant, ask.id("user")?)
    };
    let stored = ask.edge.repos.users.get(tenant, id).await.map_err(of_store)?;
    stored.ok_or_else(|| Fault::not_found("user"))
}

pub fn is_self(ask: &Ask, user: &User) -> Result<bool, Fault> {
    Ok(ask.caller()?.user == user.id)
}

pub async fn manageable(ask: &Ask) -> Result<Versioned<User>, Fault> {
    let found = stored(ask).await?;
    may_touch(ask, &found.0)?;
    Ok(found)
}

pub fn may_touch(ask: &Ask, user: &User) -> Result<(), Fault> {
    if user.role == Role::SuperAdmin && ask.caller()?.role != Role::SuperAdmin {
        return Err(Fault::Forbidden {
            detail: "only a super_admin changes a super_admin".into(),
        });
    }
    Ok(())
}

pub fn may_give(ask: &Ask, role: Role) -> Result<(), Fault> {
    if role == Role::SuperAdmin && ask.caller()?.role != Role::SuperAdmin {
        return Err(Fault::Forbidden {
            detail: "only a super_admin makes a super_admin".into(),
        });
    }
    Ok(())
}

/// Called under `admin_changes`.
pub async fn not_the_last_admin(ask: &Ask, user: &User) -> Result<(), Fault> {
    if user.role != Role::SuperAdmin || user.disabled {
        return Ok(());
    }
    let all = ask.edge.repos.users.all().await.map_err(of_store)?;
    let others = all
        .iter()
        .any(|(other, _)| other.role == Role::SuperAdmin && !other.disabled && other.id != user.id);
    if others {
        return Ok(());
    }
    Err(Fault::Conflict {
        detail: "this is the last super_admin".into(),
    })
}

pub async fn save(ask: &Ask, user: &User, version: u64) -> Result<u64, Fault> {
    let named = ask.if_match()?;
    ask.edge.repos.users.update(user, version).await.map_err(|error| of_write(error, named))
}

/// Saves under a new generation: every token of before is good no longer, and when this answers nothing more is sent
/// to sockets that were opened with one.
pub async fn end_tokens(ask: &Ask, user: &mut User, version: u64, why: &str) -> Result<Reply, Fault> {
    user.generation += 1;
    let version = save(ask, user, version).await?;
    ask.edge
        .repos
        .refresh_tokens
        .revoke_user(user.tenant_id, user.id, why)
        .await
        .map_err(of_store)?;
    ask.edge.platform.policy_changed(user.id, None).await?;
    Ok(Reply::json(&UserView::of(user)).version(version))
}
