//! Actions: what we ask of Asterisk over AMI. A value that holds a line end is refused, never sent: it would
//! smuggle in headers or a whole action.

use md5::{Digest, Md5};
use std::fmt;

/// Asterisk answers "line too long" somewhere between this and 2000 bytes.
pub const VALUE_MAX: usize = 900;
/// Asterisk refuses 200 headers.
pub const HEADERS_MAX: usize = 100;

#[derive(Clone, PartialEq, Eq)]
pub struct Action {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    /// The answer is whole when this event of the same ActionID has come.
    pub(crate) until: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionFault {
    #[error("{header} of {action} holds a line end, which AMI cannot carry")]
    LineEnd { action: &'static str, header: &'static str },
    #[error("{header} of {action} has {bytes} bytes, AMI carries {VALUE_MAX}")]
    TooLong { action: &'static str, header: &'static str, bytes: usize },
    #[error("{action} has {headers} headers, AMI carries {HEADERS_MAX}")]
    TooMany { action: &'static str, headers: usize },
}

/// Where a channel goes in the dialplan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub context: String,
    pub exten: String,
    pub priority: u32,
}

impl Place {
    pub fn new(context: impl Into<String>, exten: impl Into<String>) -> Place {
        Place {
            context: context.into(),
            exten: exten.into(),
            priority: 1,
        }
    }
}

/// What an originated channel does once it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    Place(Place),
    Application { application: String, data: String },
}

/// `Originate`, always asynchronous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Originate {
    /// `PJSIP/1001`, `Local/600@lab/n`, `UnicastRTP/…`
    pub channel: String,
    pub then: Then,
    /// The uniqueid it shall have.
    pub channel_id: Option<String>,
    /// `"Name" <number>`
    pub caller_id: Option<String>,
    pub timeout_ms: u64,
    pub account: Option<String>,
    /// Without it a Local channel picks slin192 and costs 4 % of a core.
    pub codecs: Option<String>,
    pub variables: Vec<(String, String)>,
    /// Whether the answer waits for `OriginateResponse`: answered, or why not.
    pub wait_for_outcome: bool,
}

impl Action {
    pub fn new(name: &'static str) -> Action {
        Action {
            name,
            headers: Vec::new(),
            until: None,
        }
    }

    #[must_use]
    pub fn with(mut self, header: &'static str, value: impl fmt::Display) -> Action {
        self.headers.push((header, value.to_string()));
        self
    }

