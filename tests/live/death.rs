//! Crashes and freezes in the middle of a call.

use crate::scene::{LATER, SOON, Scene, assert_no_rows_of_ours, said};
use aimg_tests::api::id;
use aimg_tests::audio::{assert_same, at_8k, follow, likeness, voice};
use aimg_tests::{AudioSocket, EventSocket, Phone};
use serde_json::Value;
use std::collections::BTreeSet;

on_both!(
    a_killed_asterisk_fails_its_calls_and_the_next_one_is_clean,
    a_frozen_asterisk_makes_its_calls_blind_and_they_go_on,
    a_killed_node_takes_up_its_calls_again
);

async fn a_killed_asterisk_fails_its_calls_and_the_next_one_is_clean(version: &str) {
    let scene = Scene::recording(version).await;
    let mut events = EventSocket::of_calls(&scene.api).await;
    let callee = Phone::answer(&scene.asterisk, &["--calls", "1"]).await;
    let caller = Phone::call(&scene.asterisk, "200", &["--talk", "60000"]);
    let live = scene.api.live_call(SOON, "up").await;
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 2000, SOON).await;

    scene.asterisk.kill().await;
    drop((caller, callee));
    scene.asterisk.start_again().await;
    scene.api.pbx_when(&scene.pbx, LATER, "attached").await;
    let ended = scene.api.call_when(id(&live), LATER, "it is over", |call| call["state"] == "ended").await;
    assert_eq!(ended["outcome"], "failed", "{ended}");
    assert!(!ended["ended_at"].is_null(), "{ended}");
    let recording = scene.api.recording_when(id(&live), SOON, &["partial"]).await;
    let wav = scene.download(&recording).await;
    assert!(wav.duration_ms() >= 1500, "what was heard is kept: {recording}");
    events
        .until(SOON, "the end", |event| event["call_id"] == live["id"] && event["event"] == "call.failed")
        .await;

    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1"]).await;
    let mut caller = Phone::call(&scene.asterisk, "200", &["--talk", "4000", "--from", "5550200"]);
    let next = scene.api.live_call(SOON, "up").await;
    assert_ne!(id(&next), id(&live));
    caller.done(LATER).await;
    callee.done(LATER).await;
    let next = scene.api.call_when(id(&next), SOON, "it is over", |call| call["state"] == "ended").await;
    assert_eq!(next["outcome"], "answered", "{next}");
    let recording = scene.api.recording_when(id(&next), SOON, &["saved"]).await;
    assert_same("the next call", &said(&scene.download(&recording).await, 0)[..16_000], &voice(1));
    scene.asterisk.emptied(SOON).await;
    events.assert_whole();
}

async fn a_frozen_asterisk_makes_its_calls_blind_and_they_go_on(version: &str) {
    let scene = Scene::recording(version).await;
    let mut events = EventSocket::of_calls(&scene.api).await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1"]).await;
    let caller = Phone::call(&scene.asterisk, "200", &["--talk", "600000"]);
    let live = scene.api.live_call(SOON, "up").await;

    scene.asterisk.freeze().await;
    let blind = scene.api.pbx_when(&scene.pbx, LATER, "blind").await;
    assert!(blind["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{blind}");
    let marked = scene
        .api
        .call_when(id(&live), SOON, "it is marked blind", |call| !call["blind"][0].is_null())
        .await;
    assert_eq!(marked["state"], "up", "nobody knows that it ended: {marked}");
    scene.asterisk.thaw().await;
    scene.api.pbx_when(&scene.pbx, LATER, "attached").await;

    events
        .until(LATER, "call.reconciled", |event| {
            event["call_id"] == live["id"] && event["event"] == "call.reconciled"
        })
        .await;
    let again = scene
        .api
        .call_when(id(&live), SOON, "it is seen again", |call| !call["blind"][0]["to"].is_null())
        .await;
    assert_eq!(again["state"], "up", "{again}");
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 2000, LATER).await;
    let heard = audio.track("caller");
    assert_same("after the thaw", &at_8k(&heard.samples, heard.rate)[8000..], &voice(1));
    scene.api.act(id(&live), "hangup", serde_json::json!({})).await.ok();
    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    assert_eq!(ended["outcome"], "answered", "{ended}");
    drop(caller);
    callee.over(LATER).await;
    scene.asterisk.emptied(LATER).await;
    assert_eq!(scene.api.calls().await.len(), 1, "one call is one session");
    events.assert_whole();
}

async fn a_killed_node_takes_up_its_calls_again(version: &str) {
    let mut scene = Scene::recording(version).await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1"]).await;
    let mut caller = Phone::call(&scene.asterisk, "200", &["--talk", "25000"]);
    let live = scene.api.live_call(SOON, "up").await;
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 3000, SOON).await;
    let taps = ours(&scene.asterisk.objects().await);
    assert!(!taps.is_empty(), "the call is tapped");

    scene.node.kill().await;
    scene.node.start().await;
    scene.api = scene.node.api().await;
    scene.api.pbx_when(&scene.pbx, LATER, "attached").await;
    let again = scene.api.live_call(SOON, "up").await;
    assert_eq!(id(&again), id(&live), "the same session goes on");
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 2000, LATER).await;
    for (track, own) in [("caller", 1), ("callee", 2)] {
        let heard = audio.track(track);
        assert_same(&format!("{track}, after the start"), &at_8k(&heard.samples, heard.rate), &voice(own));
    }
    assert_eq!(ours(&scene.asterisk.objects().await), taps, "its tap is adopted, not made anew");
    caller.done(LATER).await;
    callee.done(LATER).await;

    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    assert_eq!(ended["outcome"], "answered", "{ended}");
    let recording = scene.api.recording_when(id(&live), SOON, &["partial", "saved"]).await;
    assert_two_segments(&recording);
    let wav = scene.download(&recording).await;
    for channel in [0, 1] {
        let (said, played) = (said(&wav, channel), voice(channel as u32 + 1));
        let like = likeness(&said, &played);
        assert!(
            like > 0.8,
            "channel {channel}: {like} of it is what was said: {recording}\n{:.2?}",
            follow(&said, &played)
        );
    }
    scene.asterisk.emptied(SOON).await;
    let rows = scene.all_cdr().await;
    assert_no_rows_of_ours(&rows);
    assert_eq!(rows.len(), 1, "{rows:?}");
}

fn ours(objects: &[String]) -> BTreeSet<String> {
    objects.iter().filter(|object| object.contains("aimgx.")).cloned().collect()
}

/// One from each life, and between them the gap, which says why.
fn assert_two_segments(recording: &Value) {
    assert_eq!(recording["status"], "partial", "{recording}");
    let segments = recording["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), 2, "{recording}");
    assert_eq!(segments[0]["state"], "repaired", "{recording}");
    assert!(segments[0]["epoch"].as_u64() < segments[1]["epoch"].as_u64(), "{recording}");
    let samples = |segment: &Value, key: &str| segment[key].as_u64().unwrap_or_else(|| panic!("{key} in {segment}"));
    let (first_end, second_start) = (samples(&segments[0], "samples"), samples(&segments[1], "from_media_time"));
    let gaps = recording["gaps"].as_array().expect("gaps");
    let gap = gaps
        .iter()
        .find(|gap| gap["why"] == "node_down")
        .unwrap_or_else(|| panic!("the gap in {recording}"));
    let (from, length) = (samples(gap, "from_sample"), samples(gap, "samples"));
    assert!(from >= first_end && from + length <= second_start + 1 && length > 0, "{recording}");
}
