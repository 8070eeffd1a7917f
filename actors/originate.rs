//! Starting a call: the PBX rings an endpoint, and when it answers joins it with where the call goes.

use crate::deps::Deps;
use crate::pbx_handle::PbxHandles;
use aimg_domain::{CallId, Fault, TenantId};
use aimg_pbx::ami::action::Action;
use aimg_pbx::ari::request::{self, Request, Then};
use aimg_pbx::object::ObjectId;
use aimg_wire::request::{Originate, OriginateTo};
use std::time::Duration;

/// `+493012345` is a number, `"` and `<` would end it.
fn caller_id(asked: &Originate) -> Option<String> {
    let number = asked.caller_number.as_deref()?;
    Some(
        asked
            .caller_name
            .as_deref()
            .map_or_else(|| number.to_owned(), |name| format!("\"{name}\" <{number}>")),
    )
}

pub async fn originate(deps: &Deps, pbxs: &PbxHandles, tenant: TenantId, asked: Originate, deadline: Duration) -> Result<CallId, Fault> {
    let handle = pbxs
        .all()
        .into_iter()
        .find(|handle| handle.link(asked.link).is_some_and(|entry| entry.link.tenant_id == tenant));
    let handle = handle.ok_or_else(|| Fault::not_found("pbx-link"))?;
    let commands = handle.commands()?;
    let call = CallId(deps.ids.uuid());
    let channel = ObjectId {
        cluster: deps.cluster.clone(),
        pbx: handle.pbx.id.short(),
        epoch: deps.epoch(),
        call,
        purpose: "leg".into(),
    }
    .to_string();
    // Asterisk may tell of the channel before it answers us.
    handle.directory.lock().announce(&channel, call, asked.link, deps.clock.now());
    let timeout_s = u32::try_from(asked.ring_timeout_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    // Without this Local channels pick slin192 and cost the PBX 4 % of a core a call.
    let formats = asked.endpoint.starts_with("Local/").then(|| "ulaw".to_owned());
    if handle.pbx.ari.is_some() {
        let then = match &asked.to {
            OriginateTo::Extension { context, exten } => Then::Place {
                context: context.clone(),
                exten: exten.clone(),
                priority: 1,
            },
            OriginateTo::Stasis => Then::App {
                app: handle.pbx.id.stasis_app(),
                args: "originate".into(),
            },
        };
        let request = request::Originate {
            endpoint: asked.endpoint.clone(),
            channel_id: Some(channel),
            then,
            caller_id: caller_id(&asked),
            timeout_s,
            formats,
            originator: None,
            variables: Vec::new(),
        };
        commands.ari(&Request::originate(&request), deadline).await?;
        return Ok(call);
    }
    let OriginateTo::Extension { context, exten } = &asked.to else {
        return Err(Fault::not_possible("this PBX is attached without ARI, so it has no Stasis application"));
    };
    let request = aimg_pbx::ami::action::Originate {
        channel: asked.endpoint.clone(),
        channel_id: Some(channel),
        then: aimg_pbx::ami::action::Then::Place(aimg_pbx::ami::action::Place::new(context.clone(), exten.clone())),
        caller_id: caller_id(&asked),
        timeout_ms: u64::from(timeout_s) * 1000,
        account: None,
        codecs: formats,
        variables: Vec::new(),
        wait_for_outcome: false,
    };
    commands.ami(Action::originate(&request), deadline).await?;
    Ok(call)
}
