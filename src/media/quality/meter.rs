//! Counts what arrives and sums it up, an interval at a time and over all.

use super::emodel::{Impairment, mos_from_r, r_factor};
use crate::dsp::Level;
use std::time::Duration;

/// Differences of transit above this are a sender's new clock, not jitter.
const JITTER_STEP_MAX_MS: f64 = 1000.0;

/// One interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityInterval {
    pub from: Duration,
    pub to: Duration,
    /// Received, without duplicates.
    pub packets: u64,
    pub expected: u64,
    /// RFC 3550, A.3, never negative.
    pub lost: u64,
    /// Received, but too late for a player with a buffer of [`QualityMeter::new`]'s `playout`.
    pub discarded: u64,
    pub loss_percent: f64,
    /// RFC 3550, A.8, at the end of the interval.
    pub jitter_ms: f64,
    pub jitter_ms_max: f64,
    /// Mean length of losses against that of random loss (G.107, 7.3); 1 is random.
    pub burst_ratio: f64,
    pub r: f64,
    pub mos: f64,
    pub level_dbov: f64,
    pub peak_dbov: f64,
}

/// All intervals together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityTotal {
    pub packets: u64,
    pub expected: u64,
    pub lost: u64,
    pub discarded: u64,
    pub loss_percent: f64,
    /// Mean over packets.
    pub jitter_ms: f64,
    pub jitter_ms_max: f64,
    pub burst_ratio: f64,
    pub r: f64,
    pub mos: f64,
    /// The worst interval's; `mos` before the first has ended.
    pub mos_min: f64,
    pub level_dbov: f64,
    pub peak_dbov: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    packets: u64,
    expected: u64,
    discarded: u64,
    lost_given_up: u64,
    loss_runs: u64,
    jitter_ms_sum: f64,
    jitter_ms_max: f64,
    level: Level,
}

impl Sums {
    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.packets)
    }

    fn percent(&self, packets: u64) -> f64 {
        if self.expected == 0 {
            0.0
        } else {
            (100.0 * packets as f64 / self.expected as f64).min(100.0)
        }
    }

    fn burst_ratio(&self) -> f64 {
        if self.loss_runs == 0 || self.expected == 0 {
            return 1.0;
        }
        let rate = (self.lost_given_up as f64 / self.expected as f64).min(0.99);
        (self.lost_given_up as f64 / self.loss_runs as f64 * (1.0 - rate)).max(1.0)
    }

    fn r(&self) -> f64 {
        r_factor(Impairment::G711_CONCEALED, self.percent(self.lost() + self.discarded), self.burst_ratio(), 0.0)
    }

    fn add(&mut self, other: &Sums) {
        self.packets += other.packets;
        self.expected += other.expected;
        self.discarded += other.discarded;
        self.lost_given_up += other.lost_given_up;
        self.loss_runs += other.loss_runs;
        self.jitter_ms_sum += other.jitter_ms_sum;
        self.jitter_ms_max = self.jitter_ms_max.max(other.jitter_ms_max);
        self.level.merge(&other.level);
    }
}

pub struct QualityMeter {
    interval: Duration,
    playout_ms: f64,
    started: Option<Duration>,
    now: Sums,
    past: Sums,
    mos_min: Option<f64>,
    /// Up to which sequence number packets are counted as expected.
    expected_to: Option<u64>,
    jitter_ms: f64,
    /// Of the last packet: arrival less timestamp, in units of the clock, and the clock. Its zero is arbitrary.
    transit: Option<(i64, u32)>,
    /// The smallest of this interval and of the one before.
    transit_min: i64,
    transit_min_before: i64,
}

impl QualityMeter {
    /// `playout`: the buffer of the listener that is imagined; what comes later than that behind the quickest packet is useless to it.
    pub fn new(interval: Duration, playout: Duration) -> QualityMeter {
        QualityMeter {
            interval,
            playout_ms: playout.as_secs_f64() * 1000.0,
            started: None,
            now: Sums::default(),
            past: Sums::default(),
            mos_min: None,
            expected_to: None,
            jitter_ms: 0.0,
            transit: None,
            transit_min: i64::MAX,
            transit_min_before: i64::MAX,
        }
    }

