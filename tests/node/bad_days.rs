//! Bad days of the PBX: it does not let us in, freezes, dies, or only a connection drops. Each ends in a true state and in words
//! that say what to do.

use crate::ear;
use crate::rig::{BOTH, Policy, Rig, SOON, download, listen_for, pbx_body};
use aimg_simulator::{AmiUser, CallScript, SimConfig, Simulator, Style, TrackId};
use aimg_tests::audio::at_8k;
use aimg_tests::{EventSocket, Node};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;

/// Silence is noticed after 15 s, a restart may take one more attempt.
const LATER: Duration = Duration::from_secs(60);

fn account(name: &str, read: &[&str], write: &[&str]) -> AmiUser {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    AmiUser {
        name: name.to_owned(),
        read: words(read),
        write: words(write),
        ..SimConfig::default().ami_users[0].clone()
    }
}

/// A body of `pbxs` with some of it changed.
fn changed(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).expect("there is such a field") = value;
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pbx_that_does_not_let_us_in_is_tested_and_attached_with_the_reason() {
    let mut config = SimConfig::scripted(Style::Asterisk16);
    config.ami_users.push(account("deaf", &["system"], &["all"]));
    config.ami_users.push(account("mute", &["all"], &["system", "reporting"]));
    let (node, sim) = tokio::join!(Node::serve(), Simulator::start(config));
    let sim = sim.expect("the simulator starts");
    let api = node.api().await;
    let good = pbx_body(&sim, "ulaw");
    // Bound and not served: nobody answers there. Closed again: refused.
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let ari_of = |path: &str| json!(sim.ari_url.replace("/ari", path));
    let cases = [
        (
            "ami.connect",
            changed(&good, "/ami/port", json!(closed)),
            vec!["manager.conf", "firewall"],
            "connecting",
        ),
        (
            "ami.login",
            changed(&good, "/ami/secret", json!("wrong")),
            vec!["secret", "manager.conf"],
            "refused",
        ),
        (
            "ami.login",
            changed(&good, "/ami/username", json!("nobody")),
            vec!["user name", "manager.conf"],
            "refused",
        ),
        (
            "ami.permissions",
            changed(&good, "/ami/username", json!("deaf")),
            vec!["read class call", "manager.conf"],
            "",
        ),
        (
            "ami.permissions",
            changed(&good, "/ami/username", json!("mute")),
            vec!["write class call", "write class originate", "manager.conf"],
            "",
        ),
        (
            "ari.connect",
            changed(&good, "/ari/url", json!(format!("http://127.0.0.1:{closed}"))),
            vec!["http.conf", "firewall"],
            "attached",
        ),
        ("ari.connect", changed(&good, "/ari/url", ari_of("/elsewhere")), vec!["ari.conf"], "attached"),
        (
            "ari.login",
            changed(&good, "/ari/password", json!("wrong")),
            vec!["password", "ari.conf"],
            "attached",
        ),
        ("ari.write", changed(&good, "/ari/username", json!("ariro")), vec!["read_only = no"], ""),
    ];
    for (step, body, words, state) in cases {
        let access = json!({ "ami": body["ami"], "ari": body["ari"] });
        let test = api.post("pbxs/test", access).await.ok();
        assert_eq!(test["ok"], false, "{step}: {test}");
        let failed: Vec<&Value> = test["steps"].as_array().expect("steps").iter().filter(|one| one["ok"] == false).collect();
        assert_eq!(failed[0]["step"], step, "{test}");
        let detail = failed[0]["detail"].as_str().expect("a detail");
        assert!(words.iter().all(|word| detail.contains(word)), "{step}: {detail:?} says {words:?}");
        assert!(!test.to_string().contains("amipass"), "no secret is told");
        if state.is_empty() {
            continue;
        }
        let made = api.post("pbxs", body).await.ok();
        let path = format!("pbxs/{}", aimg_tests::api::id(&made));
        let pbx = aimg_tests::eventually(SOON, &format!("{step}: it is {state} with a reason"), || async {
            let pbx = api.get(&path).await;
            if pbx["state"] == state && pbx["reason"].is_string() {
                Ok(pbx)
            } else {
                Err(pbx.to_string())
            }
        })
        .await;
        assert!(pbx["since"].is_string(), "{pbx}");
        let again = api.post(&format!("{path}/test"), json!({})).await.ok();
        assert_eq!(again["ok"], false, "{again}");
        // Made good, it is attached without a restart.
        let patch = json!({ "ami": good["ami"], "ari": good["ari"] });
        api.ask(reqwest::Method::PATCH, &path, Some(patch)).await.ok();
        aimg_tests::eventually(SOON, &format!("{step}: repaired, it is attached"), || async {
            let pbx = api.get(&path).await;
            if pbx["state"] == "attached" && pbx["reason"].is_null() {
                Ok(())
            } else {
                Err(pbx.to_string())
            }
        })
        .await;
        api.delete(&path).await.ok();
    }
    let test = api.post("pbxs/test", json!({ "ami": good["ami"], "ari": good["ari"] })).await.ok();
    assert_eq!(test["ok"], true, "{test}");
    assert!(test["version"].as_str().is_some_and(|version| version.starts_with("16.")), "{test}");
    assert!(!node.log().contains("amipass") && !node.log().contains("aripass"), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pbx_that_freezes_is_blind_and_its_calls_go_on_when_it_thaws() {
    let rig = Rig::new(Style::Asterisk16, Policy::QUIET).await;
    let mut events = EventSocket::of_calls(&rig.api).await;
    let mut system = EventSocket::of_topic(&rig.api, "system:status", None).await;
    let (kept, stays) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let (gone, leaves) = rig.place_up(CallScript::internal("1002", "1003").talking(Duration::from_secs(5))).await;
    rig.sim.freeze();
    let pbx = rig.api.pbx_when(&rig.pbx, LATER, "blind").await;
    assert!(pbx["reason"].is_string(), "{pbx}");
    system.until(SOON, "the status says so", |event| event["event"] == "pbx.blind").await;
    let down = rig.api.act(&stays, "hangup", json!({})).await.refused(503);
    assert_eq!(down["code"], "pbx_down", "{down}");
    assert!(
        down["detail"].as_str().is_some_and(|detail| detail.starts_with("PBX link down since")),
        "{down}"
    );
    let shown = rig.api.call(&stays).await;
    assert_eq!(shown["actions"]["hangup"]["not_possible"], true, "{shown}");
    assert!(
        shown["actions"]["hangup"]["why"]
            .as_str()
            .is_some_and(|why| why.starts_with("PBX link down since")),
        "{shown}"
    );
    assert_eq!(shown["blind"][0]["to"], Value::Null, "{shown}");
    rig.sim.thaw();
    rig.api.pbx_when(&rig.pbx, LATER, "attached").await;
    system.until(SOON, "the status says so", |event| event["event"] == "pbx.attached").await;
    assert!(rig.sim.call(kept.id).is_some());
    let ended = rig.ended(&leaves).await;
    assert_eq!(ended["outcome"], "answered", "{ended}");
    assert!(rig.sim.call(gone.id).is_none());
    let ended = rig.hang_up(kept.id, &stays).await;
    assert_eq!((&ended["outcome"], &ended["hangup"]["by"]), (&json!("answered"), &json!("caller")), "{ended}");
    events
        .until(SOON, "the end", |event| event["event"] == "call.ended" && event["call_id"] == stays.as_str())
        .await;
    let reconciled = events.names_of(&stays).iter().filter(|name| **name == "call.reconciled").count();
    assert_eq!(reconciled, 1, "{:?}", events.names_of(&stays));
    assert_eq!(ended["blind"].as_array().map(Vec::len), Some(1), "{ended}");
    assert!(ended["blind"][0]["to"].is_string(), "{ended}");
    events.assert_whole();
    rig.emptied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pbx_that_dies_fails_its_calls_and_the_next_call_is_clean() {
    for style in BOTH {
        let rig = Rig::new(style, Policy::RECORDED).await;
        let mut events = EventSocket::of_calls(&rig.api).await;
        let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
        // Boots less than 3 s apart count as one.
        listen_for(&rig.api, &session, 4000).await;
        rig.sim.crash();
        rig.api.pbx_when(&rig.pbx, LATER, "blind").await;
        rig.sim.restart().await.expect("it starts again");
        let ended = rig.api.call_when(&session, LATER, "it is over", |call| call["state"] == "ended").await;
        assert_eq!(ended["outcome"], "failed", "{ended}");
        events.until(SOON, "it is told", |event| event["event"] == "call.failed").await;
        let reconciled: Vec<&Value> = events.events.iter().filter(|event| event["event"] == "call.reconciled").collect();
        assert_eq!(reconciled.len(), 1, "{:?}", events.names());
        let blind = &reconciled[0]["data"]["blind"];
        assert!(blind["from"].as_str() < blind["to"].as_str(), "{}", reconciled[0]);
        let recording = rig.api.recording_when(&session, LATER, &["partial"]).await;
        assert!(recording["reason"].is_string(), "{recording}");
        let wav = download(&rig.api, &recording).await;
        let left = at_8k(&wav.channels[0], wav.rate);
        // What had come is there.
        let (_, heard) = ear::trimmed(&left);
        assert!(heard.len() >= 2 * 8000, "{} samples", heard.len());
        let _ = call;
        rig.api.pbx_when(&rig.pbx, LATER, "attached").await;
        crate::rig::apps_connected(&rig.sim).await;
        let (next, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
        listen_for(&rig.api, &session, 1500).await;
        let ended = rig.hang_up(next.id, &session).await;
        assert_eq!((&ended["outcome"], &ended["blind"]), (&json!("answered"), &json!([])), "{ended}");
        let recording = rig.api.recording_when(&session, SOON, &["saved"]).await;
        let wav = download(&rig.api, &recording).await;
        let left = at_8k(&wav.channels[0], wav.rate);
        ear::assert_is("the next call", ear::trimmed(&left).1, &ear::said(&rig.sim, next.id, TrackId::Caller));
        events
            .until(SOON, "its end", |event| event["event"] == "call.ended" && event["call_id"] == session.as_str())
            .await;
        assert!(!events.names_of(&session).contains(&"call.reconciled"), "{:?}", events.names_of(&session));
        events.assert_whole();
        rig.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_full_disk_calls_go_on_and_the_node_says_what_is_missing_until_it_recovers() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let mut events = EventSocket::of_calls(&rig.api).await;
    let mut system = EventSocket::of_topic(&rig.api, "system:status", None).await;
    let (before, known) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    rig.node.limit_files(Some(4096));
    let during = rig
        .sim
        .place_call(CallScript::internal("1002", "1003").talking(Duration::from_secs(2)))
        .expect("placed");
    system.until(SOON, "the status says so", |event| event["event"] == "service.down").await;
    let ready = rig.api.ask(reqwest::Method::GET, "/readyz", None).await.refused(503);
    assert!(ready["missing"].to_string().contains("store"), "{ready}");
    assert_eq!(rig.api.get("/healthz").await, "alive\n", "it lives");
    // What the PBX is asked for is done all the same, and what is heard is heard.
    listen_for(&rig.api, &known, 500).await;
    rig.api.act(&known, "dtmf", json!({ "digits": "1" })).await.ok();
    assert!(rig.sim.hangup(before.id, aimg_simulator::Side::Caller));
    aimg_tests::eventually(SOON, "the call that nobody could store is over", || async {
        if rig.sim.call(during.id).is_none() {
            Ok(())
        } else {
            Err("it lives".to_owned())
        }
    })
    .await;
    rig.node.limit_files(None);
    system.until(LATER, "the status says so", |event| event["event"] == "service.recovered").await;
    aimg_tests::eventually(SOON, "it is ready again", || async {
        let ready = rig.api.ask(reqwest::Method::GET, "/readyz", None).await;
        if ready.status.is_success() { Ok(()) } else { Err(ready.body.to_string()) }
    })
    .await;
    let ended = rig.ended(&known).await;
    assert_eq!(ended["outcome"], "answered", "{ended}");
    let late = rig.session_of(&during.linkedid).await;
    assert_eq!(rig.ended(&late).await["outcome"], "answered");
    for call in [&known, &late] {
        events
            .until(LATER, "its end", |event| event["event"] == "call.ended" && event["call_id"] == call.as_str())
            .await;
    }
    events.assert_whole();
    rig.emptied().await;
}
