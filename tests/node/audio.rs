//! Live audio: each track is what its party says, in every format; taps come with the first listener and go with the last.

use crate::ear;
use crate::rig::{BOTH, Policy, Rig, SOON};
use aimg_simulator::{CallScript, Style, TrackId};
use aimg_tests::audio::at_8k;
use aimg_tests::{Api, AudioSocket, eventually};
use serde_json::json;
use std::time::Duration;

/// Where there is no audio to be had.
const NOT_AVAILABLE: u16 = 4040;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_track_is_what_its_party_says_in_every_format() {
    for (style, formats) in [(Style::Asterisk16, ["ulaw", "g722"]), (Style::Asterisk22, ["alaw", "slin16"])] {
        for format in formats {
            let policy = Policy { format, ..Policy::QUIET };
            let rig = Rig::new(style, policy).await;
            let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
            let mut socket = AudioSocket::open(&rig.api, &session).await;
            socket.listen(&["caller", "callee"], 4000, SOON).await;
            let voices = [TrackId::Caller, TrackId::Callee].map(|track| ear::said(&rig.sim, call.id, track));
            for (n, name) in ["caller", "callee"].into_iter().enumerate() {
                let track = socket.track(name);
                assert_eq!(track.rate, if ["ulaw", "alaw"].contains(&format) { 8000 } else { 16_000 });
                let what = format!("{format} of {style:?}, {name}");
                let heard = at_8k(&track.samples, track.rate);
                ear::assert_is(&what, &heard, &voices[n]);
                ear::assert_not(&what, &heard, &voices[1 - n]);
                assert_contiguous(&what, track);
            }
            rig.hang_up(call.id, &session).await;
        }
    }
}

