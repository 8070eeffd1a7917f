//! The simulator's time: microseconds since 1970, handed in, and the three ways Asterisk writes it.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(pub u64);

impl SimTime {
    pub fn epoch_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> SimTime {
        SimTime(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// `self - earlier`, zero if `earlier` is later.
    pub fn since(self, earlier: SimTime) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// `1795381614.473133`, as AMI has it.
    pub(crate) fn ami(self) -> String {
        format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }

    /// `2026-11-22T21:40:31.681+0000`: no colon in the offset, which RFC 3339 wants.
    pub(crate) fn ari(self) -> String {
        let mut text = self.date();
        let second = self.epoch_secs() % 86_400;
        let _ = write!(
            text,
            "T{:02}:{:02}:{:02}.{:03}+0000",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.0 / 1000 % 1000
        );
        text
    }

    pub(crate) fn date(self) -> String {
        let (year, month, day) = civil(self.epoch_secs() / 86_400);
        format!("{year:04}-{month:02}-{day:02}")
    }

    pub(crate) fn time_of_day(self) -> String {
        let second = self.epoch_secs() % 86_400;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }

    /// `2026-11-22 21:06:54`, as a CDR has it. The simulated PBX lives in UTC.
    pub(crate) fn cdr(self) -> String {
        format!("{} {}", self.date(), self.time_of_day())
    }
}

/// Year, month and day of a day since 1970 (proleptic Gregorian, 400-year eras counted from March).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (
        era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day_of_year - (153 * shifted_month + 2) / 5 + 1,
    )
}

/// Wall time that never steps back: read once, then carried by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    base: SimTime,
    started: Instant,
}

impl WallClock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            base: SimTime(0).plus(since_epoch),
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> SimTime {
        self.base.plus(self.started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_each_interface_writes_it() {
        let time = SimTime(1_795_383_631_681_475);
        assert_eq!(time.ami(), "1795383631.681475");
        assert_eq!(time.ari(), "2026-11-22T21:40:31.681+0000");
        assert_eq!(time.cdr(), "2026-11-22 21:40:31");
        assert_eq!(SimTime(951_782_400_000_000).date(), "2000-02-29");
    }
}
