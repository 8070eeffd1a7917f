//! Dialled calls that nobody answers: refused, timed out, given up.

use super::Switch;
use super::channel::State;
use crate::config::Style;
use crate::script::{CallId, Route};

impl Switch {
    /// The callee did not take it; Dial() returns and the dialplan hangs up the caller.
    pub(super) fn refused(&mut self, call: CallId, status: &'static str, cause: u16, tech_cause: Option<u16>) {
        let Some((caller, callee)) = self.legs(call) else { return };
        let tech_cause = tech_cause.filter(|_| self.config.style == Style::Asterisk22);
        self.varset(&caller, "DIALSTATUS", status);
        self.dial_status("DialEnd", &caller, &callee, status);
        // A timeout leaves the callee's own cause unset.
        self.set_cause(&callee, if status == "NOANSWER" { 0 } else { cause }, tech_cause);
        self.bury(&callee);
        if let Some(found) = self.calls.get_mut(&call) {
            found.callee = None;
            found.disposition = match status {
                "BUSY" => "BUSY",
                "CONGESTION" => "FAILED",
                _ => "NO ANSWER",
            };
        }
        if status == "BUSY" {
            self.newstate(&caller, State::Busy);
        }
        self.set_cause(&caller, cause, tech_cause);
        if status != "NOANSWER" {
            let told = self.cause_told(call).then_some(cause);
            self.hangup_request(&caller, told, told.and(tech_cause));
        }
        self.close_caller(&caller);
    }

    /// The caller hangs up while it rings.
    pub(super) fn cancelled(&mut self, call: CallId) {
        let Some((caller, callee)) = self.legs(call) else { return };
        let tech_cause = (self.config.style == Style::Asterisk22).then_some(487);
        self.set_cause(&caller, 127, tech_cause);
        self.hangup_request(&caller, Some(127), tech_cause);
        self.give_up_ringing(call, &caller, &callee);
        self.close_caller(&caller);
    }

    /// The ringing leg goes because the caller did.
    pub(super) fn give_up_ringing(&mut self, call: CallId, caller: &str, callee: &str) {
        self.varset(caller, "DIALSTATUS", "CANCEL");
        self.dial_status("DialEnd", caller, callee, "CANCEL");
        self.set_cause(callee, 0, None);
        self.bury(callee);
        if let Some(found) = self.calls.get_mut(&call) {
            found.callee = None;
        }
    }

    pub(super) fn set_cause(&mut self, id: &str, cause: u16, tech_cause: Option<u16>) {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.cause = cause;
            channel.tech_cause = tech_cause;
        }
    }

    /// Whether this call's HangupRequest names a cause: as scripted, else as its kind was captured.
    pub(super) fn cause_told(&self, call: CallId) -> bool {
        let Some(script) = self.calls.get(&call).map(|found| &found.script) else {
            return false;
        };
        script.cause_told.unwrap_or(match (self.config.style, &script.route) {
            (_, Route::RingingApp) => true,
            (Style::Asterisk16, Route::Echo | Route::Ivr | Route::Stasis { .. }) => true,
            (Style::Asterisk16, _) => false,
            (Style::Asterisk22, Route::Echo | Route::Ivr | Route::Stasis { .. }) => false,
            (Style::Asterisk22, _) => true,
        })
    }
}