    #[must_use]
    fn with_some(self, header: &'static str, value: Option<impl fmt::Display>) -> Action {
        match value {
            Some(value) => self.with(header, value),
            None => self,
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn challenge() -> Action {
        Action::new("Challenge").with("AuthType", "MD5")
    }

    /// `Key` is the MD5 of challenge and secret, in hex.
    pub fn login_md5(username: &str, secret: &str, challenge: &str, events: &str) -> Action {
        let mut hash = Md5::new();
        hash.update(challenge.as_bytes());
        hash.update(secret.as_bytes());
        let key: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Action::new("Login")
            .with("AuthType", "MD5")
            .with("Username", username)
            .with("Key", key)
            .with("Events", events)
    }

    pub fn login_plain(username: &str, secret: &str, events: &str) -> Action {
        Action::new("Login").with("Username", username).with("Secret", secret).with("Events", events)
    }

    pub fn logoff() -> Action {
        Action::new("Logoff")
    }

    pub fn ping() -> Action {
        Action::new("Ping")
    }

    /// Answers boot time (local!), reload time and the count of calls. Needs `system` or `reporting`.
    pub fn core_status() -> Action {
        Action::new("CoreStatus")
    }

    /// Answers `AsteriskVersion`, `AMIversion`, `SystemName`. Needs `system` or `reporting`.
    pub fn core_settings() -> Action {
        Action::new("CoreSettings")
    }

    /// Answers a list of `CoreShowChannel`. Needs `system` or `reporting`.
    pub fn core_show_channels() -> Action {
        Action::new("CoreShowChannels")
    }

    /// Answers only what this account may call.
    pub fn list_commands() -> Action {
        Action::new("ListCommands")
    }

    /// Answers in `Output` headers. Needs `command`.
    pub fn command(line: &str) -> Action {
        Action::new("Command").with("Command", line)
    }

    pub fn originate(request: &Originate) -> Action {
        let action = Action::new("Originate")
            .with("Channel", &request.channel)
            .with("Async", "true")
            .with("Timeout", request.timeout_ms)
            .with_some("ChannelId", request.channel_id.as_ref())
            .with_some("CallerID", request.caller_id.as_ref())
            .with_some("Account", request.account.as_ref())
            .with_some("Codecs", request.codecs.as_ref());
        let mut action = match &request.then {
            Then::Place(place) => action.at(place),
            Then::Application { application, data } => action.with("Application", application).with("Data", data),
        };
        for (name, value) in &request.variables {
            action = action.with("Variable", format_args!("{name}={}", escaped(value)));
        }
        action.until = request.wait_for_outcome.then_some("OriginateResponse");
        action
    }

    fn at(self, place: &Place) -> Action {
        self.with("Context", &place.context)
            .with("Exten", &place.exten)
            .with("Priority", place.priority)
    }

    /// By exact channel name; Asterisk reads `/…/` as a regular expression, which a name never is.
    pub fn hangup(channel: &str, cause: Option<u16>) -> Action {
        Action::new("Hangup").with("Channel", channel).with_some("Cause", cause)
    }

    pub fn play_dtmf(channel: &str, digit: char, duration_ms: Option<u32>) -> Action {
        Action::new("PlayDTMF")
            .with("Channel", channel)
            .with("Digit", digit)
            .with_some("Duration", duration_ms)
    }

    /// `direction`: `in`, `out` or `all`. Needs res_mutestream.
    pub fn mute_audio(channel: &str, direction: &str, on: bool) -> Action {
        Action::new("MuteAudio")
            .with("Channel", channel)
            .with("Direction", direction)
            .with("State", if on { "on" } else { "off" })
    }

    pub fn setvar(channel: &str, variable: &str, value: &str) -> Action {
        Action::new("Setvar").with("Channel", channel).with("Variable", variable).with("Value", value)
    }

    pub fn getvar(channel: &str, variable: &str) -> Action {
        Action::new("Getvar").with("Channel", channel).with("Variable", variable)
    }

    pub fn blind_transfer(channel: &str, place: &Place) -> Action {
        Action::new("BlindTransfer")
            .with("Channel", channel)
            .with("Context", &place.context)
            .with("Exten", &place.exten)
    }

    pub fn attended_transfer(channel: &str, place: &Place) -> Action {
        Action::new("Atxfer")
            .with("Channel", channel)
            .with("Context", &place.context)
            .with("Exten", &place.exten)
    }

    /// `announce` is the channel that is told of the space, and to which the call returns after `timeout_ms`.
    pub fn park(channel: &str, announce: Option<&str>, timeout_ms: Option<u64>, lot: Option<&str>) -> Action {
        Action::new("Park")
            .with("Channel", channel)
            .with_some("TimeoutChannel", announce)
            .with_some("AnnounceChannel", announce)
            .with_some("Timeout", timeout_ms)
            .with_some("Parkinglot", lot)
    }

    /// Moves a channel, and with `other` both legs, out of what they do.
    pub fn redirect(channel: &str, place: &Place, other: Option<(&str, &Place)>) -> Action {
        let action = Action::new("Redirect").with("Channel", channel).at(place);
        match other {
            Some((channel, place)) => action
                .with("ExtraChannel", channel)
                .with("ExtraContext", &place.context)
                .with("ExtraExten", &place.exten)
                .with("ExtraPriority", place.priority),
            None => action,
        }
    }

    pub fn user_event(event: &str) -> Action {
        Action::new("UserEvent").with("UserEvent", event)
    }

    /// The bytes to send, under `action_id`.
    pub fn encode(&self, action_id: &str) -> Result<Vec<u8>, ActionFault> {
        if self.headers.len() > HEADERS_MAX {
            return Err(ActionFault::TooMany {
                action: self.name,
                headers: self.headers.len(),
            });
        }
        let mut text = format!("Action: {}\r\nActionID: {action_id}\r\n", self.name);
        for (header, value) in &self.headers {
            self.check(header, value)?;
            text.push_str(header);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        Ok(text.into_bytes())
    }

    /// Whether it can be sent at all.
    pub fn check_all(&self) -> Result<(), ActionFault> {
        self.encode("").map(drop)
    }

    fn check(&self, header: &'static str, value: &str) -> Result<(), ActionFault> {
        if value.contains(['\r', '\n', '\0']) {
            return Err(ActionFault::LineEnd { action: self.name, header });
        }
        if value.len() > VALUE_MAX {
            return Err(ActionFault::TooLong {
                action: self.name,
                header,
                bytes: value.len(),
            });
        }
        Ok(())
    }
}

/// Asterisk splits a `Variable` header at commas, as it does an application's arguments: without this a value
/// with a comma would set further variables.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '\\' | ',' | '"' | '(' | ')' | '[' | ']') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Without secrets: actions are logged.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (header, value) in &self.headers {
            let shown = if matches!(*header, "Secret" | "Key") { "***" } else { value };
            write!(f, " {header}={shown:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn an_md5_login_is_the_captured_one() {
        let action = Action::login_md5("ami", "amipass", "722450007", "call,reporting");
        let text = String::from_utf8(action.encode("4170-2").unwrap()).unwrap();
        assert_eq!(
            text,
            "Action: Login\r\nActionID: 4170-2\r\nAuthType: MD5\r\nUsername: ami\r\nKey: 5d661bfa4f7d6f2d3952b44e1bfe3c72\r\nEvents: call,reporting\r\n\r\n"
        );
        assert!(!format!("{action:?}").contains("5d661"), "a key is not shown");
    }

    #[test]
    fn a_line_end_in_any_value_is_refused() {
        for value in ["a\r\nAction: Command", "a\nb", "a\rb", "a\0b"] {
            let fault = Action::hangup(value, None).encode("1").unwrap_err();
            assert_eq!(
                fault,
                ActionFault::LineEnd {
                    action: "Hangup",
                    header: "Channel"
                }
            );
        }
        let mut originate = an_originate();
        originate.variables.push(("X".into(), "1\r\nApplication: System".into()));
        assert!(Action::originate(&originate).encode("1").is_err());
    }

    #[test]
    fn values_and_headers_are_bounded() {
        assert!(Action::setvar("c", "v", &"x".repeat(VALUE_MAX)).encode("1").is_ok());
        let fault = Action::setvar("c", "v", &"x".repeat(VALUE_MAX + 1)).encode("1").unwrap_err();
        assert_eq!(fault.to_string(), "Value of Setvar has 901 bytes, AMI carries 900");
        let mut originate = an_originate();
        originate.variables = vec![("A".into(), "1".into()); HEADERS_MAX];
        assert!(matches!(Action::originate(&originate).encode("1"), Err(ActionFault::TooMany { .. })));
    }

    #[test]
    fn an_originate_is_asynchronous_and_says_where_to_go() {
        let text = String::from_utf8(Action::originate(&an_originate()).encode("9").unwrap()).unwrap();
        assert_eq!(
            text,
            "Action: Originate\r\nActionID: 9\r\nChannel: Local/600@lab/n\r\nAsync: true\r\nTimeout: 5000\r\nChannelId: x.1\r\nCodecs: ulaw\r\n\
             Context: lab\r\nExten: 610\r\nPriority: 1\r\nVariable: CDR_PROP(disable)=1\r\n\r\n"
        );
    }

    #[test]
    fn a_comma_in_a_variable_does_not_make_a_second_one() {
        let mut originate = an_originate();
        originate.variables = vec![("A".into(), "1,B=(2)".into())];
        let text = String::from_utf8(Action::originate(&originate).encode("9").unwrap()).unwrap();
        assert!(text.contains("Variable: A=1\\,B=\\(2\\)\r\n"));
    }

    fn an_originate() -> Originate {
        Originate {
            channel: "Local/600@lab/n".into(),
            then: Then::Place(Place::new("lab", "610")),
            channel_id: Some("x.1".into()),
            caller_id: None,
            timeout_ms: 5000,
            account: None,
            codecs: Some("ulaw".into()),
            variables: vec![("CDR_PROP(disable)".into(), "1".into())],
            wait_for_outcome: false,
        }
    }
}
