//! The commands of `aimg` against a running node.

use crate::rig::{Policy, Rig, SOON, apps_connected};
use aimg_simulator::{CallScript, SimConfig, Simulator, Style};
use aimg_tests::process::{attempt, run};
use aimg_tests::{Api, Node, within};
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asterisk_is_attached_in_one_line_or_told_what_is_wrong() {
    let (node, sim) = tokio::join!(Node::serve(), Simulator::start(SimConfig::scripted(Style::Asterisk22)));
    let sim = sim.expect("the simulator starts");
    let attach = |secret: &str| {
        let mut command = node.command("attach");
        command.args(["--name", "office", "--ami", &sim.ami_addr.to_string(), "--ami-user", "ami", "--ari-user", "ari"]);
        command.args([
            "--ari",
            sim.ari_url.trim_end_matches("/ari"),
            "--trunk",
            "PJSIP/trunk-*",
            "--extension",
            "PJSIP/10*",
        ]);
        command.env("AIMG_AMI_SECRET", secret).env("AIMG_ARI_PASSWORD", "aripass");
        command
    };
    let (ok, out, err) = attempt(SOON, &mut attach("wrong")).await;
    assert!(!ok && out.contains("FAIL ami.login") && err.contains("manager.conf"), "{out}{err}");
    assert_eq!(node.api().await.list("pbxs").await.len(), 0, "nothing is kept of it");
    let made = json(&run(SOON, attach("amipass").arg("--json")).await);
    node.api().await.pbx_when(made["pbx_id"].as_str().expect("a pbx"), SOON, "attached").await;
    apps_connected(&sim).await;
    let said = run(SOON, &mut attach("amipass")).await;
    assert!(said.contains("ok   ami.login") && said.contains("Stasis(aimg-"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_the_tree_are_listed_and_followed() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let (call, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    let listed = json(&run(SOON, rig.node.command("calls").arg("--json")).await);
    assert_eq!(listed["results"][0]["id"], session.as_str(), "{listed}");
    let lines = run(SOON, &mut rig.node.command("calls")).await;
    assert!(lines.contains(&session) && lines.contains("1 calls in progress"), "{lines}");
    let tree = run(SOON, &mut rig.node.command("tree")).await;
    assert!(tree.contains(&format!("call_session:{session}")) || tree.contains("call_session"), "{tree}");
    json(&run(SOON, rig.node.command("tree").arg("--json")).await);

    let mut follow = rig.node.command("calls");
    follow
        .args(["--follow", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut follow = follow.spawn().expect("aimg starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("piped")).lines();
    let first = within(SOON, "the call that is there", lines.next_line()).await.expect("text").expect("a line");
    assert_eq!(json(&first)["id"], session.as_str());
    rig.hang_up(call.id, &session).await;
    within(SOON, "its end is printed", async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if json(&line)["event"] == "call.ended" {
                return;
            }
        }
        panic!("it ended before the call did");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_check_and_openapi_say_what_they_are_asked() {
    let node = Node::serve().await;
    let bare = |arguments: &[&str]| {
        let mut command = aimg_tests::node::program();
        command.args(arguments);
        command
    };
    let data = node.data().display().to_string();
    let token = run(SOON, &mut bare(&["token", "--data", &data, "--for", "1m"])).await;
    let api = Api::with_token(&node.url(), token.trim());
    assert_eq!(api.get("users/me").await["role"], "super_admin");
    let document = json(&run(SOON, &mut bare(&["openapi"])).await);
    assert_eq!(document, api.get("/api/openapi.json").await, "the command prints what the node serves");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("node.toml");
    std::fs::write(&config, "[media]\nports = [22000, 22000]\n").expect("written");
    let config = config.display().to_string();
    let (ok, out, err) = attempt(SOON, &mut bare(&["check", "--config", &config, "--data", &folder.path().display().to_string()])).await;
    assert!(!ok && format!("{out}{err}").contains("media.ports"), "{out}{err}");
    std::fs::write(folder.path().join("node.toml"), "[media]\nports = [22000, 22010]\n").expect("written");
    run(SOON, &mut bare(&["check", "--config", &config, "--data", &folder.path().display().to_string()])).await;
    let (ok, _, err) = attempt(SOON, &mut bare(&["serve", "--data", &data, "--listen", "127.0.0.1:0"])).await;
    assert!(!ok && err.contains("lock") || err.contains("another"), "a data folder is one node's: {err}");
}
