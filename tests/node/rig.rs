//! What every scenario begins with: a node, a simulated PBX, and the link between them.

use aimg_simulator::{CallId, CallScript, CallView, SimConfig, SimHandle, Simulator, Style};
use aimg_tests::api::id;
use aimg_tests::node::Options;
use aimg_tests::wav::Wav;
use aimg_tests::{Api, AudioSocket, Node, eventually};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What happens within a second on a quiet machine; tests share two cores.
pub const SOON: Duration = Duration::from_secs(30);
pub const BOTH: [Style; 2] = [Style::Asterisk16, Style::Asterisk22];

pub struct Rig {
    // Dropped in this order: the node lets go before its PBX ends.
    pub node: Node,
    pub sim: SimHandle,
    pub api: Api,
    pub pbx: String,
    pub link: String,
}

/// The policies of a link, and what its taps carry.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub audio: &'static str,
    pub recording: &'static str,
    pub format: &'static str,
    pub tap_budget: u32,
}

impl Policy {
    pub const QUIET: Policy = Policy {
        audio: "on_demand",
        recording: "on_demand",
        format: "slin16",
        tap_budget: 100,
    };

    /// Tapped from the start, and recorded.
    pub const RECORDED: Policy = Policy {
        audio: "legs",
        recording: "always",
        ..Policy::QUIET
    };
}

impl Rig {
    pub async fn new(style: Style, policy: Policy) -> Rig {
        Rig::with(SimConfig::scripted(style), policy, Options::default()).await
    }

    pub async fn with(sim: SimConfig, policy: Policy, options: Options) -> Rig {
        let (node, sim) = tokio::join!(Node::serve_with(options), Simulator::start(sim));
        let sim = sim.expect("the simulator starts");
        let api = node.api().await;
        let made = api.post("pbx-links", link_body(&sim, policy)).await.ok();
        let pbx = made["pbx_id"].as_str().expect("the link names its pbx").to_owned();
        api.pbx_when(&pbx, SOON, "attached").await;
        apps_connected(&sim).await;
        Rig {
            node,
            sim,
            api,
            pbx,
            link: id(&made).to_owned(),
        }
    }

    /// Places a call; gives it with the id of its session.
    pub async fn place(&self, script: CallScript) -> (CallView, String) {
        let call = self.sim.place_call(script).expect("the call is placed");
        let session = self.session_of(&call.linkedid).await;
        (call, session)
    }

    /// Places a call and waits for the answer.
    pub async fn place_up(&self, script: CallScript) -> (CallView, String) {
        let (call, session) = self.place(script).await;
        self.api.call_when(&session, SOON, "it is answered", |call| call["state"] == "up").await;
        (call, session)
    }

    /// Answers a call that waits in our application.
    pub async fn answer(&self, session: &str) {
        self.answer_possible(session).await;
        self.api.act(session, "answer", json!({})).await.ok();
        self.api.call_when(session, SOON, "it is answered", |call| call["state"] == "up").await;
    }

    pub async fn answer_possible(&self, session: &str) {
        self.api
            .call_when(session, SOON, "it can be answered", |call| call["actions"]["answer"] == true)
            .await;
    }

