//! What each action does.

use super::action::{Action, Read};
use super::class::{CALL, COMMAND, ORIGINATE, REPORTING, SYSTEM};
use super::filter::{FILTERS_MAX, Filter};
use super::login::{Verdict, response};
use crate::config::Style;
use crate::outbox::Outbox;
use crate::script::Party;
use crate::switch::Switch;
use crate::switch::originate::{Asker, Destination, Wish};
use std::sync::Arc;
use std::time::Duration;

/// Every action we know, what may write it, and what ListCommands says of it.
pub(super) const ACTIONS: [(&str, u32, &str); 22] = [
    ("BlindTransfer", CALL, "Blind transfer channel(s) to the given destination  (Priv: call,all)"),
    ("BridgeList", 0, "Get a list of bridges in the system.  (Priv: <none>)"),
    ("Challenge", 0, "Generate Challenge for MD5 Auth.  (Priv: <none>)"),
    (
        "CoreSettings",
        SYSTEM | REPORTING,
        "Show PBX core settings (version etc).  (Priv: system,reporting,all)",
    ),
    (
        "CoreShowChannels",
        SYSTEM | REPORTING,
        "List currently active channels.  (Priv: system,reporting,all)",
    ),
    (
        "CoreStatus",
        SYSTEM | REPORTING,
        "Show PBX core status variables.  (Priv: system,reporting,all)",
    ),
    ("Events", 0, "Control Event Flow.  (Priv: <none>)"),
    ("Filter", SYSTEM, "Dynamically add filters for the current manager session.  (Priv: system,all)"),
    (
        "Getvar",
        CALL | REPORTING,
        "Gets a channel variable or function value.  (Priv: call,reporting,all)",
    ),
    ("Hangup", SYSTEM | CALL, "Hangup channel.  (Priv: system,call,all)"),
    ("ListCommands", 0, "List available manager commands.  (Priv: <none>)"),
    ("Login", 0, "Login Manager.  (Priv: <none>)"),
    ("Logoff", 0, "Logoff Manager.  (Priv: <none>)"),
    ("ModuleCheck", SYSTEM, "Check if module is loaded.  (Priv: system,all)"),
    ("MuteAudio", SYSTEM, "Mute an audio stream.  (Priv: system,all)"),
    ("Originate", ORIGINATE, "Originate a call.  (Priv: originate,all)"),
    ("Ping", 0, "Keepalive command.  (Priv: <none>)"),
    ("PlayDTMF", CALL, "Play DTMF signal on a specific channel.  (Priv: call,all)"),
    ("Redirect", CALL, "Redirect (transfer) a call.  (Priv: call,all)"),
    ("Setvar", CALL, "Sets a channel variable or function value.  (Priv: call,all)"),
    ("Status", SYSTEM | CALL | REPORTING, "List channel status.  (Priv: system,call,reporting,all)"),
    ("Command", COMMAND, "Execute Asterisk CLI Command.  (Priv: command,all)"),
];

/// One manager's action being answered.
pub(super) struct Answering<'a> {
    pub(super) outbox: Arc<Outbox>,
    pub(super) action: &'a Action,
}

impl Answering<'_> {
    pub(super) fn success(&self, headers: &[(&str, &str)]) {
        response(&self.outbox, "Success", self.action, headers);
    }

    pub(super) fn message(&self, message: &str) {
        self.success(&[("Message", message)]);
    }

    pub(super) fn error(&self, message: &str) {
        response(&self.outbox, "Error", self.action, &[("Message", message)]);
    }
}

impl Switch {
    pub(crate) fn ami(&mut self, session: u64, read: &Read) -> Verdict {
        let Some(outbox) = self.managers.get(&session).map(|manager| Arc::clone(&manager.outbox)) else {
            return Verdict::Left;
        };
        match read {
            Read::Action(action) => self.act(session, &Answering { outbox, action }),
            Read::LineTooLong(action) => {
                Answering { outbox, action }.error("Failed to parse message: line too long");
                Verdict::Goes
            }
            Read::TooManyHeaders(action) => {
                Answering { outbox, action }.error("Too many lines in message or allocation failure");
                Verdict::Goes
            }
        }
    }

