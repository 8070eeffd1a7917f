//! Calls that a request makes: Local channels and known endpoints, by AMI or ARI.

use super::channel::{Kind, State};
use super::make::Making;
use super::{Switch, Timer};
use crate::ami::class::CALL;
use crate::ami::event::{Event, or_unknown};
use crate::script::{CallScript, Ending, Party, Route, Side};
use std::time::Duration;

/// Where the new channel goes when it is answered.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    App { name: String, data: String },
    Exten { context: String, exten: String },
    Stasis { app: String, args: Vec<String> },
}

/// Who hears how it went.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    Ami { action_id: String },
    Ari { app: Option<String> },
}

#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) endpoint: String,
    pub(crate) id: Option<String>,
    pub(crate) other_id: Option<String>,
    pub(crate) destination: Destination,
    pub(crate) caller: Party,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) asker: Asker,
}

pub(crate) struct Pending {
    channel: Option<String>,
    wish: Wish,
}

/// Reason codes of OriginateResponse.
const FAILED: u8 = 0;
const ANSWERED: u8 = 4;

impl Switch {
    /// Starts it and names the new channel; `None`: no such endpoint (told to an AMI asker by OriginateResponse).
    pub(crate) fn originate(&mut self, wish: Wish) -> Option<String> {
        let channel = match wish.endpoint.split_once('/') {
            Some(("Local", target)) => self.originate_local(target, &wish),
            Some(("PJSIP", target)) => self.originate_endpoint(target, &wish),
            _ => None,
        };
        let ring = match (&channel, wish.endpoint.starts_with("PJSIP/")) {
            (Some(_), true) => self.config.ring_mean.min(Duration::from_millis(500)),
            _ => Duration::from_millis(1),
        };
        let id = self.fresh_originate();
        self.pending_originates.insert(
            id,
            Pending {
                channel: channel.clone(),
                wish,
            },
        );
        self.after(ring, Timer::Originated { id });
        channel
    }

    fn fresh_originate(&mut self) -> u64 {
        self.timer_serial += 1;
        self.timer_serial
    }

    fn originate_local(&mut self, target: &str, wish: &Wish) -> Option<String> {
        let target = target.split('/').next().unwrap_or_default();
        let (exten, context) = target.split_once('@').unwrap_or((target, "default"));
        let name = self.local_name(target);
        let first_id = wish.id.clone().unwrap_or_else(|| self.uniqueid());
        let second_id = wish
            .other_id
            .clone()
            .unwrap_or_else(|| if wish.id.is_some() { format!("{first_id};2") } else { self.uniqueid() });
        for (id, peer, half, state) in [(&first_id, &second_id, 1, State::Down), (&second_id, &first_id, 2, State::Ring)] {
            let kind = Kind::Local { peer: peer.clone() };
            let making = Making {
                id: Some(id.clone()),
                linkedid: Some(first_id.clone()),
                name: format!("{name};{half}"),
                kind,
                state,
                caller: Party::new("", ""),
                context: context.to_owned(),
                exten: exten.to_owned(),
            };
            self.make(making);
            self.newchannel(id);
        }
        self.prepare(&first_id, wish);
        if !wish.caller.number.is_empty() {
            self.identify(&second_id, &wish.caller);
        }
        self.local_bridge(&first_id, &second_id, exten, context);
        self.dial("DialBegin", None, &first_id, "DialString", &format!("{target}/n"), &format!("{target}/n"));
        self.newexten(&second_id, 1, "Answer", "");
        Some(first_id)
    }

    /// The maker's marks on a new channel: application, variables, caller id.
    fn prepare(&mut self, id: &str, wish: &Wish) {
        if let (Some(channel), Asker::Ari { app }) = (self.channels.get_mut(id), &wish.asker) {
            channel.made_by_ari = true;
            channel.watchers.extend(app.clone());
        }
        self.newexten(id, 1, "AppDial2", "(Outgoing Line)");
        for (variable, value) in &wish.variables {
            self.set_variable(id, variable, value);
        }
        if !wish.caller.number.is_empty() {
            self.identify(id, &wish.caller);
        }
    }

