//! Recordings: what was said, to its place; pauses, losses, and what the manifest says of them.

use crate::ear;
use crate::rig::{Policy, Rig, SOON, download, listen_for};
use aimg_simulator::{CallScript, CallView, Impairment, Style, TrackId};
use aimg_tests::audio::at_8k;
use aimg_tests::wav::Wav;
use aimg_tests::{AudioSocket, EventSocket};
use serde_json::{Value, json};

/// Caller and callee as recorded, at 8 kHz.
fn sides(wav: &Wav) -> [Vec<i16>; 2] {
    assert_eq!(wav.channels.len(), 2, "caller left, callee right");
    [0, 1].map(|n| at_8k(&wav.channels[n], wav.rate))
}

/// Both sides are their party's voice all along, and lie one beside the other as they were said.
fn assert_faithful(rig: &Rig, call: &CallView, wav: &Wav) {
    let voices = [TrackId::Caller, TrackId::Callee].map(|track| ear::said(&rig.sim, call.id, track));
    let sides = sides(wav);
    let mut places = Vec::new();
    for (n, side) in sides.iter().enumerate() {
        // The tracks of a tap begin and end a moment apart: there is silence at the edges.
        let (from, heard) = ear::trimmed(side);
        let place = ear::assert_is(["left", "right"][n], heard, &voices[n]) - from as i64;
        ear::assert_not(["left", "right"][n], heard, &voices[1 - n]);
        places.push(place);
    }
    let apart = ear::apart(places[0], places[1]);
    assert!(apart <= 8 * 120, "left and right are {apart} samples apart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_call_is_what_was_said_caller_left_callee_right() {
    for (style, format) in [(Style::Asterisk16, "ulaw"), (Style::Asterisk22, "slin16")] {
        let policy = Policy { format, ..Policy::RECORDED };
        let rig = Rig::new(style, policy).await;
        let mut events = EventSocket::of_calls(&rig.api).await;
        let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
        rig.api.call_when(&session, SOON, "it is recorded", |call| call["recording"] == "active").await;
        listen_for(&rig.api, &session, 5000).await;
        let ended = rig.hang_up(call.id, &session).await;
        let recording = rig.api.recording_when(&session, SOON, &["saved"]).await;
        events.until(SOON, "it is saved", |event| event["event"] == "call.recording.saved").await;
        let names = events.names_of(&session);
        for once in ["call.recording.started", "call.recording.saved"] {
            assert_eq!(names.iter().filter(|name| **name == once).count(), 1, "{names:?}");
        }
        let wav = download(&rig.api, &recording).await;
        assert_faithful(&rig, &call, &wav);
        assert_eq!(recording["sample_rate"], wav.rate);
        assert_eq!(recording["duration_ms"], wav.duration_ms());
        let talked = ended["talk_ms"].as_u64().expect("talk_ms");
        assert!(wav.duration_ms() <= talked + 200, "{} ms of {talked} ms", wav.duration_ms());
        assert_eq!(recording["segments"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            rig.api.call_when(&session, SOON, "it says so", |call| call["recording"] == "saved").await["state"],
            "ended"
        );
        rig.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_on_command_pauses_as_silence_and_goes_on_in_its_place() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let mut events = EventSocket::of_calls(&rig.api).await;
    let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let act = async |action: &str| rig.api.act(&session, action, json!({})).await.ok();
    let started = act("start-recording").await;
    assert_eq!(started["recording"], "active", "{started}");
    let recording_id = started["recording_id"].as_str().expect("the recording is named").to_owned();
    listen_for(&rig.api, &session, 2500).await;
    assert_eq!(act("pause-recording").await["recording"], "paused");
    listen_for(&rig.api, &session, 1500).await;
    assert_eq!(act("resume-recording").await["recording"], "active");
    listen_for(&rig.api, &session, 2500).await;
    act("stop-recording").await;
    let recording = rig.api.recording_when(&session, SOON, &["saved"]).await;
    assert_eq!(recording["id"], recording_id.as_str());
    assert_eq!(rig.api.call(&session).await["state"], "up", "the call goes on");

    let wav = download(&rig.api, &recording).await;
    let pause = only_gap(&recording, "paused");
    let (from, samples) = (pause["from_sample"].as_u64().unwrap() as usize, pause["samples"].as_u64().unwrap() as usize);
    let rate = wav.rate as usize;
    assert!(samples >= rate * 13 / 10, "the pause is {samples} samples long");
    // A packet that had begun before the pause is kept whole.
    let packet = 2 * rate / 50;
    for (n, channel) in wav.channels.iter().enumerate() {
        assert!(
            channel[from + packet..from + samples].iter().all(|sample| *sample == 0),
            "channel {n} is silent in the pause"
        );
    }
    let voices = [TrackId::Caller, TrackId::Callee].map(|track| ear::said(&rig.sim, call.id, track));
    for (n, voice) in voices.iter().enumerate() {
        let before = at_8k(&wav.channels[n][..from + samples / 2], wav.rate);
        let after = at_8k(&wav.channels[n][from + samples / 2..], wav.rate);
        let (lead, heard) = ear::trimmed(&before);
        let first = ear::assert_is("before the pause", heard, voice) - lead as i64;
        let (lead, heard) = ear::trimmed(&after);
        let second = ear::assert_is("after the pause", heard, voice) - lead as i64 - ((from + samples / 2) * 8000 / rate) as i64;
        assert!(ear::apart(first, second) <= 8, "the pause is as long as it was: {first} and {second}");
    }
    rig.hang_up(call.id, &session).await;
    events.until(SOON, "the end", |event| event["event"] == "call.ended").await;
    let names: Vec<&str> = events.names_of(&session).into_iter().filter(|name| name.contains("recording")).collect();
    assert_eq!(
        names,
        ["started", "paused", "resumed", "stopped", "saved"].map(|name| format!("call.recording.{name}"))
    );
    rig.emptied().await;
}

fn only_gap<'a>(recording: &'a Value, why: &str) -> &'a Value {
    let gaps: Vec<&Value> = recording["gaps"].as_array().expect("gaps").iter().filter(|gap| gap["why"] == why).collect();
    assert_eq!(gaps.len(), 1, "{recording}");
    gaps[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_packets_are_marked_where_they_are_missing_and_seen_in_the_quality() {
    let rig = Rig::new(Style::Asterisk22, Policy::RECORDED).await;
    rig.sim.set_impairment(Impairment {
        loss: 0.1,
        ..Impairment::default()
    });
    let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    rig.api.call_when(&session, SOON, "it is recorded", |call| call["recording"] == "active").await;
    let mut socket = AudioSocket::open(&rig.api, &session).await;
    socket.listen(&["caller", "callee"], 6000, SOON).await;
    assert!(socket.track("caller").lost > 0 && socket.track("callee").lost > 0, "listeners are told");
    let ended = rig.hang_up(call.id, &session).await;
    let recording = rig.api.recording_when(&session, SOON, &["saved"]).await;
    let wav = download(&rig.api, &recording).await;
    for (n, track) in ["caller", "callee"].into_iter().enumerate() {
        let gaps: Vec<&Value> = recording["gaps"].as_array().expect("gaps").iter().filter(|gap| gap["track"] == track).collect();
        assert!(!gaps.is_empty(), "{recording}");
        for gap in gaps {
            assert_eq!(gap["why"], "loss");
            let (from, samples) = (gap["from_sample"].as_u64().unwrap() as usize, gap["samples"].as_u64().unwrap() as usize);
            assert_eq!(samples % 320, 0, "whole packets are lost: {gap}");
            let end = (from + samples).min(wav.channels[n].len());
            assert!(wav.channels[n][from..end].iter().all(|sample| *sample == 0), "{track} is silent in {gap}");
        }
    }
    let quality = rig.api.call_when(&session, SOON, "it has its quality", |call| !call["quality"].is_null()).await;
    for track in quality["quality"]["tracks"]
        .as_array()
        .expect("tracks")
        .iter()
        .filter(|track| track["vantage"] == "pbx_to_us")
    {
        let loss = track["loss_percent"].as_f64().expect("a share");
        assert!((2.0..25.0).contains(&loss), "{track}");
        assert!(track["mos"].as_f64().is_some_and(|mos| mos < 4.0), "{track}");
    }
    assert_eq!(ended["outcome"], "answered");
}