    fn act(&mut self, session: u64, to: &Answering<'_>) -> Verdict {
        let name = to.action.text("Action").to_owned();
        if name.is_empty() {
            to.error("Missing action in request");
            return Verdict::Goes;
        }
        let known = ACTIONS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(&name));
        let key = known.map_or("", |(known, ..)| known);
        match key {
            "Login" => return self.login(session, to.action),
            "Challenge" => return self.challenge(session, to.action),
            "Logoff" => {
                response(&to.outbox, "Goodbye", to.action, &[("Message", "Thanks for all the fish.")]);
                return Verdict::Left;
            }
            _ => {}
        }
        let write = self
            .managers
            .get(&session)
            .map_or(0, |manager| if manager.user.is_some() { manager.write } else { 0 });
        match known {
            _ if !self.logged_in(session) => to.error("Permission denied"),
            None => {
                to.error(&format!(
                    "Invalid/unknown command: {name}. Use Action: ListCommands to show available commands."
                ));
                self.security(session, "RequestBadFormat", "Error", &[("RequestType", &format!("Action: {name}"))]);
            }
            Some((_, needs, _)) if *needs != 0 && write & needs == 0 => to.error("Permission denied"),
            Some(_) => self.permitted(session, key, to),
        }
        Verdict::Goes
    }

    fn permitted(&mut self, session: u64, key: &str, to: &Answering<'_>) {
        match key {
            "Ping" => to.success(&[("Ping", "Pong"), ("Timestamp", &self.now.ami())]),
            "CoreStatus" => self.core_status(to),
            "CoreSettings" => self.core_settings(to),
            "CoreShowChannels" => self.core_show_channels(to),
            "BridgeList" => self.bridge_list(to),
            "Status" => self.status(to),
            "ListCommands" => {
                // Exactly what this account may call, as the real one does.
                let write = self.managers.get(&session).map_or(0, |manager| manager.write);
                let may = |needs: u32| needs == 0 || write & needs != 0;
                let commands: Vec<(&str, &str)> = ACTIONS
                    .iter()
                    .filter(|(_, needs, _)| may(*needs))
                    .map(|(name, _, about)| (*name, *about))
                    .collect();
                to.success(&commands);
            }
            "ModuleCheck" => to.success(&[("Version", "")]),
            "Command" => response(
                &to.outbox,
                "Error",
                to.action,
                &[("Message", "Command output follows"), ("Output", "No such command")],
            ),
            "Events" => self.events(session, to),
            "Filter" => self.filter(session, to),
            "Originate" => self.ami_originate(to),
            _ => self.on_channel(key, to),
        }
    }

    fn events(&mut self, session: u64, to: &Answering<'_>) {
        let mask = super::class::mask(to.action.text("EventMask"));
        if let Some(manager) = self.managers.get_mut(&session) {
            manager.mask = mask;
        }
        to.success(&[("Events", if mask == 0 { "Off" } else { "On" })]);
    }

    fn filter(&mut self, session: u64, to: &Answering<'_>) {
        let Some(manager) = self.managers.get_mut(&session) else { return };
        match Filter::parse(to.action.text("Filter")) {
            Some(filter) if to.action.text("Operation").eq_ignore_ascii_case("Add") && manager.filters.len() < FILTERS_MAX => {
                manager.filters.push(filter);
                to.message("Success");
            }
            _ => to.error("Filter did not compile.  Check the syntax of the filter given."),
        }
    }

    /// Actions whose `Channel:` must exist.
    fn on_channel(&mut self, key: &str, to: &Answering<'_>) {
        let wanted = to.action.text("Channel");
        let Some(id) = self.find(wanted) else {
            to.error(if wanted.is_empty() && key != "Setvar" && key != "Getvar" {
                "No channel specified"
            } else {
                "No such channel"
            });
            return;
        };
        let text = |key| to.action.text(key);
        match key {
            "Hangup" => {
                to.message("Channel Hungup");
                if let (Ok(cause), Some(channel)) = (text("Cause").parse(), self.channels.get_mut(&id)) {
                    channel.cause = cause;
                }
                self.hang_up(&id, 16);
            }
            "Setvar" if text("Variable").is_empty() => to.error("No variable specified"),
            "Setvar" => {
                to.message("Variable Set");
                self.set_variable(&id, text("Variable"), text("Value"));
            }
            "Getvar" if text("Variable").is_empty() => to.error("No variable specified"),
            "Getvar" => {
                let vars = self.channels.get(&id).map(|channel| &channel.vars);
                let value = match text("Variable") {
                    // Its CDR engine knows every channel at once.
                    "CDR(start)" => "1970-01-01 00:00:00".to_owned(),
                    variable => vars.and_then(|vars| vars.get(variable).cloned()).unwrap_or_default(),
                };
                to.success(&[("Variable", text("Variable")), ("Value", &value)]);
            }
            "PlayDTMF" => self.ami_dtmf(&id, to),
            "MuteAudio" => self.ami_mute(&id, to),
            _ => to.error("Invalid/unknown command"),
        }
    }

    fn ami_dtmf(&mut self, id: &str, to: &Answering<'_>) {
        let digit = to.action.text("Digit").chars().next();
        let Some(digit) = digit.filter(|digit| digit.is_ascii_digit() || "*#ABCDabcd".contains(*digit)) else {
            to.error("No digit specified");
            return;
        };
        let held_ms: u64 = to.action.text("Duration").parse().unwrap_or(100);
        let received = self.config.style == Style::Asterisk22 && to.action.text("Receive").eq_ignore_ascii_case("true");
        to.message("DTMF successfully queued");
        self.digit_down(id, digit, received, Duration::from_millis(held_ms.min(10_000)));
    }

    fn ami_mute(&mut self, id: &str, to: &Answering<'_>) {
        let muted = match to.action.text("State") {
            "on" => true,
            "off" => false,
            _ => return to.error("Missing or invalid State: must be on or off"),
        };
        let direction = to.action.text("Direction");
        if let Some(channel) = self.channels.get_mut(id) {
            if matches!(direction, "in" | "all") {
                channel.muted_in = muted;
            }
            if matches!(direction, "out" | "all") {
                channel.muted_out = muted;
            }
        }
        to.success(&[]);
        self.touch(id);
    }

    fn ami_originate(&mut self, to: &Answering<'_>) {
        let action = to.action;
        let text = |key| action.text(key).to_owned();
        if text("Channel").is_empty() {
            return to.error("Channel not specified");
        }
        let destination = if text("Application").is_empty() {
            Destination::Exten {
                context: text("Context"),
                exten: text("Exten"),
            }
        } else {
            Destination::App {
                name: text("Application"),
                data: text("Data"),
            }
        };
        if matches!(&destination, Destination::Exten { exten, .. } if exten.is_empty()) {
            return to.error("Originate failed: no application or extension");
        }
        let id = Some(text("ChannelId")).filter(|id| !id.is_empty());
        let other_id = Some(text("OtherChannelId")).filter(|id| !id.is_empty());
        if self.ids_clash(id.as_deref(), other_id.as_deref()) || self.full() {
            return to.error("Originate failed");
        }
        let variables = action.all("Variable").flat_map(|list| list.split(',')).filter_map(|pair| pair.split_once('='));
        let wish = Wish {
            endpoint: text("Channel"),
            id,
            other_id,
            destination,
            caller: caller_id(action.text("CallerID")),
            variables: variables.map(|(key, value)| (key.trim().to_owned(), value.to_owned())).collect(),
            asker: Asker::Ami { action_id: text("ActionID") },
        };
        // A blocking originate would answer when it is over; clients of ours never ask for one.
        to.message("Originate successfully queued");
        self.originate(wish);
    }
}

/// `"Name" <number>`, `Name <number>` or a number alone.
pub(crate) fn caller_id(text: &str) -> Party {
    match text.split_once('<') {
        Some((name, number)) => Party::new(number.trim_end_matches('>').trim(), name.trim().trim_matches('"')),
        None => Party::new(text.trim(), ""),
    }
}
