//! Saying it: each thing that happens is one AMI event to the managers and, where an application watches, one ARI message.

use super::Switch;
use super::channel::State;
use super::json::Json;
use crate::ami::class::{CALL, DIALPLAN};
use crate::ami::event::{Event, escape};
use bytes::Bytes;

/// A channel does not keep more; setting them is still told.
const VARIABLES_MAX: usize = 512;
const ASTERISK_ID: &str = "02:fc:00:00:00:01";

impl Switch {
    /// To every manager whose classes and filters let it through; encoded once.
    pub(crate) fn emit(&mut self, event: Event) {
        if self.managers.is_empty() {
            return;
        }
        self.stamp = super::SimTime(self.now.0.max(self.stamp.0 + 1));
        let text = format!(
            "Event: {}\r\nPrivilege: {},all\r\nTimestamp: {}\r\nSystemName: {}\r\n{}\r\n",
            event.name,
            crate::ami::class::name(event.class),
            self.stamp.ami(),
            self.config.system_name,
            event.body
        );
        self.counts.ami_events += 1;
        let bytes = Bytes::from(text);
        for manager in self.managers.values() {
            if manager.wants(event.name, event.class) {
                manager.outbox.push(bytes.clone());
            }
        }
    }

    /// To these applications and those that subscribe to all.
    pub(crate) fn tell(&mut self, watchers: &[String], message: &Json) {
        for (name, app) in &self.apps {
            if !(app.subscribe_all || watchers.contains(name)) {
                continue;
            }
            if let Some((_, outbox)) = &app.socket {
                let text = message.clone().text("asterisk_id", ASTERISK_ID).text("application", name).into_text();
                outbox.push(Bytes::from(text));
                self.counts.ari_events += 1;
            }
        }
    }

    /// `{"type":…,"timestamp":…` with whatever ARI puts before them.
    pub(crate) fn message(&self, first: Json, kind: &str) -> Json {
        first.text("type", kind).text("timestamp", &self.now.ari())
    }

    pub(crate) fn app_replaced(&self, app: &str) -> String {
        self.message(Json::object(), "ApplicationReplaced")
            .text("application", app)
            .text("asterisk_id", ASTERISK_ID)
            .into_text()
    }

    /// A message about a channel, to those who watch it.
    pub(crate) fn tell_channel(&mut self, id: &str, message: Json) {
        let Some(channel) = self.channels.get(id) else { return };
        let message = message.object_at("channel", channel.json());
        let watchers = channel.watchers.clone();
        self.tell(&watchers, &message);
    }

    pub(crate) fn say_channel(&mut self, name: &'static str, id: &str, more: &[(&str, &str)]) {
        let class = if name.starts_with("DTMF") { crate::ami::class::DTMF } else { CALL };
        let Some(channel) = self.channels.get(id) else { return };
        let event = more
            .iter()
            .fold(Event::new(name, class).channel("", channel), |event, (key, value)| event.put(key, value));
        self.emit(event);
    }

    pub(crate) fn newchannel(&mut self, id: &str) {
        self.say_channel("Newchannel", id, &[]);
        let message = self.message(Json::object(), "ChannelCreated");
        self.tell_channel(id, message);
    }

