//! Waiting between attempts: exponential, with full jitter, so that a restarted PBX is not hit by all at once.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_millis(250),
            max: Duration::from_secs(15),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Waits {
    backoff: Backoff,
    attempt: u32,
    random: SmallRng,
}

impl Waits {
    pub(crate) fn new(backoff: Backoff, seed: u64) -> Waits {
        Waits {
            backoff,
            attempt: 0,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// After a success the next failure waits shortly again.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Anything from nothing to the ceiling of this attempt, which doubles each time.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.backoff.first.saturating_mul(1 << self.attempt.min(16)).min(self.backoff.max);
        self.attempt = self.attempt.saturating_add(1);
        let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.random_range(0..=ceiling_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_under_a_doubling_ceiling_and_start_anew_after_a_success() {
        let mut waits = Waits::new(Backoff::default(), 7);
        let mut ceiling_ms = 250;
        for _ in 0..20 {
            assert!(waits.next() <= Duration::from_millis(ceiling_ms));
            ceiling_ms = (ceiling_ms * 2).min(15_000);
        }
        waits.reset();
        assert!(waits.next() <= Duration::from_millis(250));
    }

    #[test]
    fn two_seeds_do_not_wait_in_step() {
        let waits = |seed| {
            let mut waits = Waits::new(Backoff::default(), seed);
            (0..8).map(|_| waits.next()).collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
        assert_eq!(waits(1), waits(1));
    }
}
