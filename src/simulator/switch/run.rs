//! What each timer does when it is due.

use super::{Step, Switch, Timer};
use crate::script::CallId;

impl Switch {
    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Step(call, step) => self.step(call, step),
            Timer::EnterStasis { channel, born } if self.live(&channel, born) => self.enter_stasis(&channel),
            Timer::Rtcp { channel, born } if self.live(&channel, born) => self.rtcp(&channel),
            Timer::Originated { id } => self.originated(id),
            Timer::DigitUp {
                channel,
                born,
                digit,
                received,
                held_ms,
            } if self.live(&channel, born) => self.digit_up(&channel, digit, received, held_ms),
            Timer::PlaybackDone { id, born } => self.playback_done(&id, born),
            Timer::HangUp { channel, born } if self.live(&channel, born) => self.hang_up(&channel, 16),
            Timer::Populate => self.populate(),
            // The channel died meanwhile.
            Timer::EnterStasis { .. } | Timer::Rtcp { .. } | Timer::DigitUp { .. } | Timer::HangUp { .. } => {}
        }
    }

    fn step(&mut self, call: CallId, step: Step) {
        if !self.calls.contains_key(&call) {
            return;
        }
        match step {
            Step::Ringing => self.ringing(call),
            Step::Decided => self.decided(call),
            Step::MenuReached => self.menu_reached(call),
            Step::Digit(digit) => self.press(call, digit),
            Step::End => self.talked_out(call),
        }
    }
}
