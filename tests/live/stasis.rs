//! A call that the dialplan hands to our application.

use crate::scene::{LATER, SOON, Scene, assert_agrees, assert_no_rows_of_ours, assert_order, said, steady};
use aimg_tests::api::id;
use aimg_tests::audio::{assert_same, at_8k, voice};
use aimg_tests::{AudioSocket, EventSocket, Phone};
use serde_json::json;

on_both!(a_call_in_our_application_is_answered_heard_and_hung_up, a_call_is_started_from_here);

async fn a_call_in_our_application_is_answered_heard_and_hung_up(version: &str) {
    let scene = Scene::recording(version).await;
    let mut events = EventSocket::of_calls(&scene.api).await;
    let mut caller = Phone::call(&scene.asterisk, "300", &["--talk", "30000"]);

    let waiting = aimg_tests::eventually(SOON, "a call that can be answered", || async {
        let calls = scene.api.list("call-sessions?status=active").await;
        let Some(call) = calls.first() else { return Err("no call".into()) };
        let call = scene.api.call(id(call)).await;
        if call["actions"]["answer"] == true { Ok(call) } else { Err(call.to_string()) }
    })
    .await;
    scene.api.act(id(&waiting), "answer", json!({})).await.ok();
    let live = scene.api.live_call(SOON, "up").await;
    assert_eq!(id(&live), id(&waiting), "one call is one session");
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller"], 3000, SOON).await;
    let heard = audio.track("caller");
    assert_same("live", &at_8k(&heard.samples, heard.rate), &voice(1));

    scene.api.act(id(&live), "hangup", json!({})).await.ok();
    caller.done(LATER).await;
    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    assert_eq!((&ended["outcome"], &ended["hangup"]["by"]), (&"answered".into(), &"platform".into()), "{ended}");
    let again = scene.api.act(id(&live), "hangup", json!({})).await.refused(409);
    assert!(again["detail"].as_str().is_some_and(|detail| detail.contains("already ended")), "{again}");

    let recording = scene.api.recording_when(id(&live), SOON, &["saved"]).await;
    assert_same("left", steady(&said(&scene.download(&recording).await, 0)), &voice(1));
    events.until(SOON, "call.ended", |event| event["event"] == "call.ended").await;
    events.assert_whole();
    assert_order(&events.names_of(id(&live)), &["call.started", "call.answered", "call.ended"]);
    scene.asterisk.emptied(SOON).await;
    let rows = scene.all_cdr().await;
    assert_no_rows_of_ours(&rows);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_agrees(&ended, &rows[0]);
}

async fn a_call_is_started_from_here(version: &str) {
    let scene = Scene::recording(version).await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1", "--talk", "5000", "--voice", "2"]).await;
    let wanted = json!({ "endpoint": "PJSIP/trunk", "to": { "context": "calls", "exten": "600" }, "caller": { "number": "5550123" } });
    let made = scene.api.post("call-sessions", wanted).await.ok();
    let live = scene.api.live_call(SOON, "up").await;
    assert_eq!(id(&live), id(&made), "the session that was made is the one that lives");
    callee.done(LATER).await;
    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    assert_eq!(ended["outcome"], "answered", "{ended}");
    scene.asterisk.emptied(SOON).await;
    assert_eq!(scene.api.calls().await.len(), 1, "one call is one session");
}
