//! What can be done with a plain call, and what cannot.

use crate::scene::{LATER, SOON, Scene, said};
use aimg_tests::api::id;
use aimg_tests::audio::{assert_absent, longest_silence, voice};
use aimg_tests::{EventSocket, Phone};
use serde_json::json;

on_both!(a_plain_call_is_recorded_on_command_and_its_pause_is_silent, what_a_plain_call_refuses_is_said);

async fn a_plain_call_is_recorded_on_command_and_its_pause_is_silent(version: &str) {
    let scene = Scene::with(version, "on_demand", "on_demand").await;
    let mut events = EventSocket::of_calls(&scene.api).await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1"]).await;
    let mut caller = Phone::call(&scene.asterisk, "200", &["--talk", "60000"]);
    let live = scene.api.live_call(SOON, "up").await;
    assert!(
        scene.asterisk.objects().await.iter().all(|object| !object.contains("aimgx.")),
        "nobody listens: no tap"
    );

    let at = |action: &'static str| scene.api.act(id(&live), action, json!({}));
    at("start-recording").await.ok();
    let state = |wanted: &'static str| scene.api.call_when(id(&live), SOON, wanted, move |call| call["recording"] == wanted);
    state("active").await;
    spoken(&scene).await;
    at("pause-recording").await.ok();
    state("paused").await;
    spoken(&scene).await;
    at("resume-recording").await.ok();
    state("active").await;
    spoken(&scene).await;
    at("stop-recording").await.ok();
    let recording = scene.api.recording_when(id(&live), SOON, &["saved", "partial"]).await;
    let wav = scene.download(&recording).await;
    let left = said(&wav, 0);
    assert!(longest_silence(&left) > 8_000, "the pause is silence: {recording}");
    assert_absent("left", &left[..8_000], &voice(2));
    assert!(
        recording["gaps"].as_array().is_some_and(|gaps| gaps.iter().any(|gap| gap["why"] == "paused")),
        "{recording}"
    );

    at("hangup").await.ok();
    caller.done(LATER).await;
    callee.done(LATER).await;
    events.until(SOON, "call.ended", |event| event["event"] == "call.ended").await;
    crate::scene::assert_order(
        &events.names_of(id(&live)),
        &[
            "call.recording.started",
            "call.recording.paused",
            "call.recording.resumed",
            "call.recording.stopped",
            "call.ended",
        ],
    );
    scene.asterisk.emptied(SOON).await;
}

/// Another two seconds of the call have been heard.
async fn spoken(scene: &Scene) {
    let live = scene.api.live_call(SOON, "up").await;
    let mut audio = aimg_tests::AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller"], 2000, SOON).await;
}

async fn what_a_plain_call_refuses_is_said(version: &str) {
    let scene = Scene::with(version, "on_demand", "on_demand").await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1"]).await;
    let mut caller = Phone::call(&scene.asterisk, "200", &["--talk", "60000"]);
    let live = scene.api.live_call(SOON, "up").await;
    let call = scene.api.call(id(&live)).await;
    for action in ["answer", "hold", "unhold"] {
        assert!(
            call["actions"][action]["why"].as_str().is_some_and(|why| !why.is_empty()),
            "{action}: {}",
            call["actions"]
        );
        let problem = scene.api.act(id(&live), action, json!({})).await.refused(409);
        assert_eq!(problem["code"], "not_possible_here", "{action}: {problem}");
    }
    for action in ["hangup", "dtmf", "mute", "start-recording"] {
        assert_eq!(call["actions"][action], true, "{action}: {}", call["actions"]);
    }
    scene.api.act(id(&live), "dtmf", json!({ "digits": "5" })).await.ok();
    scene.api.act(id(&live), "mute", json!({ "direction": "in" })).await.ok();
    scene.api.act(id(&live), "unmute", json!({ "direction": "in" })).await.ok();
    scene.api.act(id(&live), "hangup", json!({})).await.ok();
    caller.done(LATER).await;
    callee.done(LATER).await;
    scene.asterisk.emptied(SOON).await;
}
