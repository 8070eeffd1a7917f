//! A call that knows nothing of us: the dialplan dials, we follow.

use crate::scene::{LATER, SOON, Scene, assert_agrees, assert_no_rows_of_ours, assert_order, said, steady};
use aimg_tests::api::id;
use aimg_tests::audio::{assert_absent, assert_same, at_8k, voice};
use aimg_tests::{AudioSocket, EventSocket, Phone};
use serde_json::Value;

on_both!(
    a_call_over_the_trunk_is_heard_recorded_and_told,
    a_call_between_registered_phones_is_internal,
    an_application_that_answers_is_the_callee
);

async fn a_call_over_the_trunk_is_heard_recorded_and_told(version: &str) {
    let scene = Scene::recording(version).await;
    let mut events = EventSocket::of_calls(&scene.api).await;
    let mut callee = Phone::answer(&scene.asterisk, &["--calls", "1", "--voice", "2"]).await;
    let mut caller = Phone::call(&scene.asterisk, "200", &["--talk", "9000", "--voice", "1", "--from", "5550100"]);

    let live = scene.api.live_call(SOON, "up").await;
    assert_legs(&live);
    assert_eq!(live["direction"], "outbound", "{live}");
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 3000, SOON).await;
    for (track, own, other) in [("caller", 1, 2), ("callee", 2, 1)] {
        let heard = audio.track(track);
        assert_eq!(heard.lost, 0, "packets of {track} are lost on loopback");
        let heard = at_8k(&heard.samples, heard.rate);
        assert_same(&format!("live, {track}"), &heard, &voice(own));
        assert_absent(&format!("live, {track}"), &heard, &voice(other));
    }
    caller.done(LATER).await;
    callee.done(LATER).await;

    let recording = scene.api.recording_when(id(&live), SOON, &["saved", "partial"]).await;
    assert_eq!(recording["status"], "saved", "{recording}");
    let wav = scene.download(&recording).await;
    assert_eq!(wav.channels.len(), 2, "{recording}");
    assert!(wav.duration_ms() >= 7500, "{} ms of a call of 9 s: {recording}", wav.duration_ms());
    assert_same("left", steady(&said(&wav, 0)), &voice(1));
    assert_same("right", steady(&said(&wav, 1)), &voice(2));
    assert_absent("left", steady(&said(&wav, 0)), &voice(2));
    assert_absent("right", steady(&said(&wav, 1)), &voice(1));

    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    assert_eq!(
        (&ended["outcome"], &ended["hangup"]["by"], &ended["recording"]),
        (&"answered".into(), &"caller".into(), &"saved".into())
    );
    assert_quality(&ended);
    told_in_order(&mut events, &scene, id(&live)).await;
    left_as_found(&scene, &ended).await;
}

fn assert_legs(call: &Value) {
    let legs = call["legs"].as_array().expect("legs");
    let roles: Vec<_> = legs
        .iter()
        .map(|leg| (leg["role"].as_str(), leg["channel"].as_str().and_then(|name| name.split('-').next())))
        .collect();
    assert_eq!(
        roles,
        [(Some("caller"), Some("PJSIP/anonymous")), (Some("callee"), Some("PJSIP/trunk"))],
        "{call}"
    );
}

/// Each party's audio has a figure, and on loopback a good one.
fn assert_quality(call: &Value) {
    let tracks = call["quality"]["tracks"].as_array().unwrap_or_else(|| panic!("quality in {call}"));
    for name in ["caller", "callee"] {
        let track = tracks.iter().find(|track| track["track"] == name && track["vantage"] == "pbx_to_us");
        let track = track.unwrap_or_else(|| panic!("{name} in {tracks:?}"));
        assert!(track["mos"].as_f64() > Some(4.0) && track["packets"].as_u64() > Some(200), "{track}");
        assert_eq!(track["lost"], 0, "{track}");
    }
}

async fn told_in_order(events: &mut EventSocket, scene: &Scene, call: &str) {
    events
        .until(SOON, "call.recording.saved", |event| event["event"] == "call.recording.saved")
        .await;
    events.until(SOON, "call.ended", |event| event["event"] == "call.ended").await;
    events.assert_whole();
    assert_order(&events.names_of(call), &["call.started", "call.answered", "call.ended"]);
    assert_order(&events.names_of(call), &["call.recording.started", "call.recording.saved"]);
    let kept = scene.api.list(&format!("events?call_id={call}&ordering=at")).await;
    let mut kept: Vec<(u64, String)> = kept
        .iter()
        .map(|event| (event["seq"].as_u64().expect("seq"), event["event"].as_str().expect("a name").to_owned()))
        .collect();
    kept.sort();
    let told: Vec<&str> = events.names_of(call);
    let kept: Vec<&str> = kept.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(kept[..told.len()], told[..], "what is kept is what was told");
}

/// Asterisk's records agree and have no row that the call alone would not have; nothing of ours is left on it.
async fn left_as_found(scene: &Scene, ended: &Value) {
    scene.asterisk.emptied(SOON).await;
    let rows = scene.all_cdr().await;
    assert_no_rows_of_ours(&rows);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_agrees(ended, &rows[0]);
}

async fn a_call_between_registered_phones_is_internal(version: &str) {
    let scene = Scene::recording(version).await;
    let mut answering = Phone::register(&scene.asterisk, "1001", &["--seconds", "20", "--voice", "2"]).await;
    let mut dialling = Phone::register(&scene.asterisk, "1002", &["--seconds", "9", "--dial", "1001", "--voice", "1"]).await;

    let live = scene.api.live_call(SOON, "up").await;
    assert_eq!(live["direction"], "internal", "{live}");
    assert_eq!(
        (&live["caller"]["number"], &live["callee"]["number"]),
        (&"1002".into(), &"1001".into()),
        "{live}"
    );
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 2000, SOON).await;
    for (track, own) in [("caller", 1), ("callee", 2)] {
        let heard = audio.track(track);
        assert_same(track, &at_8k(&heard.samples, heard.rate), &voice(own));
    }
    dialling.done(LATER).await;
    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    left_as_found(&scene, &ended).await;
    answering.done(LATER).await;
}

/// Echo answers: what it says is what it hears.
async fn an_application_that_answers_is_the_callee(version: &str) {
    let scene = Scene::recording(version).await;
    let mut caller = Phone::call(&scene.asterisk, "600", &["--talk", "6000", "--digits", "12"]);
    let live = scene.api.live_call(SOON, "up").await;
    let two = |call: &Value| call["dtmf"].as_array().is_some_and(|digits| digits.len() == 2);
    let dialled = scene.api.call_when(id(&live), SOON, "both digits are known", two).await;
    // Which ones they were is masked unless the tenant asks for it: they may be a PIN.
    for digit in dialled["dtmf"].as_array().expect("digits") {
        assert!(digit["digit"].is_null() && digit["duration_ms"].as_u64() > Some(50), "{dialled}");
    }
    let mut audio = AudioSocket::open(&scene.api, id(&live)).await;
    audio.listen(&["caller", "callee"], 2000, SOON).await;
    for track in ["caller", "callee"] {
        let heard = audio.track(track);
        assert_same(track, &at_8k(&heard.samples, heard.rate), &voice(1));
    }
    caller.done(LATER).await;
    let ended = scene.api.call_when(id(&live), SOON, "it is over", |call| call["state"] == "ended").await;
    left_as_found(&scene, &ended).await;
}
