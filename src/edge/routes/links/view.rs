//! A tie as it is shown.

use aimg_domain::link::{AudioPolicy, ClaimBy, ControlPolicy, PbxLink, RecordingPolicy};
use aimg_domain::pbx::PbxState;
use aimg_domain::{PbxId, PbxLinkId, TenantId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = PbxLink)]
pub struct LinkView {
    #[schema(value_type = uuid::Uuid)]
    id: PbxLinkId,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = uuid::Uuid)]
    pbx_id: PbxId,
    claims: ClaimsView,
    #[schema(value_type = String)]
    audio: AudioPolicy,
    #[schema(value_type = String)]
    recording: RecordingPolicy,
    #[schema(value_type = String)]
    control: ControlPolicy,
    tap_budget: u32,
    /// Of its PBX: `connecting`, `attached`, `blind`, `refused` or `detached`
    #[schema(value_type = String)]
    state: PbxState,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct ClaimsView {
    #[serde(rename = "match")]
    #[schema(value_type = String)]
    by: ClaimBy,
    values: Vec<String>,
}

impl LinkView {
    pub fn of(link: &PbxLink, state: PbxState) -> LinkView {
        LinkView {
            id: link.id,
            tenant_id: link.tenant_id,
            pbx_id: link.pbx_id,
            claims: ClaimsView {
                by: link.claims.by,
                values: link.claims.values.clone(),
            },
            audio: link.audio,
            recording: link.recording,
            control: link.control,
            tap_budget: link.tap_budget,
            state,
            created_at: link.created_at,
        }
    }
}