    pub(crate) fn newstate(&mut self, id: &str, state: State) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.state = state;
        if state == State::Up && channel.answered.is_none() {
            channel.answered = Some(now);
        }
        self.say_channel("Newstate", id, &[]);
        let message = self.message(Json::object(), "ChannelStateChange");
        self.tell_channel(id, message);
    }

    pub(crate) fn newexten(&mut self, id: &str, priority: u32, app: &str, data: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.priority = priority;
        app.clone_into(&mut channel.app);
        data.clone_into(&mut channel.app_data);
        let event = Event::new("Newexten", DIALPLAN)
            .channel("", channel)
            .put("Extension", &channel.exten)
            .put("Application", app)
            .put("AppData", data);
        self.emit(event);
        let message = self
            .message(Json::object(), "ChannelDialplan")
            .text("dialplan_app", app)
            .text("dialplan_app_data", data);
        self.tell_if_subscribed_to_all(id, message);
    }

    /// What only a subscriber to everything hears.
    fn tell_if_subscribed_to_all(&mut self, id: &str, message: Json) {
        let Some(channel) = self.channels.get(id) else { return };
        let message = message.object_at("channel", channel.json());
        self.tell(&[], &message);
    }

    pub(crate) fn varset(&mut self, id: &str, variable: &str, value: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        if channel.vars.len() < VARIABLES_MAX || channel.vars.contains_key(variable) {
            channel.vars.insert(variable.to_owned(), value.to_owned());
        }
        let event = Event::new("VarSet", DIALPLAN)
            .channel("", channel)
            .put("Variable", variable)
            .put("Value", escape(value));
        self.emit(event);
        let first = Json::object().text("variable", variable).text("value", value);
        let message = self.message(first, "ChannelVarset");
        self.tell_channel(id, message);
    }

    pub(crate) fn new_callerid(&mut self, id: &str) {
        self.say_channel("NewCallerid", id, &[("CID-CallingPres", "0 (Presentation Allowed, Not Screened)")]);
        let message = self
            .message(Json::object(), "ChannelCallerId")
            .number("caller_presentation", 0)
            .text("caller_presentation_txt", "Presentation Allowed, Not Screened");
        self.tell_channel(id, message);
    }

    pub(crate) fn new_connected(&mut self, id: &str) {
        self.say_channel("NewConnectedLine", id, &[]);
        let message = self.message(Json::object(), "ChannelConnectedLine");
        self.tell_channel(id, message);
    }

    /// DialBegin, DialState and DialEnd: `from` is absent when nobody but a request dials.
    pub(crate) fn dial(&mut self, name: &'static str, from: Option<&str>, to: &str, key: &str, value: &str, dial_string: &str) {
        let Some(dest) = self.channels.get(to) else { return };
        let source = from.and_then(|id| self.channels.get(id));
        let event = source.map_or_else(|| Event::new(name, CALL), |channel| Event::new(name, CALL).channel("", channel));
        let event = event.channel("Dest", dest).put(key, value);
        let status = if key == "DialStatus" { value } else { "" };
        let mut message = self
            .message(Json::object(), "Dial")
            .text("dialstatus", status)
            .text("forward", "")
            .text("dialstring", dial_string);
        let mut watchers = dest.watchers.clone();
        if let Some(channel) = source {
            message = message.object_at("caller", channel.json());
            watchers.extend(channel.watchers.iter().cloned());
        }
        let message = message.object_at("peer", dest.json());
        self.emit(event);
        self.tell(&watchers, &message);
    }

    pub(crate) fn say_bridge(&mut self, name: &'static str, id: &str) {
        let Some(bridge) = self.bridges.get(id) else { return };
        let event = Event::new(name, CALL).bridge(bridge);
        self.emit(event);
    }

    /// BridgeEnter or BridgeLeave, after the membership has changed.
    pub(crate) fn say_membership(&mut self, name: &'static str, ari: &str, bridge: &str, channel: &str) {
        let (Some(found), Some(member)) = (self.bridges.get(bridge), self.channels.get(channel)) else {
            return;
        };
        let event = Event::new(name, CALL).bridge(found).channel("", member);
        let message = self
            .message(Json::object(), ari)
            .object_at("bridge", found.json())
            .object_at("channel", member.json());
        let mut watchers = member.watchers.clone();
        watchers.extend(found.watchers.iter().cloned());
        self.emit(event);
        self.tell(&watchers, &message);
    }

    /// The far end hung up. Not every hang-up names its cause.
    pub(crate) fn hangup_request(&mut self, id: &str, cause: Option<u16>, tech_cause: Option<u16>) {
        let (cause, tech) = (cause.map(|cause| cause.to_string()), tech_cause.map(|cause| cause.to_string()));
        let told: Vec<(&str, &str)> = [("Cause", cause.as_deref()), ("TechCause", tech.as_deref())]
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .collect();
        self.say_channel("HangupRequest", id, &told);
        let mut first = Json::object();
        if let Some(cause) = cause.and_then(|cause| cause.parse().ok()) {
            first = first.number("cause", cause);
        }
        if let Some(cause) = tech_cause {
            first = first.number("tech_cause", u64::from(cause));
        }
        let message = self.message(first, "ChannelHangupRequest");
        self.tell_channel(id, message);
    }

    /// We hang up. `reason` is the flag Asterisk prints there: 16 when the dialplan ended, 32 when somebody asked.
    pub(crate) fn soft_hangup(&mut self, id: &str, reason: u16) {
        let tech = self.channels.get(id).and_then(|channel| channel.tech_cause).map(|cause| cause.to_string());
        let reason_text = reason.to_string();
        let mut told = vec![("Cause", reason_text.as_str())];
        if let Some(tech) = &tech {
            told.push(("TechCause", tech));
        }
        self.say_channel("SoftHangupRequest", id, &told);
        if reason == 32 {
            let message = self.message(Json::object().number("cause", 32).truth("soft", true), "ChannelHangupRequest");
            self.tell_channel(id, message);
        }
    }
}

pub(crate) fn cause_text(cause: u16) -> &'static str {
    match cause {
        3 => "No route to destination",
        16 => "Normal Clearing",
        17 => "User busy",
        19 => "User alerting, no answer",
        20 => "Subscriber absent",
        26 => "Answered elsewhere",
        34 => "Circuit/channel congestion",
        127 => "Interworking, unspecified",
        _ => "Unknown",
    }
}
