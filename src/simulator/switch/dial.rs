//! Placing a call, and Dial() from its first event to the far end's decision.

use super::channel::{Kind, State};
use super::make::Making;
use super::{Call, Step, Switch, Timer};
use crate::audio::voice::Voice;
use crate::script::{CallId, CallScript, Ending, Party, PlaceError, Route, Side};
use std::time::Duration;

/// From the INVITE to the 180.
const RINGING_AFTER: Duration = Duration::from_millis(15);
const DIAL_TIMEOUT_SECS: u32 = 60;

impl Switch {
    pub(crate) fn place(&mut self, script: CallScript, generated: bool) -> Result<CallId, PlaceError> {
        if self.full() {
            return Err(PlaceError::Full);
        }
        let numbering = self.config.numbering.clone();
        let known = |number: &str| numbering.extensions.iter().any(|extension| extension.number == number);
        let from_extension = matches!(script.route, Route::Outbound { .. } | Route::Internal { .. });
        let unknown_target = matches!(&script.route, Route::Inbound { extension } | Route::Internal { extension } if !known(extension));
        if unknown_target || (from_extension && !known(&script.caller.number)) {
            return Err(PlaceError::NoSuchExtension);
        }
        let endpoint = if from_extension {
            script.caller.number.clone()
        } else {
            numbering.trunk.clone()
        };
        let context = if from_extension {
            numbering.extension_context.clone()
        } else {
            numbering.trunk_context.clone()
        };
        let caller = if from_extension {
            self.extension_party(&script.caller.number)
        } else {
            script.caller.clone()
        };
        let call = self.new_call_id();
        let name = self.pjsip_name(&endpoint);
        let exten = self.dialled(&script.route);
        let kind = Kind::Party { call, side: Side::Caller };
        let id = self.make(Making {
            id: None,
            linkedid: None,
            name,
            kind,
            state: State::Ring,
            caller,
            context,
            exten,
        });
        self.protocol(&id, &script.account_code);
        self.record(call, script, id.clone(), generated);
        self.newchannel(&id);
        self.varset(&id, "SIPDOMAIN", "127.0.0.1");
        self.run_dialplan(call);
        Ok(call)
    }

    pub(super) fn new_call_id(&mut self) -> CallId {
        self.call_serial += 1;
        CallId(self.call_serial)
    }

    /// Enters a call in the books; its voices follow from the seed and its number alone.
    pub(super) fn record(&mut self, call: CallId, script: CallScript, caller: String, generated: bool) {
        let voices = Voice::pair(self.config.seed, call.0, self.now);
        let placed = self.now;
        self.counts.calls_placed += 1;
        self.calls.insert(
            call,
            Call {
                script,
                caller,
                callee: None,
                placed,
                answered: None,
                voices,
                generated,
                disposition: "NO ANSWER",
            },
        );
    }

    pub(super) fn protocol(&mut self, id: &str, account: &str) {
        let protocol_id = self.rng.uuid();
        if let Some(channel) = self.channels.get_mut(id) {
            channel.protocol_id = protocol_id;
            account.clone_into(&mut channel.account);
        }
    }

    pub(super) fn extension_party(&self, number: &str) -> Party {
        let name = self
            .config
            .numbering
            .extensions
            .iter()
            .find(|extension| extension.number == number)
            .map(|extension| extension.name.as_str());
        Party::new(number, name.unwrap_or_default())
    }

    fn dialled(&self, route: &Route) -> String {
        let numbering = &self.config.numbering;
        match route {
            Route::Inbound { extension } | Route::Internal { extension } => extension.clone(),
            Route::Outbound { number } => number.clone(),
            Route::Echo => numbering.echo_exten.clone(),
            Route::Ivr => numbering.ivr_exten.clone(),
            Route::Stasis { .. } => numbering.stasis_exten.clone(),
            Route::BusyApp => "981".to_owned(),
            Route::RingingApp => "983".to_owned(),
        }
    }

    fn run_dialplan(&mut self, call: CallId) {
        let Some(route) = self.calls.get(&call).map(|found| found.script.route.clone()) else {
            return;
        };
        match route {
            Route::Inbound { extension } | Route::Internal { extension } => self.begin_dial(call, &extension, &extension),
            Route::Outbound { number } => {
                let target = format!("{number}@{}", self.config.numbering.trunk);
                self.begin_dial(call, &target, &number);
            }
            Route::Echo => self.echo(call),
            Route::Ivr => self.ivr(call),
            Route::BusyApp => self.busy_app(call),
            Route::RingingApp => self.ringing_app(call),
            Route::Stasis { app, args } => self.send_to_stasis(call, app, &args),
        }
    }

