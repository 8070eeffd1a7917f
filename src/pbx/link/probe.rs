//! The attach test: step by step, naming exactly what is wrong and what to do. It changes nothing but one
//! bridge of its own, made and deleted, and takes the application's websocket for a moment only where the
//! application is its own (`probe_app`).

mod ami;
mod ari;

use crate::config::Deadlines;
use aimg_domain::Clock;
use aimg_domain::pbx::{AmiAccess, AriAccess, PbxTest, PbxTestStep};
use std::sync::Arc;

/// Steps as they are found; nothing after a failed one of the same interface is tried.
#[derive(Default)]
struct Steps {
    steps: Vec<PbxTestStep>,
    version: Option<String>,
}

impl Steps {
    fn add(&mut self, step: &str, found: Result<String, String>) -> bool {
        let ok = found.is_ok();
        self.steps.push(PbxTestStep {
            step: step.to_owned(),
            ok,
            detail: found.unwrap_or_else(|detail| detail),
        });
        ok
    }
}

/// Tests AMI and, where it is configured, ARI. `probe_app` names a Stasis application that nobody uses: the
/// newest websocket of an application takes its events. The step `media` is not made here: it needs our ports.
pub async fn test_pbx(ami: &AmiAccess, ari: Option<&AriAccess>, probe_app: &str, deadlines: &Deadlines, clock: Arc<dyn Clock>) -> PbxTest {
    let mut steps = Steps::default();
    let connection = ami::sign_in(&mut steps, ami, deadlines, clock).await;
    let made_bridge = match ari {
        Some(access) => ari::check(&mut steps, access, probe_app, deadlines).await,
        None => false,
    };
    if let Some(connection) = connection {
        ami::permissions(&mut steps, connection, ami, made_bridge, deadlines).await;
    }
    PbxTest {
        ok: steps.steps.iter().all(|step| step.ok),
        version: steps.version,
        steps: steps.steps,
    }
}
