//! The supervision tree: what is in it, and that a restarted part costs nothing that it should not.

use crate::ear;
use crate::rig::{Policy, Rig, SOON, download, listen_for};
use aimg_simulator::{CallScript, Style, TrackId};
use aimg_tests::audio::at_8k;
use aimg_tests::node::EMAIL;
use aimg_tests::{Api, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn tree(api: &Api) -> Vec<Value> {
    api.get("cluster/tree?page_size=5000").await["results"].as_array().expect("actors").clone()
}

async fn of_kind(api: &Api, kind: &str) -> Vec<Value> {
    tree(api).await.into_iter().filter(|actor| actor["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_shows_every_part_under_its_parent() {
    let rig = Rig::new(Style::Asterisk22, Policy::RECORDED).await;
    let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    rig.api.call_when(&session, SOON, "it is recorded", |call| call["recording"] == "active").await;
    let tree = tree(&rig.api).await;
    let by_id: BTreeMap<&str, &Value> = tree.iter().map(|actor| (actor["id"].as_str().unwrap(), actor)).collect();
    assert_eq!(by_id.len(), tree.len(), "an id is of one actor");
    let parents = [
        ("shard_region", "node"),
        ("shard", "shard_region"),
        ("pbx_link", "tenant"),
        ("journal", "tenant"),
        ("call_supervisor", "tenant"),
        ("call", "call_supervisor"),
        ("call_session", "call"),
        ("call_media", "call"),
        ("audio_stream", "call_media"),
        ("recorder", "call_media"),
    ];
    for (kind, parent) in parents {
        let actor = tree
            .iter()
            .find(|actor| actor["kind"] == kind)
            .unwrap_or_else(|| panic!("no {kind} in {:?}", by_id.keys()));
        let above = actor["parent"]
            .as_str()
            .and_then(|id| by_id.get(id))
            .unwrap_or_else(|| panic!("{actor} has a parent"));
        assert!(
            above["kind"].as_str().is_some_and(|kind| kind.starts_with(parent)),
            "{kind} is under {}",
            above["id"]
        );
    }
    assert!(tree.iter().any(|actor| actor["kind"] == "pbx_connection"));
    assert_eq!(tree.iter().filter(|actor| actor["parent"].is_null()).count(), 1, "one root");
    for actor in &tree {
        assert!(actor["parent"].is_null() || by_id.contains_key(actor["parent"].as_str().unwrap()), "{actor}");
        assert!(actor["bound"].as_u64().is_some_and(|bound| bound > 0), "{actor}");
        assert!(["running", "degraded"].contains(&actor["state"].as_str().unwrap()), "{actor}");
    }
    let one = &by_id[format!("call_session:{session}").as_str()];
    assert!(one["messages"]["handled"].as_u64().is_some_and(|handled| handled > 0), "{one}");
    assert_eq!(rig.api.get(&format!("cluster/actors/call_session:{session}")).await["id"], one["id"]);
    rig.hang_up(call.id, &session).await;
    eventually(SOON, "the call's actors are gone", || async {
        let left: Vec<Value> = self::tree(&rig.api)
            .await
            .into_iter()
            .filter(|actor| actor["id"].as_str().unwrap().contains(&session))
            .collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

/// Restarts an actor and waits until the tree says so, by whom.
async fn restart(rig: &Rig, id: &str) {
    let before = rig.api.get(&format!("cluster/actors/{id}")).await;
    let count = before["restarts"].as_array().map_or(0, Vec::len);
    let answer = rig.api.post(&format!("cluster/actors/{id}/restart"), json!({})).await;
    assert_eq!(answer.status.as_u16(), 202, "{answer:?}");
    eventually(SOON, &format!("{id} was restarted"), || async {
        let actor = rig.api.ask(reqwest::Method::GET, &format!("cluster/actors/{id}"), None).await.body;
        let restarts = actor["restarts"].as_array().cloned().unwrap_or_default();
        let told = restarts
            .last()
            .and_then(|restart| restart["cause"].as_str())
            .is_some_and(|cause| cause.contains(EMAIL));
        if restarts.len() > count && told && actor["state"] == "running" {
            Ok(())
        } else {
            Err(actor.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_is_restarted_in_the_middle_of_a_recording_and_the_call_goes_on() {
    // Kind, and whether the recording must be whole after it.
    let parts = [
        ("call_session", true),
        ("pbx_connection", true),
        ("journal", true),
        ("audio_stream", true),
        ("call_media", false),
        ("recorder", false),
    ];
    let rig = Rig::new(Style::Asterisk22, Policy::RECORDED).await;
    for (kind, whole) in parts {
        let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
        rig.api.call_when(&session, SOON, "it is recorded", |call| call["recording"] == "active").await;
        listen_for(&rig.api, &session, 1200).await;
        let actors = of_kind(&rig.api, kind).await;
        let of_call = actors.iter().find(|actor| actor["subject"].as_str().unwrap().starts_with(&session));
        let actor = of_call.or_else(|| actors.first()).unwrap_or_else(|| panic!("there is a {kind}"));
        restart(&rig, aimg_tests::api::id(actor)).await;
        rig.api.pbx_when(&rig.pbx, SOON, "attached").await;
        crate::rig::apps_connected(&rig.sim).await;
        listen_for(&rig.api, &session, 1200).await;
        let ended = rig.hang_up(call.id, &session).await;
        assert_eq!(ended["outcome"], "answered", "{kind}: {ended}");
        let recording = rig.api.recording_when(&session, SOON, &["saved", "partial"]).await;
        let wav = download(&rig.api, &recording).await;
        if whole {
            assert_eq!((&recording["status"], &recording["gaps"]), (&json!("saved"), &json!([])), "{kind}: {recording}");
            for (n, track) in [TrackId::Caller, TrackId::Callee].into_iter().enumerate() {
                let side = at_8k(&wav.channels[n], wav.rate);
                ear::assert_is(kind, ear::trimmed(&side).1, &ear::said(&rig.sim, call.id, track));
            }
        }
        assert!(wav.duration_ms() >= 2400, "{kind}: {} ms", wav.duration_ms());
        let journal = rig.journal_of(&session).await;
        let names: Vec<&str> = journal.iter().filter_map(|event| event["event"].as_str()).collect();
        assert_eq!(
            names.iter().filter(|name| name.contains("started") && !name.contains("audio")).count(),
            2,
            "{kind}: {names:?}"
        );
        assert_eq!(names.iter().filter(|name| **name == "call.ended").count(), 1, "{kind}: {names:?}");
        for (n, event) in journal.iter().enumerate() {
            assert_eq!(event["seq"], n + 1, "{kind}: {names:?}");
        }
        rig.emptied().await;
    }
    let viewer = crate::rig::user(&rig.api, None, "tenant_admin").await;
    viewer.post("cluster/actors/journal:x/restart", json!({})).await.refused(403);
    rig.api.post("cluster/actors/nothing:here/restart", json!({})).await.refused(404);
}