    fn identify(&mut self, id: &str, caller: &Party) {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.caller = caller.clone();
            channel.connected = caller.clone();
        }
        self.new_callerid(id);
        self.new_connected(id);
    }

    fn local_bridge(&mut self, first: &str, second: &str, exten: &str, context: &str) {
        let (Some(one), Some(two)) = (self.channels.get(first), self.channels.get(second)) else {
            return;
        };
        let event = Event::new("LocalBridge", CALL)
            .channel("LocalOne", one)
            .channel("LocalTwo", two)
            .put("Context", context)
            .put("Exten", exten)
            .put("LocalOptimization", "No");
        self.emit(event);
    }

    fn originate_endpoint(&mut self, target: &str, wish: &Wish) -> Option<String> {
        let (number, endpoint) = target.split_once('@').map_or((target, target), |(number, trunk)| (number, trunk));
        let numbering = self.config.numbering.clone();
        let known = endpoint == numbering.trunk || numbering.extensions.iter().any(|extension| extension.number == endpoint);
        if !known {
            return None;
        }
        let call = self.new_call_id();
        let name = self.pjsip_name(endpoint);
        let caller = if endpoint == numbering.trunk {
            Party::new(number, "")
        } else {
            self.extension_party(endpoint)
        };
        let kind = Kind::Party { call, side: Side::Caller };
        let context = numbering.extension_context;
        let making = Making {
            id: wish.id.clone(),
            linkedid: None,
            name,
            kind,
            state: State::Down,
            caller: caller.clone(),
            context,
            exten: "s".to_owned(),
        };
        let id = self.make(making);
        self.protocol(&id, "");
        let route = match &wish.destination {
            Destination::Exten { exten, .. } if self.config.numbering.extensions.iter().any(|known| known.number == *exten) => {
                Route::Internal { extension: exten.clone() }
            }
            Destination::Exten { exten, .. } => Route::Outbound { number: exten.clone() },
            Destination::Stasis { app, args } => Route::Stasis {
                app: Some(app.clone()),
                args: args.clone(),
            },
            Destination::App { .. } => Route::Ivr,
        };
        let script = CallScript::new(caller, route).ending(Ending::Answered {
            talk: None,
            hung_up_by: Side::Caller,
        });
        self.record(call, script, id.clone(), false);
        self.newchannel(&id);
        self.prepare(&id, wish);
        self.dial("DialBegin", None, &id, "DialString", target, target);
        self.newstate(&id, State::Ringing);
        Some(id)
    }

    /// The far end answered, or there was none.
    pub(super) fn originated(&mut self, id: u64) {
        let Some(Pending { channel, wish }) = self.pending_originates.remove(&id) else {
            return;
        };
        let Some(id) = channel.filter(|id| self.channels.contains_key(id)) else {
            self.originate_response(&wish, None);
            return;
        };
        let peer = self.channels.get(&id).and_then(|channel| {
            if let Kind::Local { peer, .. } = &channel.kind {
                Some(peer.clone())
            } else {
                None
            }
        });
        self.newstate(&id, State::Up);
        if let Some(peer) = &peer {
            self.newstate(peer, State::Up);
        }
        self.dial("DialEnd", None, &id, "DialStatus", "ANSWER", "");
        self.originate_response(&wish, Some(&id));
        if let Some(peer) = &peer {
            self.newexten(peer, 2, "PlayTones", "800");
            self.newexten(peer, 3, "Wait", "60");
        } else {
            self.start_rtcp(&id);
        }
        self.go_to(&id, wish.destination);
    }

    fn go_to(&mut self, id: &str, destination: Destination) {
        let born = self.channels.get(id).map_or(0, |channel| channel.born);
        let call = self.channels.get(id).and_then(|channel| channel.party()).map(|(call, _)| call);
        match (destination, call) {
            (Destination::Stasis { app, args }, _) => self.go_to_stasis(id, app, args),
            (Destination::App { name, data }, _) if name == "Stasis" => {
                let mut args = data.split(',').map(str::to_owned);
                let app = args.next().unwrap_or_default();
                self.go_to_stasis(id, app, args.collect());
            }
            (Destination::App { name, data }, _) => {
                self.newexten(id, 1, &name, &data);
                if let (Some(call), true) = (call, name != "Wait") {
                    self.call_is_up(call);
                }
                let wait = data.parse::<f64>().ok().filter(|wait| name == "Wait" && (0.0..86_400.0).contains(wait));
                if let Some(wait) = wait {
                    self.after(Duration::from_secs_f64(wait), Timer::HangUp { channel: id.to_owned(), born });
                }
            }
            (Destination::Exten { context, exten }, Some(call)) => {
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.context = context;
                    channel.exten.clone_from(&exten);
                }
                let inside = self.config.numbering.extensions.iter().any(|known| known.number == exten);
                let target = if inside {
                    exten.clone()
                } else {
                    format!("{exten}@{}", self.config.numbering.trunk)
                };
                self.begin_dial(call, &target, &exten);
            }
            (Destination::Exten { context, exten }, None) => {
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.context = context;
                    channel.exten = exten;
                }
                self.newexten(id, 1, "Wait", "60");
            }
        }
    }

    fn go_to_stasis(&mut self, id: &str, app: String, args: Vec<String>) {
        if !self.connected(&app) {
            self.varset(id, "STASISSTATUS", "FAILED");
            self.hang_up(id, 16);
            return;
        }
        if let Some(channel) = self.channels.get_mut(id) {
            channel.stasis_next = Some((app, args));
        }
        self.enter_stasis(id);
    }

    fn originate_response(&mut self, wish: &Wish, channel: Option<&str>) {
        let Asker::Ami { action_id } = &wish.asker else { return };
        let found = channel.and_then(|id| self.channels.get(id));
        let mut event = Event::new("OriginateResponse", CALL);
        if !action_id.is_empty() {
            event = event.put("ActionID", action_id);
        }
        event = event.put("Response", if found.is_some() { "Success" } else { "Failure" });
        event = event.put("Channel", found.map_or(wish.endpoint.as_str(), |channel| channel.name.as_str()));
        event = match &wish.destination {
            Destination::App { name, data } => event.put("Application", name).put("Data", data),
            Destination::Exten { context, exten } => event.put("Context", context).put("Exten", exten),
            Destination::Stasis { app, args } => event.put("Application", "Stasis").put("Data", format!("{app},{}", args.join(","))),
        };
        let event = event
            .put("Reason", if found.is_some() { ANSWERED } else { FAILED })
            .put("Uniqueid", found.map_or("<unknown>", |channel| channel.id.as_str()))
            .put("CallerIDNum", or_unknown(&wish.caller.number))
            .put("CallerIDName", or_unknown(&wish.caller.name));
        self.emit(event);
    }
}