    pub async fn session_of(&self, linkedid: &str) -> String {
        eventually(SOON, "the call has a session", || async {
            let calls = self.api.calls().await;
            let found: Vec<_> = calls.iter().filter(|call| has_linkedid(call, linkedid)).collect();
            match found.as_slice() {
                [one] => Ok(id(one).to_owned()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    pub async fn ended(&self, session: &str) -> Value {
        self.api.call_when(session, SOON, "it is over", |call| call["state"] == "ended").await
    }

    pub async fn hang_up(&self, call: CallId, session: &str) -> Value {
        assert!(self.sim.hangup(call, aimg_simulator::Side::Caller), "the call is there to be hung up");
        self.ended(session).await
    }

    /// The events of one call from the journal, in order.
    pub async fn journal_of(&self, session: &str) -> Vec<Value> {
        self.api.list(&format!("events?ordering=at&call_id={session}")).await
    }

    /// The PBX has no channel, no bridge and no stream: neither the calls' nor ours.
    pub async fn emptied(&self) {
        eventually(SOON, "nothing is left on the PBX", || async {
            let stats = self.sim.stats();
            if (stats.channels, stats.bridges, stats.streams) == (0, 0, 0) {
                Ok(())
            } else {
                Err(format!("{stats:?}"))
            }
        })
        .await;
    }

    /// The node is killed and started again; the token it gave stays good.
    pub async fn kill_and_start(&mut self) {
        self.node.kill().await;
        self.node.start().await;
    }
}

/// Both Stasis applications have their websocket: taps can be made.
pub async fn apps_connected(sim: &SimHandle) {
    eventually(SOON, "both applications are connected", || async {
        let stats = sim.stats();
        if stats.apps_connected == 2 { Ok(()) } else { Err(format!("{stats:?}")) }
    })
    .await;
}

fn has_linkedid(call: &Value, linkedid: &str) -> bool {
    call["linkedids"].as_array().is_some_and(|all| all.iter().any(|one| one == linkedid))
}

/// As `POST pbxs` takes it.
pub fn pbx_body(sim: &SimHandle, format: &str) -> Value {
    json!({
        "name": "simulated",
        "ami": { "host": "127.0.0.1", "port": sim.ami_addr.port(), "tls": false, "username": "ami", "secret": "amipass" },
        "ari": { "url": sim.ari_url, "username": "ari", "password": "aripass" },
        "media": { "ports": "shared", "format": format },
        "trunks": ["PJSIP/trunk-*"],
        "extensions": ["PJSIP/10*"],
        "country": "DE",
    })
}

pub fn link_body(sim: &SimHandle, policy: Policy) -> Value {
    json!({
        "pbx": pbx_body(sim, policy.format),
        "claims": { "match": "all" },
        "audio": policy.audio,
        "recording": policy.recording,
        "tap_budget": policy.tap_budget,
    })
}

/// A new user of this role, signed in; of another tenant than the administrator's if one is named.
pub async fn user(admin: &Api, tenant: Option<&str>, role: &str) -> Api {
    const PASSWORD: &str = "a long enough password";
    let email = format!("{role}-{}@example.org", tenant.unwrap_or("home"));
    let path = tenant.map_or_else(|| "users".to_owned(), |tenant| format!("users?tenant={tenant}"));
    admin.post(&path, json!({ "email": email, "password": PASSWORD, "role": role })).await.ok();
    Api::sign_in(&admin.url, &email, PASSWORD).await
}

/// Lets the call go on for this long, by its own audio.
pub async fn listen_for(api: &Api, session: &str, ms: u64) {
    listen_to(api, session, &["caller", "callee"], ms).await;
}

pub async fn listen_to(api: &Api, session: &str, tracks: &[&str], ms: u64) {
    let mut socket = AudioSocket::open(api, session).await;
    socket.listen(tracks, ms, SOON).await;
    socket.close().await;
}

/// The recording's file, after its manifest has proven true to it.
pub async fn download(api: &Api, recording: &Value) -> Wav {
    let path = format!("audio-recordings/{}/download", id(recording));
    let (status, bytes) = api.download(&path, None).await;
    assert_eq!(status.as_u16(), 200, "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(500)]));
    assert_eq!(recording["bytes"], bytes.len(), "{recording}");
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(recording["sha256"], sha256.as_str(), "{recording}");
    let wav = Wav::read(&bytes).expect("a WAV file");
    assert_eq!(recording["channels"], wav.channels.len(), "{recording}");
    let (status, part) = api.download(&path, Some("bytes=100-1099")).await;
    assert_eq!((status.as_u16(), &part[..]), (206, &bytes[100..1100]), "a range of the file");
    let (status, part) = api.download(&path, Some("bytes=-500")).await;
    assert_eq!((status.as_u16(), &part[..]), (206, &bytes[bytes.len() - 500..]), "its end");
    let (status, _) = api.download(&path, Some(&format!("bytes={}-", bytes.len()))).await;
    assert_eq!(status.as_u16(), 416, "nothing is behind the end");
    wav
}