    /// A packet that is no duplicate. `timing`: RTP timestamp (extended) and clock rate, of audio only.
    pub fn packet(&mut self, sequence: u64, restarted: bool, timing: Option<(i64, u32)>, at: Duration) {
        self.started.get_or_insert(at);
        self.now.packets += 1;
        match self.expected_to {
            Some(highest) if !restarted => {
                self.now.expected += sequence.saturating_sub(highest);
                self.expected_to = Some(highest.max(sequence));
            }
            _ => {
                self.now.expected += 1;
                self.expected_to = Some(sequence);
                self.forget_transits();
            }
        }
        if let Some((timestamp, clock_rate)) = timing {
            self.transit(timestamp, clock_rate, at);
        }
    }

    /// Packets that were given up, and in how many stretches.
    pub fn given_up(&mut self, packets: u64, runs: u64) {
        self.now.lost_given_up += packets;
        self.now.loss_runs += runs;
    }

    pub fn audio(&mut self, level: &Level) {
        self.now.level.merge(level);
    }

    fn transit(&mut self, timestamp: i64, clock_rate: u32, at: Duration) {
        let arrived = at
            .as_secs()
            .saturating_mul(u64::from(clock_rate))
            .saturating_add(u64::from(at.subsec_nanos()) * u64::from(clock_rate) / 1_000_000_000);
        let transit = i64::try_from(arrived).unwrap_or(i64::MAX).saturating_sub(timestamp);
        let to_ms = 1000.0 / f64::from(clock_rate.max(1));
        let step = self
            .transit
            .filter(|(_, clock)| *clock == clock_rate)
            .map(|(before, _)| transit.abs_diff(before) as f64 * to_ms);
        match step {
            Some(step_ms) if step_ms <= JITTER_STEP_MAX_MS => self.jitter_ms += (step_ms - self.jitter_ms) / 16.0,
            Some(_) => self.forget_transits(),
            None if self.transit.is_some() => self.forget_transits(),
            None => {}
        }
        self.transit = Some((transit, clock_rate));
        self.transit_min = self.transit_min.min(transit);
        let quickest = self.transit_min.min(self.transit_min_before);
        self.now.discarded += u64::from(transit.saturating_sub(quickest) as f64 * to_ms > self.playout_ms);
        self.now.jitter_ms_sum += self.jitter_ms;
        self.now.jitter_ms_max = self.now.jitter_ms_max.max(self.jitter_ms);
    }

    fn forget_transits(&mut self) {
        self.transit = None;
        (self.transit_min, self.transit_min_before) = (i64::MAX, i64::MAX);
    }

    /// The interval that has ended by `at`, if one has. One in which nothing was expected is passed over.
    pub fn tick(&mut self, at: Duration) -> Option<QualityInterval> {
        let from = self.started?;
        if at.saturating_sub(from) < self.interval {
            return None;
        }
        self.started = Some(at);
        let sums = std::mem::take(&mut self.now);
        self.past.add(&sums);
        (self.transit_min_before, self.transit_min) = (self.transit_min, i64::MAX);
        if sums.expected == 0 && sums.packets == 0 {
            return None;
        }
        let r = sums.r();
        let mos = mos_from_r(r);
        self.mos_min = Some(self.mos_min.map_or(mos, |min| min.min(mos)));
        Some(QualityInterval {
            from,
            to: at,
            packets: sums.packets,
            expected: sums.expected,
            lost: sums.lost(),
            discarded: sums.discarded,
            loss_percent: sums.percent(sums.lost()),
            jitter_ms: self.jitter_ms,
            jitter_ms_max: sums.jitter_ms_max,
            burst_ratio: sums.burst_ratio(),
            r,
            mos,
            level_dbov: sums.level.mean_dbov(),
            peak_dbov: sums.level.peak_dbov(),
        })
    }

    pub fn total(&self) -> QualityTotal {
        let mut sums = self.past;
        sums.add(&self.now);
        let r = sums.r();
        let mos = mos_from_r(r);
        QualityTotal {
            packets: sums.packets,
            expected: sums.expected,
            lost: sums.lost(),
            discarded: sums.discarded,
            loss_percent: sums.percent(sums.lost()),
            jitter_ms: if sums.packets == 0 { 0.0 } else { sums.jitter_ms_sum / sums.packets as f64 },
            jitter_ms_max: sums.jitter_ms_max,
            burst_ratio: sums.burst_ratio(),
            r,
            mos,
            mos_min: self.mos_min.map_or(mos, |min| min.min(mos)),
            level_dbov: sums.level.mean_dbov(),
            peak_dbov: sums.level.peak_dbov(),
        }
    }
}

#[cfg(test)]
mod tests;
