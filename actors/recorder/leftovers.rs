//! Recordings that an earlier life left open and whose calls are over: finished once at the start of their tenant.

use super::finish::finish_leftover;
use crate::deps::Deps;
use crate::journal::JournalHandle;
use crate::journal::backlog::Append;
use aimg_domain::call::RecordingState;
use aimg_domain::recording::{Recording, RecordingStatus};
use aimg_domain::{EventKind, NewEvent, TenantId};
use aimg_store::records::PageRequest;
use serde_json::json;
use std::sync::Arc;

pub async fn finish(deps: Arc<Deps>, tenant: TenantId, journal: JournalHandle) {
    let page = PageRequest {
        limit: 1000,
        descending: false,
        after: None,
    };
    let found = match deps.recordings.unfinished(tenant, page).await {
        Ok(found) => found,
        Err(error) => return tracing::warn!(%tenant, %error, "open recordings of an earlier life could not be read"),
    };
    for (recording, version) in found {
        let id = recording.id;
        // One of a call that goes on is its own recorder's.
        let session = match deps.sessions.get(tenant, recording.call_session_id).await {
            Ok(Some(row)) if !row.session.is_ended() => continue,
            Ok(row) => row,
            Err(error) => {
                tracing::warn!(recording = %id, %error, "not finished now, will be at the next start");
                continue;
            }
        };
        match finish_leftover(&deps, recording, version).await {
            Ok(recording) => {
                tracing::info!(recording = %id, status = ?recording.status, "finished a recording of an earlier life");
                if let Some(row) = session {
                    journal.append(tell(&deps, row, &recording));
                }
            }
            Err(error) => tracing::warn!(recording = %id, %error, "not finished now, will be at the next start"),
        }
    }
}

/// The ended session and its journal say what became of it.
fn tell(deps: &Deps, mut row: aimg_store::sessions::SessionRow, recording: &Recording) -> Append<aimg_actor_kit::Reply<()>> {
    row.session.seq += 1;
    let failed = recording.status == RecordingStatus::Failed;
    row.session.recording = if failed { RecordingState::Failed } else { RecordingState::Partial };
    let event = NewEvent {
        id: deps.ids.uuid(),
        call_id: Some(row.session.id),
        event: if failed { EventKind::RecordingFailed } else { EventKind::RecordingSaved },
        at: deps.clock.now(),
        seq: row.session.seq,
        data: json!({ "recording_id": recording.id, "partial": !failed, "duration_ms": recording.duration_ms, "reason": recording.reason }),
    };
    Append {
        call: event.call_id,
        events: vec![event],
        session: Some(row),
        ack: None,
    }
}