    /// Dial(PJSIP/`target`): everything up to DialBegin happens at once.
    pub(super) fn begin_dial(&mut self, call: CallId, target: &str, dialled: &str) {
        let Some(caller) = self.calls.get(&call).map(|found| found.caller.clone()) else {
            return;
        };
        self.newexten(&caller, 1, "Dial", &format!("PJSIP/{target},{DIAL_TIMEOUT_SECS},tT"));
        for variable in [
            "DIALSTATUS",
            "DIALEDPEERNUMBER",
            "DIALEDPEERNAME",
            "ANSWEREDTIME",
            "ANSWEREDTIME_MS",
            "DIALEDTIME",
            "DIALEDTIME_MS",
            "RINGTIME",
            "RINGTIME_MS",
            "PROGRESSTIME",
            "PROGRESSTIME_MS",
        ] {
            self.varset(&caller, variable, "");
        }
        let trunk = target.contains('@');
        let callee = self.make_callee(
            call,
            &caller,
            if trunk { self.config.numbering.trunk.clone() } else { dialled.to_owned() },
            trunk,
        );
        self.varset(&callee, "DIALEDPEERNUMBER", target);
        let from = self.channels.get(&caller).map(|channel| channel.caller.clone());
        if let (Some(channel), Some(from)) = (self.channels.get_mut(&callee), from) {
            dialled.clone_into(&mut channel.exten);
            channel.connected = from;
            if trunk {
                channel.caller = Party::new(dialled, "");
            }
        }
        self.newexten(&callee, 1, "AppDial", "(Outgoing Line)");
        if trunk {
            self.new_callerid(&callee);
        }
        self.new_connected(&callee);
        self.dial("DialBegin", Some(&caller), &callee, "DialString", target, target);
        self.connect_caller(&caller, &callee);
        self.schedule_decision(call);
    }

    fn make_callee(&mut self, call: CallId, caller: &str, endpoint: String, trunk: bool) -> String {
        let numbering = self.config.numbering.clone();
        let context = if trunk { numbering.trunk_context } else { numbering.extension_context };
        let linkedid = self.channels.get(caller).map(|channel| channel.linkedid.clone());
        let party = if trunk { Party::new("", "") } else { self.extension_party(&endpoint) };
        let name = self.pjsip_name(&endpoint);
        let kind = Kind::Party { call, side: Side::Callee };
        let making = Making {
            id: None,
            linkedid,
            name: name.clone(),
            kind,
            state: State::Down,
            caller: party,
            context,
            exten: "s".to_owned(),
        };
        let callee = self.make(making);
        let account = self.channels.get(caller).map(|channel| channel.account.clone()).unwrap_or_default();
        self.protocol(&callee, &account);
        self.newchannel(&callee);
        if let Some(channel) = self.channels.get_mut(caller) {
            channel.cdr_peer = name;
        }
        if let Some(found) = self.calls.get_mut(&call) {
            found.callee = Some(callee.clone());
        }
        callee
    }

    fn connect_caller(&mut self, caller: &str, callee: &str) {
        let party = self.channels.get(callee).map(|channel| channel.caller.clone());
        if let (Some(channel), Some(party)) = (self.channels.get_mut(caller), party) {
            channel.connected = party;
        }
        self.new_connected(caller);
    }

    fn schedule_decision(&mut self, call: CallId) {
        let Some(script) = self.calls.get(&call).map(|found| &found.script) else {
            return;
        };
        let (ring, fails) = (script.ring, script.ending == Ending::Failed);
        if !fails {
            self.after(RINGING_AFTER.min(ring / 2), Timer::Step(call, Step::Ringing));
        }
        self.after(ring, Timer::Step(call, Step::Decided));
    }

    pub(super) fn ringing(&mut self, call: CallId) {
        let Some((caller, callee)) = self.legs(call) else { return };
        self.newstate(&callee, State::Ringing);
        self.varset(&caller, "RINGTIME", "0");
        self.varset(&caller, "RINGTIME_MS", "15");
        self.dial_status("DialState", &caller, &callee, "RINGING");
    }

    pub(super) fn dial_status(&mut self, event: &'static str, caller: &str, callee: &str, status: &str) {
        let dial_string = self
            .channels
            .get(callee)
            .and_then(|channel| channel.vars.get("DIALEDPEERNUMBER").cloned())
            .unwrap_or_default();
        self.dial(event, Some(caller), callee, "DialStatus", status, &dial_string);
    }

    pub(super) fn legs(&self, call: CallId) -> Option<(String, String)> {
        let found = self.calls.get(&call)?;
        Some((found.caller.clone(), found.callee.clone()?))
    }

    /// The ringing is over: answered, or one of the ways it is not.
    pub(super) fn decided(&mut self, call: CallId) {
        let Some(found) = self.calls.get(&call) else { return };
        let (ending, dials) = (found.script.ending, found.callee.is_some());
        match (ending, dials) {
            (Ending::Answered { .. }, true) => self.answered(call),
            (Ending::Busy, true) => self.refused(call, "BUSY", 17, Some(486)),
            (Ending::Failed, true) => self.refused(call, "CONGESTION", 34, Some(503)),
            (Ending::NoAnswer, true) => self.refused(call, "NOANSWER", 19, None),
            (Ending::Cancelled, true) => self.cancelled(call),
            (_, false) => self.solo_over(call),
        }
    }
}
