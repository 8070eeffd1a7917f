//! A channel: what Asterisk knows of one leg, and what we add to play its part.

use crate::clock::SimTime;
use crate::script::{CallId, Party, Side};
use crate::switch::json::Json;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Down,
    Ring,
    Ringing,
    Up,
    Busy,
}

impl State {
    pub(crate) fn number(self) -> u8 {
        match self {
            State::Down => 0,
            State::Ring => 4,
            State::Ringing => 5,
            State::Up => 6,
            State::Busy => 7,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            State::Down => "Down",
            State::Ring => "Ring",
            State::Ringing => "Ringing",
            State::Up => "Up",
            State::Busy => "Busy",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spy {
    None,
    In,
    Out,
    Both,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// One side of a call.
    Party { call: CallId, side: Side },
    /// Hears another channel.
    Snoop { of: String, spy: Spy },
    /// Sends RTP out.
    External { dial_string: String },
    /// Half of a Local channel.
    Local { peer: String },
}

pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) linkedid: String,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) caller: Party,
    pub(crate) connected: Party,
    pub(crate) account: String,
    pub(crate) context: String,
    pub(crate) exten: String,
    pub(crate) priority: u32,
    pub(crate) app: String,
    pub(crate) app_data: String,
    pub(crate) created: SimTime,
    pub(crate) answered: Option<SimTime>,
    pub(crate) kind: Kind,
    pub(crate) bridge: Option<String>,
    /// The application it is in now.
    pub(crate) stasis: Option<String>,
    /// The application it will enter.
    pub(crate) stasis_next: Option<(String, Vec<String>)>,
    /// Applications told of what happens to it.
    pub(crate) watchers: Vec<String>,
    /// Made through ARI: its maker hears of its end.
    pub(crate) made_by_ari: bool,
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) cause: u16,
    pub(crate) tech_cause: Option<u16>,
    pub(crate) protocol_id: String,
    pub(crate) cdr: bool,
    /// The channel a CDR names as its destination.
    pub(crate) cdr_peer: String,
    /// Not heard by others (ARI mute in, AMI MuteAudio in).
    pub(crate) muted_in: bool,
    /// Hears nothing.
    pub(crate) muted_out: bool,
    pub(crate) held: bool,
    pub(crate) silent: bool,
    pub(crate) snoops: Vec<String>,
    pub(crate) rtp_port: u16,
    /// Tells this channel from a later one of the same id.
    pub(crate) born: u64,
}

impl Channel {
    pub(crate) fn party(&self) -> Option<(CallId, Side)> {
        match self.kind {
            Kind::Party { call, side } => Some((call, side)),
            _ => None,
        }
    }

    pub(crate) fn tech(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// As ARI shows it.
    pub(crate) fn json(&self) -> Json {
        let dialplan = Json::object()
            .text("context", &self.context)
            .text("exten", &self.exten)
            .number("priority", u64::from(self.priority))
            .text("app_name", &self.app)
            .text("app_data", &self.app_data);
        Json::object()
            .text("id", &self.id)
            .text("name", &self.name)
            .text("state", self.state.text())
            .text("protocol_id", &self.protocol_id)
            .object_at("caller", Json::object().text("name", &self.caller.name).text("number", &self.caller.number))
            .object_at(
                "connected",
                Json::object().text("name", &self.connected.name).text("number", &self.connected.number),
            )
            .text("accountcode", &self.account)
            .object_at("dialplan", dialplan)
            .text("creationtime", &self.created.ari())
            .text("language", "en")
    }
}
