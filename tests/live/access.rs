//! A PBX that cannot be used as it was given: the test names what is wrong.

use crate::scene::{LATER, SOON, Scene};
use aimg_tests::process::run;
use aimg_tests::{Api, Asterisk, Node};
use serde_json::{Value, json};

on_both!(
    the_test_names_what_is_wrong,
    a_pbx_is_attached_by_the_printed_line,
    a_password_that_turns_wrong_is_refused_and_told
);

async fn the_test_names_what_is_wrong(version: &str) {
    let (node, whole, without_ari) = tokio::join!(Node::serve(), Asterisk::up(version), Asterisk::up_with(version, &["--no-ari"]));
    let api = node.api().await;
    let good = access(&whole.pbx());
    let tested = api.post("pbxs/test", good.clone()).await.ok();
    assert_eq!(tested["ok"], true, "{tested}");
    assert!(tested["version"].as_str().is_some_and(|found| found.starts_with(version)), "{tested}");

    let wrong = |path: [&str; 2], value: Value| {
        let mut access = good.clone();
        access[path[0]][path[1]] = value;
        access
    };
    let cases = [
        (wrong(["ami", "secret"], json!("wrong")), "ami.login", "secret"),
        (wrong(["ami", "username"], json!("nobody")), "ami.login", "user"),
        (wrong(["ami", "username"], json!("limited")), "ami.permissions", "system"),
        (wrong(["ami", "port"], json!(9)), "ami.connect", "manager.conf"),
        (wrong(["ari", "password"], json!("wrong")), "ari.login", "ari.conf"),
        (wrong(["ari", "username"], json!("reader")), "ari.write", "read_only"),
        (wrong(["ari", "url"], json!("http://127.0.0.1:9")), "ari.connect", "http.conf"),
        (access(&without_ari.pbx()), "ari.connect", "res_ari"),
    ];
    for (given, step, advice) in cases {
        assert_fails(&api, given, step, advice).await;
    }
    whole.emptied(SOON).await;
}

/// Exactly this step fails, the first of those that do, and its words help.
async fn assert_fails(api: &Api, given: Value, step: &str, advice: &str) {
    let tested = api.post("pbxs/test", given).await.ok();
    assert_eq!(tested["ok"], false, "{step}: {tested}");
    let steps = tested["steps"].as_array().expect("steps");
    let failed = steps.iter().find(|each| each["ok"] == false).unwrap_or_else(|| panic!("{tested}"));
    assert_eq!(failed["step"], step, "{tested}");
    let detail = failed["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(advice), "{step} says {detail:?}, without {advice}");
    assert!(!tested.to_string().contains("wrong\""), "no secret comes back: {tested}");
}

fn access(pbx: &Value) -> Value {
    json!({ "ami": pbx["ami"], "ari": pbx["ari"], "media": pbx["media"] })
}

async fn a_pbx_is_attached_by_the_printed_line(version: &str) {
    let (node, asterisk) = tokio::join!(Node::serve(), Asterisk::up(version));
    let arguments = asterisk.attach_arguments().await;
    let said = run(LATER, node.command("attach").args(&arguments)).await;
    assert!(said.contains("attached"), "{said}");
    let api = node.api().await;
    let pbxs = api.list("pbxs").await;
    assert_eq!(pbxs.len(), 1, "{pbxs:?}");
    let attached = api.pbx_when(aimg_tests::api::id(&pbxs[0]), SOON, "attached").await;
    assert!(!attached.to_string().contains(asterisk.env("AMI_SECRET")), "a secret comes back: {attached}");
    assert!(!node.log().contains(asterisk.env("AMI_SECRET")), "a secret is in the log");
    let tree = run(LATER, &mut node.command("tree")).await;
    assert!(tree.contains("pbx"), "{tree}");
}

async fn a_password_that_turns_wrong_is_refused_and_told(version: &str) {
    let scene = Scene::recording(version).await;
    let path = format!("pbxs/{}", scene.pbx);
    let mut pbx = scene.asterisk.pbx();
    pbx["ami"]["secret"] = json!("wrong");
    scene.api.ask(reqwest::Method::PATCH, &path, Some(json!({ "ami": pbx["ami"] }))).await.ok();
    let refused = scene.api.pbx_when(&scene.pbx, LATER, "refused").await;
    assert!(
        refused["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("manager.conf") || reason.contains("password")),
        "{refused}"
    );
    let right = json!({ "ami": scene.asterisk.pbx()["ami"] });
    scene.api.ask(reqwest::Method::PATCH, &path, Some(right)).await.ok();
    scene.api.pbx_when(&scene.pbx, LATER, "attached").await;
    scene.api.delete(&path).await.ok();
    scene.asterisk.emptied(SOON).await;
}
