//! PBXs and links at run time: attached, changed, detached; two tenants on one PBX; and nothing left behind by many calls.

use crate::rig::{Policy, Rig, SOON, link_body, pbx_body, user};
use aimg_simulator::{CallScript, Ending, SimConfig, Simulator, Style};
use aimg_tests::api::id;
use aimg_tests::{AudioSocket, EventSocket, Node, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_on_one_pbx_see_only_their_own_calls() {
    let (node, sim) = tokio::join!(Node::serve(), Simulator::start(SimConfig::scripted(Style::Asterisk22)));
    let sim = sim.expect("the simulator starts");
    let admin = node.api().await;
    let mut body = pbx_body(&sim, "ulaw");
    body["owner"] = json!("platform");
    let pbx = admin.post("pbxs", body).await.ok();
    let mut tenants = Vec::new();
    for (slug, context) in [("outside", "from-trunk"), ("inside", "from-internal")] {
        let tenant = admin.post("tenants", json!({ "name": slug, "slug": slug })).await.ok();
        let link = json!({ "pbx_id": pbx["id"], "claims": { "match": "context", "values": [context] } });
        admin.post(&format!("pbx-links?tenant={slug}"), link).await.ok();
        tenants.push(user(&admin, Some(id(&tenant)), "tenant_admin").await);
    }
    admin.pbx_when(id(&pbx), SOON, "attached").await;
    crate::rig::apps_connected(&sim).await;
    let mut sockets = [EventSocket::of_calls(&tenants[0]).await, EventSocket::of_calls(&tenants[1]).await];
    let inward = sim.place_call(CallScript::echo("0301234567").talking(Duration::from_secs(1))).expect("placed");
    let inside = sim
        .place_call(CallScript::internal("1001", "1002").talking(Duration::from_secs(1)))
        .expect("placed");
    for (n, call) in [inward, inside].iter().enumerate() {
        sockets[n].until(SOON, "the end", |event| event["event"] == "call.ended").await;
        let calls = tenants[n].calls().await;
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!(calls[0]["linkedids"], json!([call.linkedid]));
        assert!(
            sockets[n].events.iter().all(|event| event["call_id"] == calls[0]["id"]),
            "{:?}",
            sockets[n].names()
        );
        sockets[n].assert_whole();
        let other = &tenants[1 - n];
        other.ask(Method::GET, &format!("call-sessions/{}", id(&calls[0])), None).await.refused(404);
        other.act(id(&calls[0]), "hangup", json!({})).await.refused(404);
    }
    // A PBX of the platform is used, not seen through.
    let seen = tenants[0].get(&format!("pbxs/{}", id(&pbx))).await;
    assert_eq!((&seen["ami"], &seen["ari"]), (&Value::Null, &Value::Null), "{seen}");
    let all = json!({ "pbx_id": pbx["id"], "claims": { "match": "all" } });
    tenants[0].post("pbx-links", all).await.refused(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_changed_and_a_pbx_detached_and_attached_again_while_calls_run() {
    let rig = Rig::new(Style::Asterisk16, Policy::QUIET).await;
    let path = format!("pbx-links/{}", rig.link);
    let (first, before) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    rig.api
        .ask(Method::PATCH, &path, Some(json!({ "audio": "legs", "recording": "always" })))
        .await
        .ok();
    let (second, after) = rig.place_up(CallScript::inbound("0301234568", "1002")).await;
    rig.api
        .call_when(&after, SOON, "the new policy holds", |call| call["recording"] == "active")
        .await;
    rig.hang_up(second.id, &after).await;
    rig.api.recording_when(&after, SOON, &["saved"]).await;
    rig.api
        .ask(Method::PATCH, &path, Some(json!({ "recording": "never", "audio": "on_demand" })))
        .await
        .ok();
    let refused = rig.api.act(&before, "start-recording", json!({})).await.refused(409);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("policy")), "{refused}");
    let unknown = rig.api.ask(Method::PATCH, &path, Some(json!({ "audio": "loud" }))).await.refused(400);
    assert!(unknown.to_string().contains("on_demand"), "{unknown}");

    rig.api.delete(&format!("pbxs/{}", rig.pbx)).await.ok();
    let ended = rig.ended(&before).await;
    assert_eq!(ended["outcome"], "failed", "{ended}");
    eventually(SOON, "nobody is signed in any more", || async {
        let stats = rig.sim.stats();
        if (stats.managers, stats.apps_connected) == (0, 0) {
            Ok(())
        } else {
            Err(format!("{stats:?}"))
        }
    })
    .await;
    assert!(rig.sim.call(first.id).is_some(), "the call itself goes on");
    assert_eq!(rig.api.list("pbxs").await, Vec::<Value>::new());
    assert_eq!(rig.api.list("pbx-links").await, Vec::<Value>::new());

    let again = rig.api.post("pbx-links", link_body(&rig.sim, Policy::QUIET)).await.ok();
    let pbx = again["pbx_id"].as_str().expect("a pbx").to_owned();
    assert_ne!(pbx, rig.pbx);
    rig.api.pbx_when(&pbx, SOON, "attached").await;
    // What was there before us is adopted.
    let adopted = rig.api.live_call(SOON, "up").await;
    let ended = rig.hang_up(first.id, id(&adopted)).await;
    assert_eq!(ended["outcome"], "answered", "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_short_calls_leave_nothing_behind() {
    let rig = Rig::new(
        Style::Asterisk22,
        Policy {
            audio: "legs",
            ..Policy::QUIET
        },
    )
    .await;
    let actors = || async { rig.api.get("cluster/tree?page_size=1").await["count"].as_u64().expect("a count") };
    // One call first: what is made once and stays is there then.
    let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    rig.hang_up(call.id, &session).await;
    rig.emptied().await;
    eventually(SOON, "its actors are gone", || async {
        let calls = rig.api.get("cluster/tree?kind=call").await;
        if calls["results"] == json!([]) { Ok(()) } else { Err(calls.to_string()) }
    })
    .await;
    let base = actors().await;
    let mut events = EventSocket::of_calls(&rig.api).await;
    let talk = Duration::from_millis(600);
    for round in 0..20 {
        for n in 0..10 {
            let script = match n % 5 {
                0 => CallScript::outbound("1002", "0897654321").talking(talk),
                1 => CallScript::internal("1003", "1004").talking(talk),
                2 => CallScript::echo("0301234567").talking(talk),
                3 => CallScript::inbound("0301234567", "1001").ending(Ending::Busy),
                _ => CallScript::inbound("0301234567", "1001").talking(talk),
            };
            rig.sim.place_call(script).expect("placed");
        }
        // The next ten while these end.
        let ended = 10 * round;
        eventually(SOON, "calls end", || async {
            let stats = rig.sim.stats();
            if stats.calls_ended >= ended { Ok(()) } else { Err(format!("{stats:?}")) }
        })
        .await;
    }
    eventually(Duration::from_secs(60), "all are over", || async {
        let active = rig.api.get("call-sessions?status=active").await;
        if active["results"] == json!([]) && rig.sim.stats().calls_up == 0 {
            Ok(())
        } else {
            Err(active["count"].to_string())
        }
    })
    .await;
    rig.emptied().await;
    let count = rig.api.get("call-sessions?page_size=1").await["count"].as_u64();
    assert_eq!(count, Some(201), "one session each");
    events
        .until(SOON, "the last end", |event| event["event"] == "call.ended" && event["seq"].is_u64())
        .await;
    // Our own socket is there now, and was not at the base.
    eventually(SOON, "the actors are as many as before", || async {
        let now = actors().await;
        if now <= base + 1 { Ok(()) } else { Err(format!("{now} instead of {base}")) }
    })
    .await;
    eventually(SOON, "no stream is open", || async {
        let metrics = rig.api.get("/metrics").await;
        let lines = metrics.as_str().expect("text").lines().map(str::to_owned);
        let streams: Vec<String> = lines.filter(|line| line.starts_with("aimg_media_streams")).collect();
        match streams.as_slice() {
            [one] if one.ends_with(" 0") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // A tap is still to be had.
    let (_, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let mut audio = AudioSocket::open(&rig.api, &session).await;
    audio.listen(&["caller", "callee"], 200, SOON).await;
}
