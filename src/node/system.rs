//! The real clock, ids and random bytes: the only place of the product that asks the machine for them.

use aimg_domain::{Clock, IdSource, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

pub struct SystemClock {
    begun: Instant,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { begun: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }
}

pub struct SystemIds;

impl IdSource for SystemIds {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}
