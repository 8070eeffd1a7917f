//! A recording's own time: samples since it began.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// A monotonic moment, and the sample that belongs to it.
    moment: Duration,
    sample: u64,
    rate: u32,
}

impl Timeline {
    pub fn starting(now: Duration, rate: u32) -> Timeline {
        Timeline { moment: now, sample: 0, rate }
    }

    /// One that began `elapsed` before `now`, perhaps in another process: `elapsed` is the difference of wall clocks then.
    pub fn continuing(now: Duration, elapsed: Duration, rate: u32) -> Timeline {
        Timeline {
            moment: now,
            sample: samples(elapsed, rate),
            rate,
        }
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The sample that belongs to a moment; 0 for what came before the beginning.
    pub fn at(&self, moment: Duration) -> u64 {
        match moment.checked_sub(self.moment) {
            Some(after) => self.sample.saturating_add(samples(after, self.rate)),
            None => self.sample.saturating_sub(samples(self.moment - moment, self.rate)),
        }
    }
}

fn samples(span: Duration, rate: u32) -> u64 {
    u64::try_from(span.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_counts_samples_and_goes_on_where_it_was() {
        let start = Duration::from_secs(100);
        let timeline = Timeline::starting(start, 8000);
        assert_eq!(timeline.at(start), 0);
        assert_eq!(timeline.at(Duration::from_secs(99)), 0);
        assert_eq!(timeline.at(start + Duration::from_micros(1_500_000)), 12_000);
        let again = Timeline::continuing(Duration::from_secs(5), Duration::from_secs(60), 8000);
        assert_eq!(again.at(Duration::from_secs(6)), 61 * 8000);
        assert_eq!(again.at(Duration::from_secs(4)), 59 * 8000);
    }
}
