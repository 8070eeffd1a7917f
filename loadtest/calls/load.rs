//! The simulated Asterisk and its calls: plain dialplan calls that are answered at once and talk until hung up.

use super::api::Api;
use super::told;
use crate::report::progress;
use aimg_simulator::{CallId, CallScript, Side, SimConfig, SimHandle, Simulator, Style};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const ATTACH: Duration = Duration::from_secs(60);
const CALLS: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(500);

pub struct Load {
    simulator: SimHandle,
}

impl Load {
    pub async fn start() -> Result<Load, String> {
        let simulator = Simulator::start(SimConfig::scripted(Style::Asterisk22))
            .await
            .map_err(|error| format!("the simulated Asterisk: {error}"))?;
        Ok(Load { simulator })
    }

    /// Both legs of every call are tapped.
    pub async fn attach(&self, api: &mut Api, record: bool) -> Result<(), String> {
        let config = &self.simulator.config;
        let (Some(manager), Some(ari)) = (config.ami_users.first(), config.ari_users.first()) else {
            return Err("the simulator has no accounts".into());
        };
        let ami = self.simulator.ami_addr;
        let pbx = json!({
            "name": "load",
            "ami": { "host": ami.ip().to_string(), "port": ami.port(), "tls": false, "username": manager.name, "secret": manager.secret.expose() },
            "ari": { "url": self.simulator.ari_url, "username": ari.name, "password": ari.secret.expose() },
            "media": { "ports": "shared", "format": "ulaw" },
            "trunks": ["PJSIP/trunk-*"],
            "extensions": ["PJSIP/1*"],
            "country": "DE",
        });
        let recording = if record { "always" } else { "on_demand" };
        let link = json!({ "pbx": pbx, "claims": { "match": "all" }, "audio": "legs", "recording": recording, "tap_budget": 10_000 });
        api.post("pbx-links", &link).await?;
        let deadline = Instant::now() + ATTACH;
        loop {
            let pbxs = api.all("pbxs", "page_size=10").await?;
            if pbxs.iter().any(|pbx| pbx["state"] == "attached") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the simulated Asterisk was not attached in time: {}", json!(pbxs)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn place(&self, calls: u32, rate: u32) -> Result<Vec<CallId>, String> {
        let extensions = &self.simulator.config.numbering.extensions;
        let mut placed = Vec::new();
        let mut ticker = tokio::time::interval(Duration::from_secs(1) / rate);
        for (n, extension) in (0..calls).zip(extensions.iter().cycle()) {
            ticker.tick().await;
            let script = CallScript::inbound(&format!("030{:07}", 1_000_000 + n), &extension.number);
            placed.push(self.simulator.place_call(script).map_err(|error| format!("call {n}: {error}"))?.id);
        }
        Ok(placed)
    }

    /// Of all streams that are open.
    pub fn packets_sent(&self) -> u64 {
        self.simulator.streams().iter().map(|stream| stream.packets_sent).sum()
    }

    pub fn hang_up(&self, calls: &[CallId]) {
        for call in calls {
            self.simulator.hangup(*call, Side::Caller);
        }
    }
}

/// How many are heard: all, or fewer at the deadline.
pub async fn until_flowing(api: &mut Api, calls: usize) -> Result<usize, String> {
    let began = Instant::now();
    loop {
        let sessions = api.all("call-sessions", "page_size=200&status=active").await?;
        let flowing = told::flowing(&sessions);
        if flowing >= calls || began.elapsed() > CALLS {
            if flowing < calls {
                progress(&format!("only {flowing} of {calls}: {:?}", states(&sessions)));
            }
            return Ok(flowing);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// All calls there ever were, once none is active.
pub async fn until_ended(api: &mut Api, calls: usize) -> Result<Vec<Value>, String> {
    let began = Instant::now();
    loop {
        let active = api.all("call-sessions", "page_size=200&status=active").await?;
        if active.is_empty() || began.elapsed() > CALLS {
            let all = api.all("call-sessions", "page_size=200").await?;
            if all.len() != calls {
                progress(&format!("{} sessions of {calls} calls", all.len()));
            }
            return Ok(all);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn states(sessions: &[Value]) -> HashMap<String, usize> {
    let mut states = HashMap::new();
    for session in sessions {
        let state = format!("{} {}", session["state"].as_str().unwrap_or("?"), session["audio"].as_str().unwrap_or("?"));
        *states.entry(state).or_insert(0) += 1;
    }
    states
}
