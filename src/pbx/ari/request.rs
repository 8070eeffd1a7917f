//! ARI requests as values: method, path, query, body. Every part of a path and every value is percent-encoded.

use base64::Engine;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: Method,
    /// Below `/ari`, encoded: `/channels/t22-1.0/answer`.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
}

/// Why a channel is hung up. Asterisk's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangupReason {
    Normal,
    Busy,
    Congestion,
    NoAnswer,
}

impl HangupReason {
    fn name(self) -> &'static str {
        match self {
            HangupReason::Normal => "normal",
            HangupReason::Busy => "busy",
            HangupReason::Congestion => "congestion",
            HangupReason::NoAnswer => "no_answer",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioDirection {
    None,
    In,
    Out,
    Both,
}

impl AudioDirection {
    fn name(self) -> &'static str {
        match self {
            AudioDirection::None => "none",
            AudioDirection::In => "in",
            AudioDirection::Out => "out",
            AudioDirection::Both => "both",
        }
    }
}

/// `POST /channels/{id}/snoop/{snoopId}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snoop {
    pub channel: String,
    pub snoop_id: String,
    /// What is heard: `In` is what the party says.
    pub spy: AudioDirection,
    /// Whom what is played on the snoop reaches: `Out` is the party.
    pub whisper: AudioDirection,
    pub app: String,
    pub app_args: String,
}

/// `POST /channels/externalMedia`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalMedia {
    pub app: String,
    pub channel_id: String,
    /// `host:port` that Asterisk sends to.
    pub external_host: String,
    /// Asterisk's name of the format: `ulaw`.
    pub format: String,
    pub variables: Vec<(String, String)>,
}

/// `POST /channels`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Originate {
    /// `PJSIP/1001`
    pub endpoint: String,
    pub channel_id: Option<String>,
    pub then: Then,
    pub caller_id: Option<String>,
    pub timeout_s: u32,
    /// Always named on Local channels: `ulaw`.
    pub formats: Option<String>,
    /// The channel that asked: theirs are the linkedid and the codecs.
    pub originator: Option<String>,
    pub variables: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    Place { context: String, exten: String, priority: u32 },
    App { app: String, args: String },
}

/// The variable that keeps a channel of ours out of the PBX's CDRs.
pub const CDR_OFF: (&str, &str) = ("CDR_PROP(disable)", "1");

