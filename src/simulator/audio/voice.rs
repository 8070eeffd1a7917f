//! One party's voice in one call: a table, where its loop begins, and when the party has its turn.

use super::table::{RATE_HZ, TABLES, table};
use crate::clock::SimTime;
use crate::rng::mix;

/// Samples of one 20 ms frame at 16 kHz.
pub(crate) const FRAME: usize = RATE_HZ / 50;
/// Turns are of 2.4 s.
const TURN: u64 = 120 * FRAME as u64;
/// Who listens is heard breathing.
const LISTENING_SHIFT: u32 = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Voice {
    table: usize,
    offset: u64,
    talk_seed: u64,
    second: bool,
    /// Sample 0.
    pub(crate) begins: SimTime,
}

/// A voice as somebody hears it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Feed {
    pub(crate) voice: Voice,
    pub(crate) delay: u64,
}

impl Voice {
    /// The caller's and the callee's, of different speakers.
    pub(crate) fn pair(seed: u64, call: u64, begins: SimTime) -> [Voice; 2] {
        let talk_seed = mix(seed ^ mix(call));
        let first = usize::try_from(talk_seed % TABLES as u64).unwrap_or(0);
        let second = (first + 1 + usize::try_from((talk_seed >> 8) % (TABLES as u64 - 1)).unwrap_or(0)) % TABLES;
        [(first, false), (second, true)].map(|(table, second)| {
            let offset = mix(talk_seed ^ (1 + u64::from(second)));
            Voice {
                table,
                offset,
                talk_seed,
                second,
                begins,
            }
        })
    }

    /// The sample this voice is at, on the border of a frame.
    pub(crate) fn position(&self, at: SimTime) -> u64 {
        let samples = at.since(self.begins).as_micros() * RATE_HZ as u128 / 1_000_000;
        let frame = FRAME as u128;
        u64::try_from((samples + frame / 2) / frame * frame).unwrap_or(0)
    }

    /// Whether the party speaks in this turn: mostly one at a time, sometimes both.
    fn speaks(&self, turn: u64) -> bool {
        match mix(self.talk_seed ^ turn) % 10 {
            0..=3 => !self.second,
            4..=7 => self.second,
            8 => true,
            _ => (turn % 2 == 1) == self.second,
        }
    }

    /// Adds the samples from `from` on to what is in `out`, 16 kHz.
    pub(crate) fn mix_into(&self, from: u64, out: &mut [i16]) {
        let loop_samples = table(self.table);
        let length = loop_samples.len() as u64;
        let mut at = from;
        let mut rest = out;
        while !rest.is_empty() {
            let until_turn = TURN - at % TURN;
            let begin = (self.offset.wrapping_add(at)) % length;
            let run = until_turn.min(length - begin).min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(usize::try_from(run).unwrap_or(0));
            let shift = if self.speaks(at / TURN) { 0 } else { LISTENING_SHIFT };
            let begin = usize::try_from(begin).unwrap_or(0);
            for (sample, voiced) in now.iter_mut().zip(&loop_samples[begin..]) {
                *sample = sample.saturating_add(*voiced >> shift);
            }
            at += run;
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_rendered_one_by_one_are_the_same_as_all_at_once() {
        let [caller, callee] = Voice::pair(7, 3, SimTime(0));
        let mut whole = vec![0i16; FRAME * 400];
        caller.mix_into(0, &mut whole);
        for (n, frame) in whole.chunks(FRAME).enumerate() {
            let mut single = vec![0i16; FRAME];
            caller.mix_into((n * FRAME) as u64, &mut single);
            assert_eq!(single, frame);
        }
        let mut other = vec![0i16; FRAME * 400];
        callee.mix_into(0, &mut other);
        assert_ne!(whole, other);
    }

    #[test]
    fn both_parties_get_their_turns() {
        let [caller, callee] = Voice::pair(7, 3, SimTime(0));
        let turns = |voice: Voice| (0..100).filter(|turn| voice.speaks(*turn)).count();
        assert!(turns(caller) > 30 && turns(callee) > 30);
    }
}
