//! Many short calls, one after the other and some at once.

use crate::scene::{LATER, Scene, assert_no_rows_of_ours};
use aimg_tests::Phone;
use serde_json::Value;
use std::time::Duration;

on_both!(three_hundred_short_calls_leave_nothing_behind);

const CALLS: usize = 300;

async fn three_hundred_short_calls_leave_nothing_behind(version: &str) {
    let scene = Scene::with(version, "legs", "never").await;
    let before = actors(&scene).await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "300", "--ring", "50"]).await;
    let mut caller = Phone::call(&scene.asterisk, "200", &["--calls", "300", "--rate", "8", "--talk", "1500"]);
    caller.done(Duration::from_secs(300)).await;
    callee.done(LATER).await;

    let calls = aimg_tests::eventually(LATER, "every call is over", || async {
        let calls = scene.api.calls().await;
        let live = calls.iter().filter(|call| call["state"] != "ended").count();
        if calls.len() == CALLS && live == 0 {
            Ok(calls)
        } else {
            Err(format!("{} calls, {live} of them live", calls.len()))
        }
    })
    .await;
    let odd: Vec<&Value> = calls.iter().filter(|call| call["outcome"] != "answered").collect();
    assert!(odd.is_empty(), "{} of {CALLS}, such as {}", odd.len(), odd[0]);
    scene.asterisk.emptied(LATER).await;
    let rows = scene.all_cdr().await;
    assert_no_rows_of_ours(&rows);
    assert_eq!(rows.len(), CALLS, "as many rows as calls");
    aimg_tests::eventually(LATER, "the calls' actors are gone", || async {
        let now = actors(&scene).await;
        if now <= before {
            Ok(())
        } else {
            Err(format!("{now} actors, {before} before"))
        }
    })
    .await;
}

async fn actors(scene: &Scene) -> usize {
    let calls = ["call", "call_session", "call_media", "audio_stream", "recorder"];
    let tree = scene.api.get("/api/v1/cluster/tree?page_size=5000").await;
    let all = tree["results"].as_array().unwrap_or_else(|| panic!("the tree: {tree}"));
    all.iter().filter(|actor| calls.iter().any(|kind| actor["kind"] == *kind)).count()
}
