//! A dialled call is answered: both legs up, one basic bridge.

use super::channel::State;
use super::{Step, Switch, Timer};
use crate::script::{CallId, Ending, Side};

impl Switch {
    pub(super) fn answered(&mut self, call: CallId) {
        let Some((caller, callee)) = self.legs(call) else { return };
        let callee_name = self.channels.get(&callee).map(|channel| channel.name.clone()).unwrap_or_default();
        if let Some(channel) = self.channels.get_mut(&callee) {
            channel.exten.clear();
        }
        self.newstate(&callee, State::Up);
        self.varset(&caller, "DIALSTATUS", "ANSWER");
        self.varset(&caller, "DIALEDPEERNAME", &callee_name);
        self.dial_status("DialEnd", &caller, &callee, "ANSWER");
        if self.channels.get(&caller).is_some_and(|channel| channel.state != State::Up) {
            self.newstate(&caller, State::Up);
        }
        let bridge = self.rng.uuid();
        self.make_bridge(bridge.clone(), String::new(), "basic", Vec::new());
        self.newexten(&callee, 1, "AppDial", "(Outgoing Line)");
        self.enter(&bridge, &callee);
        self.enter(&bridge, &caller);
        self.start_rtcp(&caller);
        self.start_rtcp(&callee);
        self.call_is_up(call);
    }

    /// From here the script's talk time and key presses count.
    pub(super) fn call_is_up(&mut self, call: CallId) {
        let now = self.now;
        let Some(found) = self.calls.get_mut(&call) else { return };
        if found.answered.is_some() {
            return;
        }
        found.answered = Some(now);
        found.disposition = "ANSWERED";
        let (ending, dtmf, silent) = (found.script.ending, found.script.dtmf.clone(), found.script.silent);
        self.counts.calls_answered += 1;
        for (delay, digit) in dtmf {
            self.after(delay, Timer::Step(call, Step::Digit(digit)));
        }
        if let Ending::Answered { talk: Some(talk), .. } = ending {
            self.after(talk, Timer::Step(call, Step::End));
        }
        if let Some(side) = silent {
            self.set_silent(call, side, true);
        }
    }

    pub(crate) fn set_silent(&mut self, call: CallId, side: Side, silent: bool) -> bool {
        let Some(id) = self.leg(call, side) else { return false };
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.silent = silent;
        }
        self.touch(&id);
        true
    }
}
