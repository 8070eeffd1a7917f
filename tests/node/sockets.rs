//! `/ws` over a node's life: filters, topics, recovery by position across reconnects and deaths, and rights that end.

use crate::rig::{Policy, Rig, SOON, user};
use aimg_simulator::{CallScript, SimConfig, Style};
use aimg_tests::node::Options;
use aimg_tests::{AudioSocket, EventSocket, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const PERMISSION_ENDED: u16 = 4001;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_with_its_position_misses_nothing_also_after_a_crash() {
    let sim = SimConfig {
        ring_mean: Duration::from_millis(200),
        talk_mean: Duration::from_millis(800),
        ..SimConfig::busy(6, 3)
    };
    let mut rig = Rig::with(
        sim,
        Policy {
            audio: "none",
            ..Policy::QUIET
        },
        Options::default(),
    )
    .await;
    let topic = format!("tenant:{}:calls", rig.api.tenant().await);
    let mut first = EventSocket::of_topic(&rig.api, &topic, None).await;
    let mut events: Vec<Value> = Vec::new();
    for crash in [false, true, false] {
        let wanted = first.events.len() + 15;
        first.gather(wanted, SOON).await;
        let position = first.position();
        if crash {
            rig.node.kill().await;
            rig.node.start().await;
        } else {
            // Something happens while nobody listens.
            let ended = rig.sim.stats().calls_ended;
            eventually(SOON, "calls end", || async {
                if rig.sim.stats().calls_ended > ended + 2 {
                    Ok(())
                } else {
                    Err("none ended".to_owned())
                }
            })
            .await;
        }
        events.append(&mut first.events);
        drop(first);
        let mut next = EventSocket::connect(&rig.api).await;
        let answer = next.subscribe(&topic, position).await;
        assert_eq!(answer["recovered"], true, "{answer}");
        first = next;
    }
    events.append(&mut first.events);
    first.events = events;
    first.assert_whole();
    let head = first.position().expect("events came");
    let journal = rig.api.list("events?after_epoch=0&after_offset=0").await;
    let from = (first.events[0]["epoch"].as_u64().unwrap(), first.events[0]["offset"].as_u64().unwrap());
    let place = |event: &Value| (event["epoch"].as_u64().unwrap(), event["offset"].as_u64().unwrap());
    let kept: Vec<&Value> = journal
        .iter()
        .filter(|event| (from..=head).contains(&place(event)))
        .map(|event| &event["id"])
        .collect();
    let pushed: Vec<&Value> = first.events.iter().map(|event| &event["id"]).collect();
    assert_eq!(kept, pushed, "what was pushed is what is kept");

    let future = first.ask(json!({ "unsubscribe": { "topic": topic } })).await;
    assert!(future.get("error").is_none(), "{future}");
    let answer = first
        .ask(json!({ "subscribe": { "topic": topic, "recover": { "epoch": 999, "offset": 1 } } }))
        .await;
    assert_eq!(answer["recovered"], false, "a position that never was: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_lets_only_its_events_through_and_a_topic_only_its_call() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let topic = format!("tenant:{}:calls", rig.api.tenant().await);
    let mut filtered = EventSocket::connect(&rig.api).await;
    filtered
        .command(json!({ "subscribe": { "topic": topic, "filter": { "events": ["call.answered"] } } }))
        .await;
    let mut all = EventSocket::of_calls(&rig.api).await;
    let (one, first) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let mut of_first = EventSocket::of_topic(&rig.api, &format!("call:{first}"), Some((0, 0))).await;
    let (two, second) = rig.place_up(CallScript::internal("1002", "1003")).await;
    rig.hang_up(one.id, &first).await;
    rig.hang_up(two.id, &second).await;
    all.until(SOON, "the end", |event| event["event"] == "call.ended" && event["call_id"] == second.as_str())
        .await;
    of_first.until(SOON, "its end", |event| event["event"] == "call.ended").await;
    filtered.until(SOON, "the answer", |event| event["call_id"] == second.as_str()).await;
    assert_eq!(filtered.names(), ["call.answered", "call.answered"]);
    assert_eq!(
        of_first.names(),
        all.names_of(&first),
        "a call's topic has all of the call, also what was before"
    );
    assert!(of_first.events.iter().all(|event| event["call_id"] == first.as_str()));
    of_first.assert_whole();
    let doubled = filtered.ask(json!({ "subscribe": { "topic": topic } })).await;
    assert_eq!(doubled["error"]["code"], "conflict", "{doubled}");
    let none = filtered
        .ask(json!({ "subscribe": { "topic": "call:00000000-0000-0000-0000-000000000000" } }))
        .await;
    assert_eq!(none["error"]["code"], "not_found", "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_users_sockets_close_at_once_and_the_tokens_are_dead() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let (_, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let operator = user(&rig.api, None, "operator").await;
    let me = operator.get("users/me").await;
    let mut events = EventSocket::of_calls(&operator).await;
    let mut audio = AudioSocket::open(&operator, &session).await;
    audio.listen(&["caller"], 200, SOON).await;
    rig.api.post(&format!("users/{}/disable", aimg_tests::api::id(&me)), json!({})).await.ok();
    operator.ask(reqwest::Method::GET, "call-sessions", None).await.refused(401);
    assert_eq!(events.closed(SOON).await, Some(PERMISSION_ENDED));
    assert_eq!(audio.closed(SOON).await.map(|closed| closed.0), Some(PERMISSION_ENDED));
    let again = operator
        .post("auth/token", json!({ "email": me["email"], "password": "a long enough password" }))
        .await;
    assert!([401, 403].contains(&again.status.as_u16()), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_of_another_tenant_is_forbidden() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let other = rig.api.post("tenants", json!({ "name": "Other", "slug": "other" })).await.ok();
    let stranger = user(&rig.api, Some(aimg_tests::api::id(&other)), "tenant_admin").await;
    let mut socket = EventSocket::connect(&stranger).await;
    let home = format!("tenant:{}:calls", rig.api.tenant().await);
    let refused = socket.ask(json!({ "subscribe": { "topic": home } })).await;
    assert_eq!(refused["error"]["code"], "forbidden", "{refused}");
    let refused = socket.ask(json!({ "subscribe": { "topic": format!("call:{session}") } })).await;
    assert_eq!(refused["error"]["code"], "not_found", "{refused}");
    let own = format!("tenant:{}:calls", stranger.tenant().await);
    socket.subscribe(&own, None).await;
    socket.subscribe("system:status", None).await;
    rig.hang_up(call.id, &session).await;
    // A PBX of one's neighbour is none of one's business.
    rig.sim.crash();
    rig.api.pbx_when(&rig.pbx, SOON, "blind").await;
    assert_eq!(socket.ask(json!({ "ping": {} })).await["pong"], true);
    assert_eq!(socket.events, Vec::<Value>::new(), "nothing of the other tenant is told");
}
