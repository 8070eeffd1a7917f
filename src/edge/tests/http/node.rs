//! What is not of a tenant: life, readiness, figures, the page, the tree; and what every answer carries.

use crate::support::{Rig, answer};
use reqwest::Method;
use serde_json::json;

const SUPER: &str = "super_admin@alpha.org";

#[tokio::test]
async fn life_readiness_and_figures_are_told_to_everybody() {
    let rig = Rig::start().await;
    assert_eq!(answer(rig.request(Method::GET, "/healthz")).await, (200, json!("alive\n")));
    assert_eq!(answer(rig.request(Method::GET, "/readyz")).await.1["ready"], true);
    *rig.platform.ready.lock() = false;
    let response = rig.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.text().await.unwrap().contains("the store is down"));
    let metrics = rig.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(metrics.text().await.unwrap().contains("aimg_up 1"));
}

#[tokio::test]
async fn the_page_is_served_under_a_strict_policy() {
    let rig = Rig::start().await;
    let page = rig.request(Method::GET, "/").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert!(page.text().await.unwrap().contains("/api/openapi.json"));
    let style = rig.request(Method::GET, "/page.css").send().await.unwrap();
    assert!(style.headers()["content-type"].to_str().unwrap().starts_with("text/css"));
}

#[tokio::test]
async fn paths_methods_and_slashes() {
    let rig = Rig::start().await;
    assert_eq!(rig.get(SUPER, "/api/v1/tenants/").await.0, 200);
    assert_eq!(answer(rig.request(Method::GET, "/api/v1/nothing")).await.1["code"], "not_found");
    let wrong = rig.request(Method::DELETE, "/api/v1/tenants").send().await.unwrap();
    assert_eq!(
        (wrong.status().as_u16(), wrong.headers()["allow"].to_str().unwrap()),
        (405, "GET, POST, HEAD, OPTIONS")
    );
    let options = rig.request(Method::OPTIONS, "/api/v1/auth/token").send().await.unwrap();
    assert_eq!(
        (options.status().as_u16(), options.headers()["allow"].to_str().unwrap()),
        (204, "POST, OPTIONS")
    );
    let get = rig.by(SUPER, Method::GET, "/api/v1/tenants").await.send().await.unwrap();
    let length = get.headers()["content-length"].clone();
    let head = rig.by(SUPER, Method::HEAD, "/api/v1/tenants").await.send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &length));
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_not_kept_by_caches() {
    let rig = Rig::start().await;
    let response = rig.request(Method::GET, "/healthz").header("x-request-id", "abc-1").send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "abc-1");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let evil = rig.request(Method::GET, "/healthz").header("x-request-id", "a b\"c").send().await.unwrap();
    assert_eq!(evil.headers()["x-request-id"].len(), 36);
}

#[tokio::test]
async fn the_tree_is_shown_and_an_actor_restarted() {
    let rig = Rig::start().await;
    let tree = rig.get(SUPER, "/api/v1/cluster/tree").await.1;
    let ids: Vec<&str> = tree["results"].as_array().unwrap().iter().map(|actor| actor["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["call:1", "node:root", "pbx:1"]);
    assert_eq!(rig.get(SUPER, "/api/v1/cluster/tree?kind=pbx&parent=node:root").await.1["count"], 1);
    for base in ["cluster/actors", "cluster/tree"] {
        assert_eq!(rig.get(SUPER, &format!("/api/v1/{base}/pbx%3A1")).await.1["kind"], "pbx");
        assert_eq!(rig.post(SUPER, &format!("/api/v1/{base}/pbx:1/restart"), json!({})).await.0, 202);
        assert_eq!(rig.post(SUPER, &format!("/api/v1/{base}/pbx:9/restart"), json!({})).await.0, 404);
    }
    assert_eq!(*rig.platform.restarted.lock(), vec![("pbx:1".to_owned(), SUPER.to_owned()); 2]);
}

#[tokio::test]
async fn after_the_order_to_stop_open_requests_end_and_the_port_is_free() {
    let mut rig = Rig::start().await;
    assert_eq!(answer(rig.request(Method::GET, "/healthz")).await.0, 200);
    rig.stop();
    let served = rig.served.take().unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(20), served)
        .await
        .expect("serve returns")
        .unwrap();
    aimg_edge::bind(rig.address).unwrap();
}

#[tokio::test]
async fn a_handler_that_panics_is_our_own_mistake_and_the_connection_goes_on() {
    let rig = Rig::start().await;
    let (status, problem) = rig.post(SUPER, "/api/v1/cluster/actors/node:root/restart", json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (500, Some("internal")));
    assert!(!problem.to_string().contains("panics"));
    assert_eq!(answer(rig.request(Method::GET, "/healthz")).await.0, 200);
}
