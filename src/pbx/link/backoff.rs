//! Waiting between attempts: exponential, with full jitter, so that a restarted PBX is not hit by all at once.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use tokio::time::Instant;

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
    attached_at: Option<Instant>,
    random: SmallRng,
}

impl Waits {
    pub(crate) fn new(backoff: Backoff, seed: u64) -> Waits {
        Waits {
            backoff,
            attempt: 0,
            attached_at: None,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn attached(&mut self) {
        self.attached_at = Some(Instant::now());
    }

    /// Anything from nothing to the ceiling of this attempt, which doubles each time. It starts anew only after
    /// a connection that lasted: a PBX that lets in and throws out is not knocked at for ever at full speed.
    pub(crate) fn next(&mut self) -> Duration {
        let lasted = self.attached_at.take().is_some_and(|at| at.elapsed() >= self.backoff.max);
        self.attempt = if lasted { 0 } else { self.attempt };
        let ceiling = self.backoff.first.saturating_mul(1 << self.attempt.min(16)).min(self.backoff.max);
        self.attempt = self.attempt.saturating_add(1);
        self.up_to(ceiling)
    }

    /// After a sign of life from elsewhere.
    pub(crate) fn shortly(&mut self) -> Duration {
        self.up_to(self.backoff.first)
    }

    fn up_to(&mut self, ceiling: Duration) -> Duration {
        let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.random_range(0..=ceiling_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_stay_under_a_doubling_ceiling_and_start_anew_after_a_connection_that_lasted() {
        tokio::time::pause();
        let mut waits = Waits::new(Backoff::default(), 7);
        let mut ceiling_ms = 250;
        for _ in 0..20 {
            assert!(waits.next() <= Duration::from_millis(ceiling_ms));
            ceiling_ms = (ceiling_ms * 2).min(15_000);
        }
        waits.attached();
        assert_eq!(waits.attempt(), 20);
        waits.next();
        assert_eq!(waits.attempt(), 21, "it was thrown out at once");
        waits.attached();
        tokio::time::advance(Duration::from_secs(15)).await;
        assert!(waits.next() <= Duration::from_millis(250));
        assert_eq!(waits.attempt(), 1);
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