/// Each piece begins where the one before it ends, and they are numbered without a hole.
fn assert_contiguous(what: &str, track: &aimg_tests::socket::Track) {
    for pair in track.pieces.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{what}: {pair:?}");
        assert_eq!(pair[1].media_time, pair[0].media_time + pair[0].samples, "{what}: {pair:?}");
    }
    assert_eq!(track.lost, 0, "{what}: the simulator loses nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_on_demand_comes_with_the_first_listener_and_goes_with_the_last() {
    for style in BOTH {
        let rig = Rig::new(style, Policy::QUIET).await;
        let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
        let untapped = rig.sim.stats();
        assert_eq!((untapped.channels, untapped.streams), (2, 0), "nobody listens");
        let mut first = AudioSocket::open(&rig.api, &session).await;
        first.listen(&["caller", "callee"], 200, SOON).await;
        let tapped = rig.sim.stats();
        assert!(tapped.channels > untapped.channels && tapped.bridges > untapped.bridges, "{tapped:?}");
        let mut second = AudioSocket::open(&rig.api, &session).await;
        second.listen(&["caller"], 200, SOON).await;
        assert_eq!(rig.sim.stats().channels, tapped.channels, "one tap serves all");
        first.close().await;
        second.listen(&["caller"], 1500, SOON).await;
        second.close().await;
        eventually(SOON, "the tap is gone", || async {
            let stats = rig.sim.stats();
            if (stats.channels, stats.bridges, stats.streams) == (untapped.channels, untapped.bridges, 0) {
                Ok(())
            } else {
                Err(format!("{stats:?}"))
            }
        })
        .await;
        assert_eq!(rig.api.call(&session).await["state"], "up", "the call goes on");
        let mut again = AudioSocket::open(&rig.api, &session).await;
        again.listen(&["caller", "callee"], 200, SOON).await;
        // The call's end ends the listening.
        rig.hang_up(call.id, &session).await;
        let closed = again.closed(SOON).await.expect("a close frame");
        assert_eq!(closed.0, 1000, "{closed:?}");
        rig.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn legs_and_mixed_are_tapped_without_a_listener() {
    for (audio, tracks) in [("legs", vec!["caller", "callee"]), ("mixed", vec!["mixed"])] {
        let rig = Rig::new(Style::Asterisk22, Policy { audio, ..Policy::QUIET }).await;
        let (call, session) = rig.place_up(CallScript::outbound("1002", "0897654321")).await;
        rig.api.call_when(&session, SOON, "audio flows", |call| call["audio"] == "flowing").await;
        eventually(SOON, "the PBX sends", || async {
            let streams = rig.sim.stats().streams;
            if streams == tracks.len() { Ok(()) } else { Err(streams.to_string()) }
        })
        .await;
        let mut socket = AudioSocket::open(&rig.api, &session).await;
        socket.listen(&tracks, 3000, SOON).await;
        for name in &tracks {
            let track = socket.track(name);
            let id = match *name {
                "caller" => TrackId::Caller,
                "callee" => TrackId::Callee,
                _ => TrackId::Mixed,
            };
            ear::assert_is(name, &at_8k(&track.samples, track.rate), &ear::said(&rig.sim, call.id, id));
        }
        rig.hang_up(call.id, &session).await;
        rig.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_audio_is_to_be_had_the_reason_is_told() {
    let rig = Rig::new(
        Style::Asterisk22,
        Policy {
            audio: "none",
            ..Policy::QUIET
        },
    )
    .await;
    let (_, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let refused = AudioSocket::ask(&rig.api, &session).await.closed(SOON).await.expect("a close frame");
    assert_eq!(refused.0, NOT_AVAILABLE, "{refused:?}");
    assert!(refused.1.contains("policy"), "{refused:?}");
    assert_eq!(rig.sim.stats().streams, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_beyond_the_budget_is_refused_and_possible_again_when_one_is_free() {
    let rig = Rig::new(
        Style::Asterisk22,
        Policy {
            tap_budget: 1,
            ..Policy::QUIET
        },
    )
    .await;
    let (_, one) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let (_, two) = rig.place_up(CallScript::inbound("0301234568", "1002")).await;
    let mut first = AudioSocket::open(&rig.api, &one).await;
    first.listen(&["caller"], 200, SOON).await;
    let refused = AudioSocket::ask(&rig.api, &two).await.closed(SOON).await.expect("a close frame");
    assert_eq!(refused.0, NOT_AVAILABLE, "{refused:?}");
    assert!(refused.1.contains("budget of 1"), "{refused:?}");
    first.close().await;
    eventually(SOON, "the slot is free again", || async {
        let mut second = AudioSocket::ask(&rig.api, &two).await;
        match tokio::time::timeout(Duration::from_millis(1500), second.closed(SOON)).await {
            Err(_) => Ok(()),
            Ok(closed) => Err(format!("{closed:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_hears_the_calls_of_the_own_tenant_and_nobody_elses() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let (_, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let viewer = crate::rig::user(&rig.api, None, "viewer").await;
    let mut socket = AudioSocket::open(&viewer, &session).await;
    socket.listen(&["caller", "callee"], 200, SOON).await;
    let refused = viewer.act(&session, "hangup", json!({})).await.refused(403);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("calls.control")), "{refused}");
    let other = rig.api.post("tenants", json!({ "name": "Other", "slug": "other" })).await.ok();
    let stranger = crate::rig::user(&rig.api, Some(aimg_tests::api::id(&other)), "tenant_admin").await;
    assert_eq!(upgrade_status(&stranger, &session).await, 404);
    assert_eq!(upgrade_status(&Api::with_token(&rig.api.url, ""), &session).await, 401);
    stranger.ask(reqwest::Method::GET, &format!("call-sessions/{session}"), None).await.refused(404);
}

/// What an upgrade of the audio websocket is answered with.
async fn upgrade_status(api: &Api, session: &str) -> u16 {
    let mut request = reqwest::Client::new()
        .get(format!("{}/ws/audio/stream/{session}", api.url))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    if !api.token.is_empty() {
        request = request.bearer_auth(&api.token);
    }
    request.send().await.expect("an answer").status().as_u16()
}
