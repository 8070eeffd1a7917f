//! `aimg demo`.

use aimg_tests::api::id;
use aimg_tests::node::Demo;
use aimg_tests::{AudioSocket, EventSocket, eventually};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_shows_calls_with_audio_and_ends_when_it_is_told() {
    let demo = Demo::start(&["--calls", "4", "--seed", "7"]).await;
    let api = demo.api();
    let signed_in = aimg_tests::Api::sign_in(
        &demo.url,
        demo.announced["email"].as_str().expect("an email"),
        demo.announced["password"].as_str().expect("a password"),
    )
    .await;
    assert_eq!(signed_in.tenant().await, api.tenant().await);
    assert!(demo.announced["ws"].as_str().is_some_and(|url| url.starts_with("ws://")), "{}", demo.announced);

    let mut events = EventSocket::of_calls(&api).await;
    events.until(SOON, "a call begins", |event| event["event"] == "call.started").await;
    events.until(SOON, "a call is answered", |event| event["event"] == "call.answered").await;
    events
        .until(Duration::from_secs(90), "a call ends", |event| event["event"] == "call.ended")
        .await;
    events.assert_whole();
    let up = eventually(SOON, "a call with audio", || async {
        let calls = api.list("call-sessions?state=up").await;
        calls.into_iter().next().ok_or_else(|| "no call is up".to_owned())
    })
    .await;
    let mut audio = AudioSocket::open(&api, id(&up)).await;
    audio.listen(&["caller"], 500, SOON).await;
    assert!(
        audio.track("caller").samples.iter().any(|sample| sample.unsigned_abs() > 500),
        "it is not silence"
    );

    let page = api.get("/").await;
    assert!(page.as_str().is_some_and(|page| page.contains("<html")), "a page for people");
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_tree_is_restarted_and_the_tree_says_why() {
    let demo = Demo::start(&["--calls", "2"]).await;
    let api = demo.api();
    let tree = || async { api.get("cluster/tree?page_size=5000").await["results"].as_array().expect("actors").clone() };
    let pbx = eventually(SOON, "the PBX's connection is in the tree", || async {
        let found = tree().await.into_iter().find(|actor| actor["kind"] == "pbx_connection");
        found.ok_or_else(|| "it is not".to_owned())
    })
    .await;
    let parents: Vec<_> = tree().await.iter().map(|actor| actor["parent"].clone()).collect();
    assert!(parents.iter().filter(|parent| parent.is_null()).count() == 1, "one root: {parents:?}");

    let before = pbx["restarts"].as_array().map_or(0, Vec::len);
    let path = format!("cluster/actors/{}/restart", id(&pbx));
    api.post(&path, json!({})).await.ok();
    let after = eventually(SOON, "the restart is shown", || async {
        let found = tree().await.into_iter().find(|actor| actor["id"] == pbx["id"]).ok_or("it is gone")?;
        let restarts = found["restarts"].as_array().cloned().unwrap_or_default();
        if restarts.len() > before { Ok(restarts) } else { Err(found.to_string()) }
    })
    .await;
    assert!(
        after.last().is_some_and(|restart| !restart["cause"].as_str().unwrap_or_default().is_empty()),
        "{after:?}"
    );
    demo.stop().await;
}
