//! Plain values for the suites.

use aimg_domain::call::{AudioState, CallSession, CallState, Direction, Party, RecordingState};
use aimg_domain::{CallId, EventKind, NewEvent, PbxId, PbxLinkId, TenantId, Timestamp};
use serde_json::json;
use uuid::Uuid;

/// In the order of `n`.
pub fn uuid(n: u64) -> Uuid {
    Uuid::from_u128((7 << 76) | (2 << 62) | u128::from(n))
}

pub fn tenant_id(n: u64) -> TenantId {
    TenantId(uuid(n))
}

pub fn event(n: u64, call: Option<CallId>) -> NewEvent {
    NewEvent {
        id: uuid(n),
        call_id: call,
        event: EventKind::CallDtmf,
        at: Timestamp(1_795_000_000_000 + n.cast_signed()),
        seq: n,
        data: json!({"n": n}),
    }
}

pub fn session(n: u64, tenant: TenantId) -> CallSession {
    CallSession {
        id: CallId(uuid(n)),
        tenant_id: tenant,
        pbx_id: PbxId(uuid(1)),
        link_id: PbxLinkId(uuid(2)),
        direction: Direction::Inbound,
        state: CallState::Detected,
        outcome: None,
        caller: Party::default(),
        callee: Party::default(),
        started_at: Timestamp(1_795_000_000_000),
        answered_at: None,
        connected_at: None,
        ended_at: None,
        hangup: None,
        legs: Vec::new(),
        linkedids: Vec::new(),
        merged_into: None,
        merged_from: Vec::new(),
        recording: RecordingState::None,
        audio: AudioState::None,
        in_stasis: false,
        quality: None,
        blind: Vec::new(),
        dtmf: Vec::new(),
        flags: Vec::new(),
        seq: 0,
    }
}
