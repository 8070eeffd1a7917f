//! `aimg serve`: first start, what it shows, who may do what, and a crash.

use aimg_tests::api::id;
use aimg_tests::node::{EMAIL, PASSWORD};
use aimg_tests::{Api, Node};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_node_is_ready_and_says_what_it_can() {
    let node = Node::serve().await;
    let api = node.api().await;
    api.get("/healthz").await;
    api.get("/readyz").await;
    let metrics = api.get("/metrics").await;
    assert!(metrics.as_str().is_some_and(|text| text.contains("aimg_")), "{metrics}");
    let document = api.get("/api/openapi.json").await;
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")),
        "{}",
        document["openapi"]
    );
    for path in ["/api/v1/call-sessions", "/api/v1/pbx-links", "/api/v1/audio-recordings", "/api/v1/cluster/tree"] {
        assert!(document["paths"][path].is_object(), "{path} is documented");
    }
    for file in std::fs::read_dir(node.data().join("keys")).expect("keys are made at first start") {
        let file = file.expect("a key file");
        assert_eq!(
            file.metadata().expect("its mode").permissions().mode() & 0o077,
            0,
            "{:?} is the owner's alone",
            file.path()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_crash() {
    let mut node = Node::serve().await;
    let api = node.api().await;
    let made = api
        .post(
            "users",
            json!({ "email": "ops@example.org", "password": "a long enough one", "name": "Ops", "role": "viewer" }),
        )
        .await
        .ok();
    node.kill().await;
    node.start().await;
    let api = node.api().await;
    assert_eq!(api.get(&format!("users/{}", id(&made))).await["email"], "ops@example.org");
    let viewer = Api::sign_in(&node.url(), "ops@example.org", "a long enough one").await;
    viewer.get("call-sessions").await;
    viewer
        .post(
            "users",
            json!({ "email": "x@example.org", "password": "a long enough one", "name": "X", "role": "viewer" }),
        )
        .await
        .refused(403);
    assert!(!node.log().contains(PASSWORD), "a password is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_signed_in_sees_nothing() {
    let node = Node::serve().await;
    let nobody = Api::with_token(&node.url(), "");
    for path in ["call-sessions", "pbxs", "cluster/tree", "events"] {
        let problem = nobody.ask(reqwest::Method::GET, path, None).await.refused(401);
        assert!(problem["code"].is_string() && problem["status"] == 401, "{problem}");
    }
    let wrong = nobody.post("auth/token", json!({ "email": EMAIL, "password": "wrong" })).await.refused(401);
    assert!(!wrong.to_string().contains(EMAIL), "it does not say whether the account is there: {wrong}");
}
