//! Stasis: entering and leaving applications, snoops, external media.

use super::channel::{Kind, Spy, State};
use super::json::Json;
use super::make::Making;
use super::{Switch, Timer};
use crate::ami::class::CALL;
use crate::ami::event::Event;
use crate::config::{StasisApp, Style};
use crate::script::{CallId, Ending, Party};
use std::net::SocketAddr;
use std::time::Duration;

/// What a request for a snoop says.
pub(crate) struct SnoopWish {
    pub(crate) id: Option<String>,
    pub(crate) spy: Spy,
    pub(crate) app: String,
    pub(crate) args: Vec<String>,
}

pub(crate) struct ExternalWish {
    pub(crate) id: Option<String>,
    pub(crate) app: String,
    pub(crate) args: Vec<String>,
    pub(crate) host: String,
    pub(crate) format: String,
    pub(crate) variables: Vec<(String, String)>,
}

impl Switch {
    /// The dialplan hands a caller to an application; an absent one kills the call.
    pub(super) fn send_to_stasis(&mut self, call: CallId, app: Option<String>, args: &[String]) {
        let Some(found) = self.calls.get(&call) else { return };
        let (id, ending) = (found.caller.clone(), found.script.ending);
        let app = app.or_else(|| self.app_of_the_dialplan());
        let name = app.clone().unwrap_or_else(|| "none".to_owned());
        let data = std::iter::once(&name).chain(args).cloned().collect::<Vec<_>>().join(",");
        self.newexten(&id, 1, "NoOp", "stasis");
        self.newexten(&id, 2, "Stasis", &data);
        if !self.connected(&name) {
            self.varset(&id, "STASISSTATUS", "FAILED");
            self.close_caller(&id);
            return;
        }
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.stasis_next = Some((name, args.to_vec()));
        }
        self.enter_stasis(&id);
        if let Ending::Answered { talk: Some(talk), .. } = ending {
            self.after(talk, Timer::Step(call, super::Step::End));
        }
    }

    fn app_of_the_dialplan(&self) -> Option<String> {
        match &self.config.stasis_app {
            StasisApp::Named(name) => Some(name.clone()),
            StasisApp::Connected => {
                let connected = self.apps.iter().filter(|(_, app)| app.socket.is_some()).map(|(name, _)| name);
                connected.min_by_key(|name| (name.len(), (*name).clone())).cloned()
            }
        }
    }

    pub(crate) fn connected(&self, app: &str) -> bool {
        self.apps.get(app).is_some_and(|found| found.socket.is_some())
    }

    pub(crate) fn enter_stasis(&mut self, id: &str) {
        let Some((app, args)) = self.channels.get_mut(id).and_then(|channel| channel.stasis_next.take()) else {
            return;
        };
        let external = self.channels.get(id).is_some_and(|channel| matches!(channel.kind, Kind::External { .. }));
        if external {
            self.external_is_up(id);
        }
        let data = std::iter::once(&app).chain(&args).cloned().collect::<Vec<_>>().join(",");
        let Some(channel) = self.channels.get_mut(id) else { return };
        "Stasis".clone_into(&mut channel.app);
        channel.app_data = data.clone();
        if !channel.watchers.contains(&app) {
            channel.watchers.push(app.clone());
        }
        if matches!(channel.kind, Kind::Snoop { .. }) {
            self.newexten(id, 1, "Stasis", &data);
        } else if external || self.channels.get(id).is_some_and(|channel| channel.made_by_ari) {
            self.varset(id, "STASISSTATUS", "");
        }
        if let Some(channel) = self.channels.get_mut(id) {
            channel.stasis = Some(app);
        }
        let message = self.message(Json::object(), "StasisStart").texts("args", &args);
        self.tell_channel(id, message);
        self.touch(id);
    }

    /// From one application straight into another, whoever made it.
    pub(crate) fn enter_moved(&mut self, id: &str) {
        let Some((app, args)) = self.channels.get_mut(id).and_then(|channel| channel.stasis_next.take()) else {
            return;
        };
        let data = std::iter::once(&app).chain(&args).cloned().collect::<Vec<_>>().join(",");
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.app_data = data;
        channel.watchers = vec![app.clone()];
        channel.stasis = Some(app);
        let message = self.message(Json::object(), "StasisStart").texts("args", &args);
        self.tell_channel(id, message);
    }

    /// Answered by the application: the caller's key presses count from here; its talk time runs since it came.
    pub(crate) fn answered_in_stasis(&mut self, call: CallId) {
        let now = self.now;
        let Some(found) = self.calls.get_mut(&call).filter(|found| found.answered.is_none()) else {
            return;
        };
        found.answered = Some(now);
        found.disposition = "ANSWERED";
        let (dtmf, silent) = (found.script.dtmf.clone(), found.script.silent);
        self.counts.calls_answered += 1;
        for (delay, digit) in dtmf {
            self.after(delay, Timer::Step(call, super::Step::Digit(digit)));
        }
        if let Some(side) = silent {
            self.set_silent(call, side, true);
        }
    }

    /// The application gave the call back to the dialplan, which dials an extension.
    pub(crate) fn dial_after_stasis(&mut self, call: CallId, exten: &str) {
        if let Some(found) = self.calls.get_mut(&call) {
            found.script.ending = Ending::Answered {
                talk: None,
                hung_up_by: crate::script::Side::Caller,
            };
            found.answered = None;
        }
        self.begin_dial(call, exten, exten);
    }

    /// Out of its application, if it is in one.
    pub(crate) fn stasis_end(&mut self, id: &str) {
        let Some(app) = self.channels.get_mut(id).and_then(|channel| channel.stasis.take()) else {
            return;
        };
        self.stop_playbacks(id);
        let message = self.message(Json::object(), "StasisEnd");
        self.tell_channel(id, message);
        if let Some(channel) = self.channels.get_mut(id)
            && !channel.made_by_ari
        {
            channel.watchers.retain(|watcher| *watcher != app);
        }
    }

    fn stasis_delay(&mut self) -> Duration {
        let (from, to) = (*self.config.stasis_delay.start(), *self.config.stasis_delay.end());
        from + to.saturating_sub(from).mul_f64(self.rng.unit())
    }

    fn enter_later(&mut self, id: &str) {
        let delay = self.stasis_delay();
        let Some(born) = self.channels.get(id).map(|channel| channel.born) else {
            return;
        };
        self.after(delay, Timer::EnterStasis { channel: id.to_owned(), born });
    }

    pub(crate) fn snoop(&mut self, of: &str, wish: SnoopWish) -> String {
        let name = self.snoop_name(of);
        let kind = Kind::Snoop {
            of: of.to_owned(),
            spy: wish.spy,
        };
        let making = Making {
            id: wish.id,
            linkedid: None,
            name,
            kind,
            state: State::Up,
            caller: Party::new("", ""),
            context: "default".to_owned(),
            exten: "s".to_owned(),
        };
        let id = self.make(making);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.stasis_next = Some((wish.app, wish.args));
        }
        if let Some(channel) = self.channels.get_mut(of) {
            channel.snoops.push(id.clone());
        }
        self.newchannel(&id);
        self.spy_event("ChanSpyStart", &id);
        self.enter_later(&id);
        id
    }

    pub(super) fn spy_event(&mut self, name: &'static str, id: &str) {
        let Some(spyer) = self.channels.get(id) else { return };
        let Kind::Snoop { of, .. } = &spyer.kind else { return };
        let event = Event::new(name, CALL).channel("Spyer", spyer);
        let event = match self.channels.get(of) {
            Some(spyee) => event.channel("Spyee", spyee),
            None => event,
        };
        self.emit(event);
    }

    /// `local` is the bound port the RTP will come from.
    pub(crate) fn external(&mut self, wish: ExternalWish, local: SocketAddr) -> String {
        let pointer = 0x7f00_0000_0000 | (self.rng.next() & 0xff_ffff_fff0);
        // 16 dials without its format.
        let dial_string = if self.config.style == Style::Asterisk16 {
            wish.host.clone()
        } else {
            format!("{}/c({})", wish.host, wish.format)
        };
        let name = format!("UnicastRTP/{}-0x{pointer:x}", wish.host);
        let kind = Kind::External { dial_string };
        let making = Making {
            id: wish.id,
            linkedid: None,
            name,
            kind,
            state: State::Down,
            caller: Party::new("", ""),
            context: "default".to_owned(),
            exten: "s".to_owned(),
        };
        let id = self.make(making);
        self.newchannel(&id);
        self.newexten(&id, 1, "AppDial2", "(Outgoing Line)");
        for (variable, value) in wish.variables {
            self.set_variable(&id, &variable, &value);
        }
        self.varset(&id, "UNICASTRTP_LOCAL_ADDRESS", &local.ip().to_string());
        self.varset(&id, "UNICASTRTP_LOCAL_PORT", &local.port().to_string());
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.made_by_ari = true;
            channel.stasis_next = Some((wish.app.clone(), wish.args));
            channel.watchers.push(wish.app);
        }
        self.enter_later(&id);
        id
    }

    fn external_is_up(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id) else { return };
        let Kind::External { dial_string, .. } = channel.kind.clone() else { return };
        self.dial("DialBegin", None, id, "DialString", &dial_string, &dial_string);
        self.newstate(id, State::Up);
        self.dial("DialEnd", None, id, "DialStatus", "ANSWER", &dial_string);
    }

    /// A variable, or one of the functions that act when they are set.
    pub(crate) fn set_variable(&mut self, id: &str, variable: &str, value: &str) {
        if variable == "CDR_PROP(disable)" {
            if let Some(channel) = self.channels.get_mut(id) {
                channel.cdr = value != "1";
            }
            return;
        }
        self.varset(id, variable, value);
    }
}
