//! A PBX as it is shown.

use aimg_domain::pbx::{Gap, MediaPorts, Pbx, PbxState, PbxStatus, PbxTest, TapFormat};
use aimg_domain::{PbxId, TenantId, Timestamp};
use serde::Serialize;
use std::net::IpAddr;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Pbx)]
pub struct PbxView {
    #[schema(value_type = uuid::Uuid)]
    id: PbxId,
    /// `tenant` or `platform`
    owner: &'static str,
    #[schema(value_type = Option<uuid::Uuid>)]
    tenant_id: Option<TenantId>,
    name: String,
    /// null for a tenant that only has a link to a PBX of the platform
    ami: Option<AmiView>,
    ari: Option<AriView>,
    media: Option<MediaView>,
    trunks: Vec<String>,
    extensions: Vec<String>,
    country: Option<String>,
    national_prefix: Option<String>,
    timezone: Option<String>,
    /// The Stasis application that dialplans name; it never changes.
    stasis_app: String,
    /// `connecting`, `attached`, `blind`, `refused` or `detached`
    #[schema(value_type = String)]
    state: PbxState,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why it is in this state, and what to do.
    reason: Option<String>,
    /// Of Asterisk.
    version: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    booted_at: Option<Timestamp>,
    last_gap: Option<GapView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct AmiView {
    host: String,
    port: u16,
    tls: bool,
    username: String,
}

#[derive(Serialize, ToSchema)]
pub struct AriView {
    url: String,
    username: String,
}

#[derive(Serialize, ToSchema)]
pub struct MediaView {
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// `shared` or `dedicated`
    #[schema(value_type = String)]
    ports: MediaPorts,
    /// `ulaw`, `alaw`, `g722` or `slin16`
    #[schema(value_type = String)]
    format: TapFormat,
}

/// An interval in which nothing was seen, and what the comparison afterwards changed.
#[derive(Serialize, ToSchema)]
pub struct GapView {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    adopted: u32,
    ended: u32,
    corrected: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PbxTest)]
pub struct PbxTestView {
    ok: bool,
    version: Option<String>,
    steps: Vec<PbxTestStepView>,
}

#[derive(Serialize, ToSchema)]
pub struct PbxTestStepView {
    /// `ami.connect`, `ami.login`, …
    step: String,
    ok: bool,
    /// What was found and, where it failed, what to do.
    detail: String,
}

impl From<&Gap> for GapView {
    fn from(gap: &Gap) -> GapView {
        GapView {
            from: gap.from,
            to: gap.to,
            adopted: gap.adopted,
            ended: gap.ended,
            corrected: gap.corrected,
        }
    }
}

impl PbxView {
    /// `inside`: whether the reader may know how to reach it.
    pub fn of(pbx: &Pbx, status: &PbxStatus, inside: bool) -> PbxView {
        let ami = AmiView {
            host: pbx.ami.host.clone(),
            port: pbx.ami.port,
            tls: pbx.ami.tls,
            username: pbx.ami.username.clone(),
        };
        let ari = pbx.ari.as_ref().map(|ari| AriView {
            url: ari.url.clone(),
            username: ari.username.clone(),
        });
        let media = MediaView {
            address: pbx.media.address,
            ports: pbx.media.ports,
            format: pbx.media.format,
        };
        PbxView {
            id: pbx.id,
            owner: if pbx.tenant_id.is_some() { "tenant" } else { "platform" },
            tenant_id: pbx.tenant_id,
            name: pbx.name.clone(),
            ami: inside.then_some(ami),
            ari: ari.filter(|_| inside),
            media: inside.then_some(media),
            trunks: pbx.trunks.clone(),
            extensions: pbx.extensions.clone(),
            country: pbx.country.clone(),
            national_prefix: pbx.national_prefix.clone(),
            timezone: pbx.timezone.clone(),
            stasis_app: pbx.id.stasis_app(),
            state: status.state,
            since: status.since,
            // Reasons name addresses.
            reason: status.reason.clone().filter(|_| inside),
            version: status.version.clone(),
            booted_at: status.booted_at,
            last_gap: status.last_gap.as_ref().map(GapView::from),
            created_at: pbx.created_at,
        }
    }
}

impl PbxTestView {
    pub fn of(test: PbxTest) -> PbxTestView {
        let steps = test.steps.into_iter().map(|step| PbxTestStepView {
            step: step.step,
            ok: step.ok,
            detail: step.detail,
        });
        PbxTestView {
            ok: test.ok,
            version: test.version,
            steps: steps.collect(),
        }
    }
}
