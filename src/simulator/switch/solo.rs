//! Calls with one leg: applications of the dialplan.

use super::channel::State;
use super::{Step, Switch, Timer};
use crate::script::CallId;
use std::time::Duration;

const MENU_AFTER: Duration = Duration::from_secs(4);

impl Switch {
    fn caller_of(&self, call: CallId) -> Option<String> {
        self.calls.get(&call).map(|found| found.caller.clone())
    }

    pub(super) fn echo(&mut self, call: CallId) {
        let Some(id) = self.caller_of(call) else { return };
        self.newexten(&id, 1, "NoOp", "echo");
        self.newexten(&id, 2, "Answer", "");
        self.newstate(&id, State::Up);
        self.newexten(&id, 3, "Echo", "");
        self.start_rtcp(&id);
        self.call_is_up(call);
        self.touch(&id);
    }

    pub(super) fn ivr(&mut self, call: CallId) {
        let Some(id) = self.caller_of(call) else { return };
        self.newexten(&id, 1, "Answer", "");
        self.newstate(&id, State::Up);
        self.newexten(&id, 2, "BackGround", "welcome&press-1-for-sales");
        self.start_rtcp(&id);
        self.after(MENU_AFTER, Timer::Step(call, Step::MenuReached));
        self.call_is_up(call);
        self.touch(&id);
    }

    pub(super) fn menu_reached(&mut self, call: CallId) {
        let Some(id) = self.caller_of(call) else { return };
        self.newexten(&id, 3, "WaitExten", "60");
    }

    pub(super) fn busy_app(&mut self, call: CallId) {
        let Some(id) = self.caller_of(call) else { return };
        self.newexten(&id, 1, "Busy", "2");
        self.newstate(&id, State::Busy);
        if let Some(found) = self.calls.get_mut(&call) {
            found.disposition = "BUSY";
        }
        self.after(Duration::from_millis(1), Timer::Step(call, Step::Decided));
    }

    pub(super) fn ringing_app(&mut self, call: CallId) {
        let Some(id) = self.caller_of(call) else { return };
        let ring = self.calls.get(&call).map(|found| found.script.ring).unwrap_or_default();
        self.newexten(&id, 1, "Ringing", "");
        self.newexten(&id, 2, "Wait", "20");
        self.after(ring, Timer::Step(call, Step::Decided));
    }
}
