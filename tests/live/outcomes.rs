//! How calls end that nobody answers.

use crate::scene::{LATER, SOON, Scene, assert_agrees, assert_no_rows_of_ours};
use aimg_tests::api::id;
use aimg_tests::asterisk::CdrRow;
use aimg_tests::{Asterisk, Phone};
use serde_json::Value;

on_both!(a_call_that_nobody_takes_ends_as_what_it_was);

async fn a_call_that_nobody_takes_ends_as_what_it_was(version: &str) {
    let scene = Scene::recording(version).await;
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        ("901", "0301001", &["--status", "486 Busy Here"], &["busy"]),
        ("902", "0301002", &["--status", "603 Decline"], &["rejected"]),
        ("903", "0301003", &["--ring", "30000"], &["canceled", "abandoned"]),
        ("904", "486", &[], &["busy"]),
        ("905", "503", &[], &["failed", "rejected"]),
    ];
    for (from, extension, answering, outcomes) in cases {
        call(&scene.asterisk, from, extension, answering).await;
        let ended = the_call_of(&scene, from).await;
        assert!(outcomes.iter().any(|outcome| ended["outcome"] == *outcome), "{extension}: {ended}");
        assert!(ended["answered_at"].is_null(), "{ended}");
        assert_eq!(ended["talk_ms"], 0, "{ended}");
    }
    scene.asterisk.emptied(SOON).await;
    let rows = scene.all_cdr().await;
    assert_no_rows_of_ours(&rows);
    for (from, ..) in cases {
        // The dialplan goes on after Dial fails, which Asterisk counts as another row; the first is the call's.
        let row: &CdrRow = rows.iter().find(|row| row.source == *from).unwrap_or_else(|| panic!("{from} in {rows:?}"));
        assert_agrees(&the_call_of(&scene, from).await, row);
    }
    assert_eq!(
        scene.api.calls().await.len(),
        cases.len() + 1,
        "one session a call (and the one that all_cdr made)"
    );
}

async fn call(asterisk: &Asterisk, from: &str, extension: &str, answering: &[&str]) {
    let mut callee = None;
    if !answering.is_empty() {
        callee = Some(Phone::answer(asterisk, &[answering, &["--calls", "1"]].concat()).await);
    }
    Phone::call(asterisk, extension, &["--from", from, "--ring", "2500"]).done(LATER).await;
    if let Some(mut callee) = callee {
        callee.done(LATER).await;
    }
}

async fn the_call_of(scene: &Scene, from: &str) -> Value {
    let found = aimg_tests::eventually(SOON, "the call is over", || async {
        let calls = scene.api.list(&format!("call-sessions?number={from}")).await;
        match calls.as_slice() {
            [call] if call["state"] == "ended" => Ok(call.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    scene.api.call(id(&found)).await
}
