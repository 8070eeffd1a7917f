//! The node is killed in the middle of calls: what was acknowledged is there, calls and recordings go on.

use crate::ear;
use crate::rig::{BOTH, Policy, Rig, SOON, download, listen_to};
use aimg_simulator::{CallScript, Route, SimConfig, Style, TrackId};
use aimg_tests::audio::at_8k;
use aimg_tests::node::Options;
use aimg_tests::{EventSocket, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlives_the_node_with_its_tap_and_a_recording_of_two_segments() {
    for style in BOTH {
        for script in [CallScript::inbound("0301234567", "1001"), CallScript::stasis("0301234567", &[])] {
            outlives(style, script).await;
        }
    }
}

async fn outlives(style: Style, script: CallScript) {
    let mut rig = Rig::new(style, Policy::RECORDED).await;
    let in_stasis = matches!(script.route, Route::Stasis { .. });
    let (call, session) = rig.place(script).await;
    if in_stasis {
        rig.answer(&session).await;
    }
    rig.api.call_when(&session, SOON, "it is recorded", |call| call["recording"] == "active").await;
    // In our application there is nobody else to be heard.
    let tracks: &[&str] = if in_stasis { &["caller"] } else { &["caller", "callee"] };
    listen_to(&rig.api, &session, tracks, 2500).await;
    let before = rig.api.call(&session).await;
    let streams: Vec<_> = rig.sim.streams().iter().map(|stream| stream.local).collect();
    rig.kill_and_start().await;
    rig.api = rig.node.api().await;
    let after = rig
        .api
        .call_when(&session, SOON, "it goes on", |call| call["state"] == "up" && call["audio"] == "flowing")
        .await;
    assert_eq!(after["started_at"], before["started_at"]);
    assert_eq!(after["answered_at"], before["answered_at"]);
    assert_eq!(rig.api.calls().await.len(), 1, "no second session");
    listen_to(&rig.api, &session, tracks, 2500).await;
    let now: Vec<_> = rig.sim.streams().iter().map(|stream| stream.local).collect();
    assert_eq!(streams, now, "the PBX sends on as it did: the taps were adopted");
    let blind = &rig.api.call(&session).await["blind"];
    assert_eq!(blind.as_array().map(Vec::len), Some(1), "{blind}");
    let ended = rig.hang_up(call.id, &session).await;
    assert_eq!(ended["outcome"], "answered");
    let recording = rig.api.recording_when(&session, SOON, &["partial"]).await;
    let segments = recording["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), 2, "{recording}");
    assert_eq!(
        (&segments[0]["state"], &segments[1]["state"]),
        (&json!("repaired"), &json!("closed")),
        "{recording}"
    );
    assert_ne!(segments[0]["epoch"], segments[1]["epoch"], "{recording}");
    assert!(
        recording["gaps"]
            .as_array()
            .is_some_and(|gaps| gaps.iter().any(|gap| gap["why"] == "node_down")),
        "{recording}"
    );
    let wav = download(&rig.api, &recording).await;
    let split = segments[1]["from_media_time"].as_u64().expect("a place") as usize;
    for (n, track) in [TrackId::Caller, TrackId::Callee].into_iter().enumerate().take(tracks.len()) {
        let voice = ear::said(&rig.sim, call.id, track);
        let mut places = Vec::new();
        for (from, part) in [(0, &wav.channels[n][..split]), (split, &wav.channels[n][split..])] {
            let part = at_8k(part, wav.rate);
            let (lead, heard) = ear::trimmed(&part);
            places.push(ear::assert_is(&format!("{style:?} {track:?}"), heard, &voice) - lead as i64 - (from * 8000 / wav.rate as usize) as i64);
        }
        assert!(ear::apart(places[0], places[1]) < 8 * 250, "both lie on one timeline: {places:?}");
    }
    let journal = rig.journal_of(&session).await;
    let names: Vec<&str> = journal.iter().filter_map(|event| event["event"].as_str()).collect();
    for once in ["call.started", "call.answered", "call.reconciled", "call.ended"] {
        assert_eq!(names.iter().filter(|name| **name == once).count(), 1, "{names:?}");
    }
    for (n, event) in journal.iter().enumerate() {
        assert_eq!(event["seq"], n + 1, "{names:?}");
    }
    rig.emptied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_under_calls_it_loses_nothing_it_had_told() {
    let sim = SimConfig {
        ring_mean: Duration::from_millis(300),
        talk_mean: Duration::from_millis(1500),
        ..SimConfig::busy(20, 7)
    };
    let policy = Policy {
        audio: "none",
        ..Policy::QUIET
    };
    let mut rig = Rig::with(sim, policy, Options::default()).await;
    let topic = format!("tenant:{}:calls", rig.api.tenant().await);
    let mut told: BTreeMap<(u64, u64), Value> = BTreeMap::new();
    let mut position = None;
    for round in 0..20u64 {
        let mut socket = EventSocket::of_topic(&rig.api, &topic, position).await;
        // Not evenly: 37 ms apart modulo a second finds all places.
        let moment = Duration::from_millis(100 + round * 370 % 1000);
        let (_, ()) = tokio::join!(socket.drain(Duration::from_secs(20)), async {
            tokio::time::sleep(moment).await;
            rig.node.kill().await;
        });
        position = socket.position().or(position);
        for event in socket.events {
            let at = (event["epoch"].as_u64().expect("an epoch"), event["offset"].as_u64().expect("an offset"));
            assert!(told.insert(at, event).is_none(), "{at:?} is told twice");
        }
        rig.node.start().await;
    }
    assert!(told.len() > 100, "only {} events came", told.len());
    let journal = rig.api.list("events?after_epoch=0&after_offset=0").await;
    let by_position: BTreeMap<(u64, u64), &Value> = journal
        .iter()
        .map(|event| ((event["epoch"].as_u64().unwrap(), event["offset"].as_u64().unwrap()), event))
        .collect();
    for (at, event) in &told {
        let kept = by_position.get(at).unwrap_or_else(|| panic!("told and lost: {event}"));
        assert_eq!((&kept["id"], &kept["event"], &kept["data"]), (&event["id"], &event["event"], &event["data"]));
    }
    let offsets: Vec<u64> = journal.iter().map(|event| event["offset"].as_u64().unwrap()).collect();
    let whole: Vec<u64> = (1..=offsets.len() as u64).collect();
    assert_eq!(offsets, whole, "offsets go on without a hole");
    let told_offsets: Vec<u64> = told.keys().map(|(_, offset)| *offset).collect();
    assert!(
        told_offsets.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "nothing is missed across the reconnects"
    );
    let mut seqs: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for event in &journal {
        let call = event["call_id"].as_str().expect("a call");
        let seq = event["seq"].as_u64().unwrap();
        let before = seqs.insert(call, seq).unwrap_or(0);
        assert_eq!(seq, before + 1, "a hole in call {call}");
        if ["call.ended", "call.failed"].contains(&event["event"].as_str().unwrap()) {
            *ends.entry(call).or_default() += 1;
        }
    }
    assert!(ends.values().all(|count| *count == 1), "a call ends once");
    eventually(SOON, "what is shown as active is what the PBX has", || async {
        rig.api.pbx_when(&rig.pbx, SOON, "attached").await;
        let there: Vec<String> = rig.sim.calls().into_iter().map(|call| call.linkedid).collect();
        let shown = rig.api.list("call-sessions?status=active").await;
        let stale: Vec<&Value> = shown
            .iter()
            .filter(|call| {
                !there
                    .iter()
                    .any(|linkedid| call["linkedids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == linkedid)))
            })
            .collect();
        if stale.is_empty() { Ok(()) } else { Err(format!("{stale:?}")) }
    })
    .await;
}
