//! What ARI answers, tolerant of what newer versions add.

use super::time;
use aimg_domain::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// An answer with status 2xx.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as `T`; the error names what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("ARI answered something else than expected: {error}"))
    }
}

/// `{"message": "Channel not found"}` of a refusal, or the bare text, cut to 300 characters; nothing of an HTML page.
pub fn refusal_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(alias = "error")]
        message: String,
    }
    let text = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) if body.trim_ascii_start().starts_with(b"<") => String::new(),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    text.chars().take(300).collect()
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct AriChannel {
    /// The uniqueid of AMI.
    pub id: String,
    #[serde(default)]
    pub name: String,
    /// `Down`, `Ring`, `Ringing`, `Up`, …
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub caller: Party,
    #[serde(default)]
    pub connected: Party,
    #[serde(default)]
    pub accountcode: String,
    #[serde(default)]
    pub dialplan: Dialplan,
    #[serde(default, deserialize_with = "time::lenient")]
    pub creationtime: Option<Timestamp>,
    #[serde(default, deserialize_with = "texts")]
    pub channelvars: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Party {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub number: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Dialplan {
    #[serde(default)]
    pub context: String,
    #[serde(default)]
    pub exten: String,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub app_name: String,
    #[serde(default)]
    pub app_data: String,
}

impl AriChannel {
    /// Where an external media channel sends from: the key of its stream. Only the answer to its making has it.
    pub fn unicast_rtp_local(&self) -> Option<SocketAddr> {
        let address = self.channelvars.get("UNICASTRTP_LOCAL_ADDRESS")?.parse().ok()?;
        let port = self.channelvars.get("UNICASTRTP_LOCAL_PORT")?.parse().ok()?;
        Some(SocketAddr::new(address, port))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct AriBridge {
    pub id: String,
    #[serde(default)]
    pub bridge_type: String,
    #[serde(default)]
    pub bridge_class: String,
    #[serde(default)]
    pub creator: String,
    #[serde(default)]
    pub name: String,
    /// uniqueids
    #[serde(default)]
    pub channels: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Application {
    pub name: String,
    #[serde(default)]
    pub channel_ids: Vec<String>,
    #[serde(default)]
    pub bridge_ids: Vec<String>,
}

/// `GET /asterisk/info`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct AsteriskInfo {
    #[serde(default)]
    pub system: System,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub config: Config,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct System {
    /// `22.10.1`
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub entity_id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Status {
    #[serde(default, deserialize_with = "time::lenient")]
    pub startup_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "time::lenient")]
    pub last_reload_time: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// The system name.
    #[serde(default)]
    pub name: String,
}

/// `GET /channels/{id}/variable`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Variable {
    pub value: String,
}

/// Variables are texts, but a newer version may add other kinds.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(values
        .into_iter()
        .filter_map(|(name, value)| match value {
            serde_json::Value::String(text) => Some((name, text)),
            serde_json::Value::Null => None,
            other => Some((name, other.to_string())),
        })
        .collect())
}
