//! Puts packets back in order and every sample in its place.
//!
//! A packet in order is released at once. Behind a hole packets are held until it is filled or the oldest of them has waited `hold`; then the hole is lost.
//! So a stream without loss is never delayed, and a sender whose clock drifts never runs a buffer full or empty. Smooth playing is the listener's matter.
//!
//! Place in time comes from RTP timestamps. A jump of the timestamp without a jump of the sequence is silence. A jump that the time that passed
//! here does not bear out is a sender that began anew: the timeline goes on by arrival (a resync). When nothing arrives nothing is released.

use crate::frame::FrameKind;
use crate::rtp::{Extended, Header, SequenceExtender, TimestampExtender};
use std::collections::VecDeque;
use std::time::Duration;

/// Most packets held behind a hole; one more gives the hole up.
const HELD_MAX: usize = 64;
/// Gaps up to this are taken from the timestamps unseen; longer ones must agree with the time that passed.
const TRUSTED_GAP: Duration = Duration::from_secs(2);
/// A sender that was quiet for longer than this, and whose timestamps did not count it, is placed by arrival.
const UNCOUNTED_SILENCE: Duration = Duration::from_secs(10);

/// An audio packet, or another one that only takes a sequence number (`samples` 0).
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub header: Header,
    pub payload: &'a [u8],
    /// Length at the stream's rate.
    pub samples: u64,
    /// Units of the timestamp a second.
    pub clock_rate: u32,
    pub at: Duration,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Released now or later. `restarted`: the first of a new sequence.
    Accepted {
        sequence: u64,
        restarted: bool,
    },
    Duplicate,
    /// Its hole was given up before it came.
    Late {
        sequence: u64,
    },
    /// Far off the sequence; believed when its successor follows.
    Doubtful,
}

