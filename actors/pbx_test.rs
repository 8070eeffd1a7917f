//! `pbxs/test`: tries an access, saved or not, step by step. Nothing of it stays.

use crate::deps::Deps;
use aimg_domain::id::short;
use aimg_domain::pbx::{PbxTest, PbxTestStep};
use aimg_pbx_link::{Deadlines, test_pbx};
use aimg_wire::request::PbxAccess;
use std::time::Duration;

pub async fn test(deps: &Deps, access: &PbxAccess, deadline: Duration) -> PbxTest {
    // A name of its own each time: the newest websocket of an application takes its events.
    let probe = format!("aimg-probe-{}", short(deps.ids.uuid()));
    let deadlines = Deadlines::default();
    let testing = test_pbx(&access.ami, access.ari.as_ref(), &probe, &deadlines, deps.clock.clone());
    match tokio::time::timeout(deadline, testing).await {
        Ok(test) => test,
        Err(_) => {
            let detail = format!("the PBX took longer than {} s to answer; try again, or look at its load", deadline.as_secs());
            PbxTest {
                ok: false,
                version: None,
                steps: vec![PbxTestStep {
                    step: "deadline".into(),
                    ok: false,
                    detail,
                }],
            }
        }
    }
}
