//! `aimg demo`: a node with embedded storage and a simulated PBX, calls flowing.

use super::calls::{event_line, subscribe};
use super::say;
use crate::boot::{self, Node};
use crate::cli;
use crate::client::Client;
use crate::config::Config;
use crate::telemetry;
use aimg_simulator::{SimConfig, SimHandle, Simulator};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

const EMAIL: &str = "demo@example.org";

pub async fn run(given: cli::Demo) -> Result<(), String> {
    let folder = Folder::of(&given)?;
    let mut config = Config {
        data: folder.path.clone(),
        listen: given.listen,
        ..Config::default()
    };
    config.log.filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into());
    telemetry::logs(&config.log)?;
    if !given.json {
        say("starting a node and a simulated Asterisk…");
    }
    let node = boot::start(&config).await?;
    let password = boot::random_password();
    node.ensure_admin(EMAIL, &password, "Demo", "demo").await?;
    let password = node.reset_password(EMAIL, &password).await?;
    node.open();
    let simulator = simulator(&given).await?;
    let client = Client::new(&cli::Reach {
        url: node.url(),
        token: Some(node.admin_token(Duration::from_secs(12 * 3600))?),
        data: folder.path.clone(),
        tenant: None,
    })?;
    attach(&client, &simulator, given.calls).await?;
    announce(&given, &node, &client, &password);
    let following = follow(&client, !given.json);
    let ended = async {
        match given.run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        () = ended => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = terminated() => Ok(()),
        () = node.ended() => Err("the supervision tree ended".to_owned()),
        error = following => Err(error),
    };
    node.stop(Duration::from_secs(10)).await;
    simulator.shutdown();
    drop(folder);
    result
}

async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// The data folder: the one given, or one that goes with the demo.
struct Folder {
    path: PathBuf,
    remove: bool,
}

impl Folder {
    fn of(given: &cli::Demo) -> Result<Folder, String> {
        if let Some(path) = &given.data {
            return Ok(Folder {
                path: path.clone(),
                remove: false,
            });
        }
        let path = std::env::temp_dir().join(format!("aimg-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder { path, remove: true })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.remove && std::fs::remove_dir_all(&self.path).is_err() {
            eprintln!("aimg: {} could not be removed", self.path.display());
        }
    }
}

async fn simulator(given: &cli::Demo) -> Result<SimHandle, String> {
    let config = SimConfig::busy(given.calls, given.seed);
    Simulator::start(config)
        .await
        .map_err(|error| format!("the simulated Asterisk did not start: {error}"))
}

/// Once a data folder: a second demo on it moves the pbx to where its simulator listens now.
async fn attach(client: &Client, simulator: &SimHandle, calls: usize) -> Result<(), String> {
    let config = &simulator.config;
    let (Some(manager), Some(ari)) = (config.ami_users.first(), config.ari_users.first()) else {
        return Err("the simulator has no accounts".into());
    };
    let pbx = json!({
        "name": "simulated Asterisk",
        "ami": { "host": simulator.ami_addr.ip().to_string(), "port": simulator.ami_addr.port(), "tls": false, "username": manager.name, "secret": manager.secret.expose() },
        "ari": { "url": simulator.ari_url, "username": ari.name, "password": ari.secret.expose() },
        "media": { "ports": "shared", "format": "ulaw" },
        "trunks": ["PJSIP/trunk-*"],
        "extensions": ["PJSIP/1*"],
        "country": "DE",
        "national_prefix": "0",
    });
    let known = client.get("pbxs").await?;
    if let Some(id) = known["results"][0]["id"].as_str() {
        client.patch(&format!("pbxs/{id}"), &pbx).await?;
        return Ok(());
    }
    let link = json!({ "pbx": pbx, "claims": { "match": "all" }, "audio": "legs", "recording": "on_demand", "tap_budget": calls + 50 });
    client.post("pbx-links", &link).await.map(drop)
}

fn announce(given: &cli::Demo, node: &Node, client: &Client, password: &str) {
    let url = node.url();
    if given.json {
        let ws = url.replacen("http", "ws", 1) + "/ws";
        say(json!({ "url": url, "ws": ws, "email": EMAIL, "password": password, "token": client.token }));
        return;
    }
    say(format!("look at   {url}/"));
    say(format!("sign in   {EMAIL} with password {password}"));
    say(format!("try       curl -H 'Authorization: Bearer {}' {url}/api/v1/call-sessions", client.token));
    say("calls as they happen (Ctrl-C ends the demo):");
}

/// Every event of the tenant's calls, line by line; with `--json` nothing is printed.
async fn follow(client: &Client, print: bool) -> String {
    if !print {
        return std::future::pending().await;
    }
    match follow_or_fail(client).await {
        Ok(()) => "the node closed the connection".into(),
        Err(error) => error,
    }
}

async fn follow_or_fail(client: &Client) -> Result<(), String> {
    let mut socket = subscribe(client, None).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.map_err(|error| error.to_string())? else {
            continue;
        };
        let push: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if push.get("event").is_some() {
            say(event_line(&push));
        }
    }
    Ok(())
}