/// Takes what is released, in order of time.
pub trait Release {
    fn packet(&mut self, media_time: u64, arrival: &Arrival<'_>);
    /// Never called with 0 samples.
    fn gap(&mut self, media_time: u64, samples: u64, kind: FrameKind, at: Duration);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounts {
    pub duplicates: u64,
    pub late: u64,
    pub reordered: u64,
    pub doubtful: u64,
    /// Packets given up, and in how many stretches.
    pub lost: u64,
    pub loss_runs: u64,
    pub resyncs: u64,
}

struct Held {
    sequence: u64,
    header: Header,
    payload: Box<[u8]>,
    samples: u64,
    clock_rate: u32,
    at: Duration,
}

struct Anchor {
    timestamp: i64,
    media_time: u64,
    clock_rate: u32,
}

pub struct Jitter {
    rate: u32,
    hold: Duration,
    sequence: SequenceExtender,
    timestamp: TimestampExtender,
    /// The sequence number to be released next.
    next: Option<u64>,
    highest: u64,
    /// Which of the 128 numbers up to `highest` came.
    seen: u128,
    held: VecDeque<Held>,
    anchor: Option<Anchor>,
    /// End of what was released.
    media_time: u64,
    last_arrival: Option<Duration>,
    last_samples: u64,
    /// Given up since the last audio.
    lost_before: u64,
    counts: JitterCounts,
}

impl Jitter {
    /// `rate`: samples a second of the stream's timeline, the same for life.
    pub fn new(rate: u32, hold: Duration) -> Jitter {
        Jitter {
            rate: rate.max(1),
            hold,
            sequence: SequenceExtender::default(),
            timestamp: TimestampExtender::default(),
            next: None,
            highest: 0,
            seen: 0,
            held: VecDeque::new(),
            anchor: None,
            media_time: 0,
            last_arrival: None,
            last_samples: 0,
            lost_before: 0,
            counts: JitterCounts::default(),
        }
    }

    /// Goes on where another one of the same stream was lost.
    #[must_use]
    pub fn resumed(mut self, media_time: u64, last_arrival: Option<Duration>) -> Jitter {
        self.media_time = media_time;
        self.last_arrival = last_arrival;
        self
    }

    pub fn counts(&self) -> JitterCounts {
        self.counts
    }

    pub fn media_time(&self) -> u64 {
        self.media_time
    }

    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    pub fn push(&mut self, arrival: &Arrival<'_>, out: &mut impl Release) -> Verdict {
        let (sequence, restarted) = match self.sequence.extend(arrival.header.sequence) {
            Extended::Doubtful => {
                self.counts.doubtful += 1;
                return Verdict::Doubtful;
            }
            Extended::Restarted(sequence) => {
                self.restart(out);
                (sequence, true)
            }
            Extended::Continues(sequence) => (sequence, self.next.is_none()),
        };
        let next = *self.next.get_or_insert(sequence);
        if !self.mark_seen(sequence, restarted) {
            self.counts.duplicates += 1;
            return Verdict::Duplicate;
        }
        if sequence < next {
            self.counts.late += 1;
            return Verdict::Late { sequence };
        }
        if sequence == next {
            self.release(sequence, arrival, out);
            self.release_held(out);
        } else {
            self.hold(sequence, arrival);
            while self.held.len() > HELD_MAX {
                self.give_up(out);
            }
        }
        Verdict::Accepted { sequence, restarted }
    }

    /// Gives up holes that were waited for long enough.
    pub fn tick(&mut self, now: Duration, out: &mut impl Release) {
        while self
            .held
            .iter()
            .map(|held| held.at)
            .min()
            .is_some_and(|since| now.saturating_sub(since) >= self.hold)
        {
            self.give_up(out);
        }
    }

    /// Releases all, and forgets the sequence: what comes next is placed by arrival.
    pub fn restart(&mut self, out: &mut impl Release) {
        while !self.held.is_empty() {
            self.give_up(out);
        }
        self.next = None;
        self.anchor = None;
        self.lost_before = 0;
        self.timestamp.reset();
    }

    /// As [`Jitter::restart`], for a sender with a sequence of its own (another SSRC).
    pub fn restart_sequence(&mut self, out: &mut impl Release) {
        self.restart(out);
        self.sequence = SequenceExtender::default();
    }

    /// False if it came before.
    fn mark_seen(&mut self, sequence: u64, restarted: bool) -> bool {
        if restarted {
            self.highest = sequence;
            self.seen = 1;
            return true;
        }
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            self.seen = if ahead < 128 { self.seen << ahead | 1 } else { 1 };
            self.highest = sequence;
            return true;
        }
        let bit = 1u128.checked_shl(u32::try_from(self.highest - sequence).unwrap_or(u32::MAX)).unwrap_or(0);
        let fresh = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        self.counts.reordered += u64::from(fresh);
        fresh
    }

    fn hold(&mut self, sequence: u64, arrival: &Arrival<'_>) {
        let at = self.held.partition_point(|held| held.sequence < sequence);
        let held = Held {
            sequence,
            header: arrival.header,
            payload: arrival.payload.into(),
            samples: arrival.samples,
            clock_rate: arrival.clock_rate,
            at: arrival.at,
        };
        self.held.insert(at, held);
    }

    /// The hole before the first held packet is lost.
    fn give_up(&mut self, out: &mut impl Release) {
        let Some(first) = self.held.front() else { return };
        let missing = first.sequence - self.next.unwrap_or(first.sequence);
        self.counts.lost += missing;
        self.counts.loss_runs += u64::from(missing > 0);
        self.lost_before += missing;
        self.next = Some(first.sequence);
        self.release_held(out);
    }

    fn release_held(&mut self, out: &mut impl Release) {
        while self.held.front().is_some_and(|held| Some(held.sequence) == self.next) {
            let Some(held) = self.held.pop_front() else { return };
            let arrival = Arrival {
                header: held.header,
                payload: &held.payload,
                samples: held.samples,
                clock_rate: held.clock_rate,
                at: held.at,
            };
            self.release(held.sequence, &arrival, out);
        }
    }

    fn release(&mut self, sequence: u64, arrival: &Arrival<'_>, out: &mut impl Release) {
        self.next = Some(sequence + 1);
        if arrival.samples == 0 {
            return;
        }
        let timestamp = self.timestamp.extend(arrival.header.timestamp);
        self.place(timestamp, arrival, out);
        self.lost_before = 0;
        out.packet(self.media_time, arrival);
        self.media_time += arrival.samples;
        self.last_arrival = Some(self.last_arrival.unwrap_or_default().max(arrival.at));
        self.last_samples = arrival.samples;
    }

    /// Emits the gap before `arrival`, so that it belongs at `media_time`.
    fn place(&mut self, timestamp: i64, arrival: &Arrival<'_>, out: &mut impl Release) {
        let passed = self.passed_before(arrival);
        let jump = match &self.anchor {
            Some(anchor) if anchor.clock_rate == arrival.clock_rate => {
                let units = timestamp
                    .checked_sub(anchor.timestamp)
                    .and_then(|units| units.checked_mul(i64::from(self.rate)));
                let ahead = units.map(|units| units / i64::from(anchor.clock_rate.max(1)));
                // Media time is far below 2^63: it counts samples of one call.
                ahead.and_then(|ahead| ahead.checked_add_unsigned(anchor.media_time)?.checked_sub_unsigned(self.media_time))
            }
            _ => None,
        };
        match jump {
            Some(jump) if jump >= 0 && self.believes(jump as u64, passed) => self.emit_gap(jump as u64, arrival.at, out),
            _ => {
                let begins = self.anchor.is_none() && self.last_arrival.is_none();
                self.counts.resyncs += u64::from(!begins);
                // Overlapping timestamps (a jump back) are set right behind what there is; all else by the time that passed.
                let gap = if jump.is_some_and(|jump| jump < 0) { 0 } else { passed };
                if gap > 0 {
                    out.gap(self.media_time, gap, FrameKind::Resync, arrival.at);
                    self.media_time += gap;
                }
                self.anchor = Some(Anchor {
                    timestamp,
                    media_time: self.media_time,
                    clock_rate: arrival.clock_rate,
                });
            }
        }
    }

    /// Samples that passed here between the end of what was released and the beginning of `arrival`.
    fn passed_before(&self, arrival: &Arrival<'_>) -> u64 {
        let Some(last) = self.last_arrival else { return 0 };
        self.samples_in(arrival.at.saturating_sub(last)).saturating_sub(arrival.samples)
    }

    fn samples_in(&self, span: Duration) -> u64 {
        let rate = u64::from(self.rate);
        span.as_secs()
            .saturating_mul(rate)
            .saturating_add(u64::from(span.subsec_nanos()) * rate / 1_000_000_000)
    }

    fn believes(&self, jump: u64, passed: u64) -> bool {
        let trusted = self.samples_in(TRUSTED_GAP);
        if jump <= trusted {
            return passed <= jump + self.samples_in(UNCOUNTED_SILENCE);
        }
        jump.abs_diff(passed) <= trusted + passed / 50
    }

    fn emit_gap(&mut self, samples: u64, at: Duration, out: &mut impl Release) {
        let lost = samples.min(self.lost_before.saturating_mul(self.last_samples));
        for (samples, kind) in [(lost, FrameKind::Lost), (samples - lost, FrameKind::Silence)] {
            if samples > 0 {
                out.gap(self.media_time, samples, kind, at);
                self.media_time += samples;
            }
        }
    }
}

#[cfg(test)]
mod tests;
