//! One event on its way out: name, class and headers in Asterisk's order. The switch adds the time when it is sent.

use crate::switch::bridge::Bridge;
use crate::switch::channel::Channel;
use std::fmt::{Display, Write as _};

pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) class: u32,
    pub(crate) body: String,
}

pub(crate) fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "<unknown>" } else { text }
}

impl Event {
    pub(crate) fn new(name: &'static str, class: u32) -> Self {
        Self {
            name,
            class,
            body: String::with_capacity(512),
        }
    }

    /// A header. Line ends in a value would forge headers, so they become spaces.
    #[must_use]
    pub(crate) fn put(mut self, key: &str, value: impl Display) -> Self {
        let _ = write!(self.body, "{key}: ");
        let from = self.body.len();
        let _ = write!(self.body, "{value}");
        if self.body[from..].contains(['\r', '\n']) {
            let clean = self.body[from..].replace(['\r', '\n'], " ");
            self.body.truncate(from);
            self.body.push_str(&clean);
        }
        self.body.push_str("\r\n");
        self
    }

    /// The fourteen headers of a channel, each with `prefix` before its name.
    #[must_use]
    pub(crate) fn channel(self, prefix: &str, channel: &Channel) -> Self {
        self.put(&format!("{prefix}Channel"), &channel.name)
            .put(&format!("{prefix}ChannelState"), channel.state.number())
            .put(&format!("{prefix}ChannelStateDesc"), channel.state.text())
            .put(&format!("{prefix}CallerIDNum"), or_unknown(&channel.caller.number))
            .put(&format!("{prefix}CallerIDName"), or_unknown(&channel.caller.name))
            .put(&format!("{prefix}ConnectedLineNum"), or_unknown(&channel.connected.number))
            .put(&format!("{prefix}ConnectedLineName"), or_unknown(&channel.connected.name))
            .put(&format!("{prefix}Language"), "en")
            .put(&format!("{prefix}AccountCode"), &channel.account)
            .put(&format!("{prefix}Context"), &channel.context)
            .put(&format!("{prefix}Exten"), &channel.exten)
            .put(&format!("{prefix}Priority"), channel.priority)
            .put(&format!("{prefix}Uniqueid"), &channel.id)
            .put(&format!("{prefix}Linkedid"), &channel.linkedid)
    }

    #[must_use]
    pub(crate) fn bridge(self, bridge: &Bridge) -> Self {
        self.put("BridgeUniqueid", &bridge.id)
            .put("BridgeType", bridge.kind)
            .put("BridgeTechnology", bridge.technology)
            .put("BridgeCreator", or_unknown(bridge.creator))
            .put("BridgeName", or_unknown(&bridge.name))
            .put("BridgeNumChannels", bridge.members.len())
            .put("BridgeVideoSourceMode", bridge.video_mode)
    }
}

/// C escapes, as VarSet applies to values.
pub(crate) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            other => escaped.push(other),
        }
    }
    escaped
}