impl Request {
    fn new(method: Method, parts: &[&str]) -> Request {
        let mut path = String::new();
        for part in parts {
            path.push('/');
            encode(part, &mut path);
            // Whole segments that mean "here" and "up", encoded or not: such ids are made ones that cannot exist.
            if matches!(*part, "." | "..") {
                path.push_str("%20");
            }
        }
        Request {
            method,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.query.push((name, value.into()));
        self
    }

    fn with_some(self, name: &'static str, value: Option<&str>) -> Request {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn with_variables(mut self, variables: &[(String, String)]) -> Request {
        if !variables.is_empty() {
            let variables: Map<String, Value> = variables.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            self.body = Some(json!({ "variables": variables }));
        }
        self
    }

    /// Path and query, encoded, below `/ari`.
    pub fn target(&self) -> String {
        let mut target = self.path.clone();
        for (n, (name, value)) in self.query.iter().enumerate() {
            target.push(if n == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            encode(value, &mut target);
        }
        target
    }

    /// What it asks, for errors and logs, without values: `POST /channels/x/answer`.
    pub fn what(&self) -> String {
        format!("{} {}", self.method.name(), self.path)
    }

    pub fn asterisk_info() -> Request {
        Request::new(Method::Get, &["asterisk", "info"])
    }

    pub fn asterisk_ping() -> Request {
        Request::new(Method::Get, &["asterisk", "ping"])
    }

    pub fn applications() -> Request {
        Request::new(Method::Get, &["applications"])
    }

    pub fn application(name: &str) -> Request {
        Request::new(Method::Get, &["applications", name])
    }

    pub fn channels() -> Request {
        Request::new(Method::Get, &["channels"])
    }

    pub fn channel(id: &str) -> Request {
        Request::new(Method::Get, &["channels", id])
    }

    pub fn hangup(id: &str, reason: HangupReason) -> Request {
        Request::new(Method::Delete, &["channels", id]).with("reason", reason.name())
    }

    pub fn answer(id: &str) -> Request {
        Request::new(Method::Post, &["channels", id, "answer"])
    }

    pub fn mute(id: &str, direction: AudioDirection) -> Request {
        Request::new(Method::Post, &["channels", id, "mute"]).with("direction", direction.name())
    }

    pub fn unmute(id: &str, direction: AudioDirection) -> Request {
        Request::new(Method::Delete, &["channels", id, "mute"]).with("direction", direction.name())
    }

    pub fn dtmf(id: &str, digits: &str, between_ms: u32, duration_ms: u32) -> Request {
        Request::new(Method::Post, &["channels", id, "dtmf"])
            .with("dtmf", digits)
            .with("between", between_ms.to_string())
            .with("duration", duration_ms.to_string())
    }

    pub fn hold(id: &str) -> Request {
        Request::new(Method::Post, &["channels", id, "hold"])
    }

    pub fn unhold(id: &str) -> Request {
        Request::new(Method::Delete, &["channels", id, "hold"])
    }

    pub fn start_moh(id: &str) -> Request {
        Request::new(Method::Post, &["channels", id, "moh"])
    }

    pub fn stop_moh(id: &str) -> Request {
        Request::new(Method::Delete, &["channels", id, "moh"])
    }

    /// Back into the dialplan; without a place, where it left it.
    pub fn continue_in_dialplan(id: &str, place: Option<(&str, &str, u32)>) -> Request {
        let request = Request::new(Method::Post, &["channels", id, "continue"]);
        match place {
            Some((context, exten, priority)) => request.with("context", context).with("extension", exten).with("priority", priority.to_string()),
            None => request,
        }
    }

    /// Into another Stasis application. Answers 204; its StasisStart follows there.
    pub fn move_to(id: &str, app: &str, app_args: &str) -> Request {
        Request::new(Method::Post, &["channels", id, "move"]).with("app", app).with("appArgs", app_args)
    }

    pub fn variable(id: &str, name: &str) -> Request {
        Request::new(Method::Get, &["channels", id, "variable"]).with("variable", name)
    }

    pub fn set_variable(id: &str, name: &str, value: &str) -> Request {
        Request::new(Method::Post, &["channels", id, "variable"])
            .with("variable", name)
            .with("value", value)
    }

    pub fn play(id: &str, playback_id: &str, media: &str) -> Request {
        Request::new(Method::Post, &["channels", id, "play", playback_id]).with("media", media)
    }

    pub fn stop_playback(playback_id: &str) -> Request {
        Request::new(Method::Delete, &["playbacks", playback_id])
    }

    pub fn snoop(snoop: &Snoop) -> Request {
        Request::new(Method::Post, &["channels", &snoop.channel, "snoop", &snoop.snoop_id])
            .with("spy", snoop.spy.name())
            .with("whisper", snoop.whisper.name())
            .with("app", &snoop.app)
            .with("appArgs", &snoop.app_args)
    }

    /// Wait for the channel's StasisStart before it is added to a bridge.
    pub fn external_media(media: &ExternalMedia) -> Request {
        Request::new(Method::Post, &["channels", "externalMedia"])
            .with("app", &media.app)
            .with("channelId", &media.channel_id)
            .with("external_host", &media.external_host)
            .with("format", &media.format)
            .with("direction", "both")
            .with_variables(&media.variables)
    }

    pub fn originate(request: &Originate) -> Request {
        let base = Request::new(Method::Post, &["channels"])
            .with("endpoint", &request.endpoint)
            .with("timeout", request.timeout_s.to_string())
            .with_some("channelId", request.channel_id.as_deref())
            .with_some("callerId", request.caller_id.as_deref())
            .with_some("formats", request.formats.as_deref())
            .with_some("originator", request.originator.as_deref());
        let base = match &request.then {
            Then::Place { context, exten, priority } => base.with("context", context).with("extension", exten).with("priority", priority.to_string()),
            Then::App { app, args } => base.with("app", app).with("appArgs", args),
        };
        base.with_variables(&request.variables)
    }

    pub fn bridges() -> Request {
        Request::new(Method::Get, &["bridges"])
    }

    pub fn bridge(id: &str) -> Request {
        Request::new(Method::Get, &["bridges", id])
    }

    /// A mixing bridge.
    pub fn create_bridge(id: &str, name: &str) -> Request {
        Request::new(Method::Post, &["bridges", id]).with("type", "mixing").with("name", name)
    }

    pub fn delete_bridge(id: &str) -> Request {
        Request::new(Method::Delete, &["bridges", id])
    }

    pub fn add_to_bridge(id: &str, channels: &[&str]) -> Request {
        Request::new(Method::Post, &["bridges", id, "addChannel"]).with("channel", channels.join(","))
    }

    pub fn remove_from_bridge(id: &str, channels: &[&str]) -> Request {
        Request::new(Method::Post, &["bridges", id, "removeChannel"]).with("channel", channels.join(","))
    }
}

/// Path and query of the event websocket of one application, below `/ari`.
pub fn events_target(app: &str) -> String {
    Request::new(Method::Get, &["events"]).with("app", app).with("subscribeAll", "false").target()
}

/// Value of the `Authorization` header. Never in a query: those stand in access logs.
pub fn basic_authorization(username: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}")
}

/// RFC 3986 unreserved characters stay, everything else is encoded.
fn encode(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_their_place_in_the_path() {
        assert_eq!(Request::answer("a/../b?c=1").path, "/channels/a%2F..%2Fb%3Fc%3D1/answer");
        assert_eq!(Request::answer("ami-o1;2").path, "/channels/ami-o1%3B2/answer");
        assert_eq!(
            Request::set_variable("x", "CDR_PROP(disable)", "1&é").target(),
            "/channels/x/variable?variable=CDR_PROP%28disable%29&value=1%26%C3%A9"
        );
    }

    #[test]
    fn external_media_carries_its_variables_in_the_body() {
        let request = Request::external_media(&ExternalMedia {
            app: "aimg-x-3".into(),
            channel_id: "aimgx.1".into(),
            external_host: "127.0.0.1:4000".into(),
            format: "ulaw".into(),
            variables: vec![(CDR_OFF.0.into(), CDR_OFF.1.into())],
        });
        assert_eq!(
            request.target(),
            "/channels/externalMedia?app=aimg-x-3&channelId=aimgx.1&external_host=127.0.0.1%3A4000&format=ulaw&direction=both"
        );
        assert_eq!(request.body, Some(serde_json::json!({"variables": {"CDR_PROP(disable)": "1"}})));
    }

    #[test]
    fn a_single_dot_segment_is_no_way_up() {
        assert_eq!(Request::channel("..").path, "/channels/..%20");
    }
}
