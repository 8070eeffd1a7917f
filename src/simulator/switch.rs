//! The simulated PBX: channels, bridges, applications, calls and timers. Requests and `now` in; events, replies and media commands
//! out. Same seed, same configuration, same requests at the same times: the same bytes.

mod answer;
pub(crate) mod ari_do;
pub(crate) mod bridge;
pub(crate) mod channel;
mod dial;
mod end;
pub(crate) mod hear;
pub(crate) mod json;
pub(crate) mod load;
mod make;
pub(crate) mod originate;
mod report;
mod run;
mod solo;
pub(crate) mod stasis;
mod tell;
#[cfg(test)]
mod tests;
mod unanswered;

use crate::ami::login::Manager;
use crate::audio::voice::Voice;
use crate::clock::SimTime;
use crate::config::SimConfig;
use crate::outbox::Outbox;
use crate::rng::Rng;
use crate::rtp::MediaCommand;
use crate::script::{CallId, CallScript, CallView, Side};
use bridge::Bridge;
use channel::Channel;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Ended calls whose voices can still be asked for.
const PAST_CALLS_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The next thing a call's script does.
    Step(CallId, Step),
    /// A snoop, external or originated channel enters its application.
    EnterStasis {
        channel: String,
        born: u64,
    },
    Rtcp {
        channel: String,
        born: u64,
    },
    /// The rest of an originate, after the ringing.
    Originated {
        id: u64,
    },
    DigitUp {
        channel: String,
        born: u64,
        digit: char,
        received: bool,
        held_ms: u64,
    },
    PlaybackDone {
        id: String,
        born: u64,
    },
    HangUp {
        channel: String,
        born: u64,
    },
    Populate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Ringing,
    /// The ringing is over.
    Decided,
    MenuReached,
    Digit(char),
    End,
}

pub(crate) struct Call {
    pub(crate) script: CallScript,
    pub(crate) caller: String,
    pub(crate) callee: Option<String>,
    pub(crate) placed: SimTime,
    pub(crate) answered: Option<SimTime>,
    pub(crate) voices: [Voice; 2],
    pub(crate) generated: bool,
    /// Busy, no answer and the like as a CDR calls them.
    pub(crate) disposition: &'static str,
}

/// A Stasis application somebody connected at least once.
#[derive(Default)]
pub(crate) struct App {
    pub(crate) socket: Option<(u64, Arc<Outbox>)>,
    pub(crate) subscribe_all: bool,
}

pub(crate) struct Playback {
    pub(crate) channel: String,
    pub(crate) media: String,
    pub(crate) born: u64,
}

/// What `stats` counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls_placed: u64,
    pub(crate) calls_answered: u64,
    pub(crate) calls_ended: u64,
    pub(crate) ami_events: u64,
    pub(crate) ari_events: u64,
}

pub(crate) struct Switch {
    pub(crate) config: Arc<SimConfig>,
    pub(crate) boot: SimTime,
    pub(crate) now: SimTime,
    stamp: SimTime,
    pub(crate) rng: Rng,
    plan: Rng,
    serial: u64,
    pjsip_serial: u32,
    local_serial: u32,
    snoop_serial: u32,
    call_serial: u64,
    timer_serial: u64,
    timers: BinaryHeap<Reverse<(SimTime, u64, Timer)>>,
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) names: HashMap<String, String>,
    pub(crate) bridges: BTreeMap<String, Bridge>,
    pub(crate) calls: BTreeMap<CallId, Call>,
    past: VecDeque<(CallId, [Voice; 2])>,
    pub(crate) playbacks: BTreeMap<String, Playback>,
    pending_originates: BTreeMap<u64, originate::Pending>,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) managers: BTreeMap<u64, Manager>,
    pub(crate) media: Vec<MediaCommand>,
    pub(crate) counts: Counts,
}

impl Switch {
    pub(crate) fn new(config: Arc<SimConfig>, boot: SimTime) -> Self {
        let root = Rng::new(config.seed);
        let mut switch = Self {
            boot,
            now: boot,
            stamp: boot,
            rng: root.fork(1),
            plan: root.fork(2),
            serial: 0,
            pjsip_serial: 0,
            local_serial: 0,
            snoop_serial: 0,
            call_serial: 0,
            timer_serial: 0,
            timers: BinaryHeap::new(),
            channels: BTreeMap::new(),
            names: HashMap::new(),
            bridges: BTreeMap::new(),
            calls: BTreeMap::new(),
            past: VecDeque::new(),
            playbacks: BTreeMap::new(),
            pending_originates: BTreeMap::new(),
            apps: BTreeMap::new(),
            managers: BTreeMap::new(),
            media: Vec::new(),
            counts: Counts::default(),
            config,
        };
        for nth in 0..switch.config.calls {
            // A busy office does not start its calls in one instant.
            let spread = switch
                .config
                .talk_mean
                .min(Duration::from_secs(20))
                .mul_f64(nth as f64 / switch.config.calls as f64);
            switch.after(spread, Timer::Populate);
        }
        switch
    }

    pub(crate) fn after(&mut self, delay: Duration, timer: Timer) {
        self.timer_serial += 1;
        self.timers.push(Reverse((self.now.plus(delay), self.timer_serial, timer)));
    }

    pub(crate) fn next_due(&self) -> Option<SimTime> {
        self.timers.peek().map(|Reverse((due, _, _))| *due)
    }

    /// Does what is due. Timers fire at their own time, unless we were stopped meanwhile.
    pub(crate) fn run_until(&mut self, now: SimTime) {
        while let Some(due) = self.next_due().filter(|due| *due <= now) {
            let Some(Reverse((_, _, timer))) = self.timers.pop() else { break };
            let late = now.since(due) > Duration::from_millis(100);
            self.now = self.now.max(if late { now } else { due });
            self.fire(timer);
        }
        self.now = self.now.max(now);
    }

    /// A number that no other object of this boot has.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.serial += 1;
        self.serial - 1
    }

    pub(crate) fn live(&self, channel: &str, born: u64) -> bool {
        self.channels.get(channel).is_some_and(|found| found.born == born)
    }

    /// By uniqueid or by name, as AMI takes either in `Channel:`.
    pub(crate) fn find(&self, name_or_id: &str) -> Option<String> {
        if self.channels.contains_key(name_or_id) {
            return Some(name_or_id.to_owned());
        }
        self.names.get(name_or_id).cloned()
    }

    pub(crate) fn voices(&self, call: CallId) -> Option<[Voice; 2]> {
        self.calls
            .get(&call)
            .map(|found| found.voices)
            .or_else(|| self.past.iter().rev().find(|(id, _)| *id == call).map(|(_, voices)| *voices))
    }

    pub(crate) fn remember(&mut self, call: CallId, voices: [Voice; 2]) {
        if self.past.len() >= PAST_CALLS_MAX {
            self.past.pop_front();
        }
        self.past.push_back((call, voices));
    }

    pub(crate) fn view(&self, call: CallId) -> Option<CallView> {
        let found = self.calls.get(&call)?;
        let caller = self.channels.get(&found.caller)?;
        Some(CallView {
            id: call,
            linkedid: caller.linkedid.clone(),
            caller_channel: found.caller.clone(),
            caller_channel_name: caller.name.clone(),
            callee_channel: found.callee.clone(),
            placed_at: found.placed,
            answered_at: found.answered,
        })
    }

    pub(crate) fn leg(&self, call: CallId, side: Side) -> Option<String> {
        let found = self.calls.get(&call)?;
        match side {
            Side::Caller => Some(found.caller.clone()),
            Side::Callee => found.callee.clone(),
        }
    }
}
