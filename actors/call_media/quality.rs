//! Intervals of a track become the call's summary, points of a series, and an event when a threshold is crossed.

use super::CallMedia;
use crate::calls::session::MediaReport;
use aimg_domain::metric::Point;
use aimg_domain::quality::{CallQuality, TrackQuality, TrackQualitySummary};
use aimg_store::records::Scope;
use aimg_store::series::SeriesKey;
use serde_json::json;

/// Below this a track is said to be degraded; restored when it is a quarter better again.
const DEGRADED_MOS: f64 = 3.5;
const RESTORED_MOS: f64 = 3.75;

impl CallMedia {
    pub(super) fn quality(&mut self, interval: TrackQuality) {
        let summary = {
            let mut keep = self.parts.keep.lock();
            let known = keep.quality.remove(&interval.track);
            let track = add(known, &interval);
            keep.quality.insert(interval.track, track);
            CallQuality {
                tracks: keep.quality.values().cloned().collect(),
            }
        };
        self.report(MediaReport::Quality(summary));
        self.thresholds(&interval);
        self.store(&interval);
    }

    fn thresholds(&self, interval: &TrackQuality) {
        if interval.packets + interval.lost == 0 {
            return;
        }
        let data = json!({ "track": interval.track, "vantage": interval.vantage, "mos": interval.mos, "loss_percent": interval.loss_percent, "jitter_ms": interval.jitter_ms });
        let change = {
            let mut keep = self.parts.keep.lock();
            let bad = keep.degraded.contains(&interval.track);
            if !bad && interval.mos < DEGRADED_MOS {
                keep.degraded.push(interval.track);
                Some(MediaReport::QualityDegraded { data })
            } else if bad && interval.mos >= RESTORED_MOS {
                keep.degraded.retain(|track| *track != interval.track);
                Some(MediaReport::QualityRestored { data })
            } else {
                None
            }
        };
        if let Some(report) = change {
            self.report(report);
        }
    }

    /// Points of the tenant; a store that is away costs only them.
    fn store(&self, interval: &TrackQuality) {
        let (series, call) = (self.parts.deps.series.clone(), self.parts.id);
        let scope = Scope::Tenant(self.parts.begin.live().tenant);
        let track = interval.track.as_str();
        let values = [
            ("mos", interval.mos),
            ("loss_percent", interval.loss_percent),
            ("jitter_ms", interval.jitter_ms),
            ("level_dbov", interval.level_dbov),
        ];
        let point = |(name, value): (&str, f64)| {
            (
                SeriesKey {
                    scope,
                    name: format!("call.{name}:{call}:{track}"),
                },
                Point { at: interval.at, value },
            )
        };
        let points = values.into_iter().map(point).collect();
        tokio::spawn(async move {
            if let Err(error) = series.write(points).await {
                tracing::debug!(%error, "quality points were not stored");
            }
        });
    }
}

/// Packet-weighted means; worst values as they were.
fn add(known: Option<TrackQualitySummary>, interval: &TrackQuality) -> TrackQualitySummary {
    let Some(known) = known else {
        return TrackQualitySummary {
            track: interval.track,
            vantage: interval.vantage,
            packets: interval.packets,
            lost: interval.lost,
            loss_percent: interval.loss_percent,
            jitter_ms: interval.jitter_ms,
            jitter_ms_max: interval.jitter_ms,
            mos: interval.mos,
            mos_min: interval.mos,
            level_dbov: interval.level_dbov,
        };
    };
    let (before, now) = (known.packets as f64, interval.packets as f64);
    let mean = |old: f64, new: f64| {
        if before + now > 0.0 {
            (old * before + new * now) / (before + now)
        } else {
            old
        }
    };
    let (packets, lost) = (known.packets + interval.packets, known.lost + interval.lost);
    TrackQualitySummary {
        track: known.track,
        vantage: known.vantage,
        packets,
        lost,
        loss_percent: if packets + lost > 0 {
            100.0 * lost as f64 / (packets + lost) as f64
        } else {
            0.0
        },
        jitter_ms: mean(known.jitter_ms, interval.jitter_ms),
        jitter_ms_max: known.jitter_ms_max.max(interval.jitter_ms),
        mos: mean(known.mos, interval.mos),
        mos_min: known.mos_min.min(interval.mos),
        level_dbov: mean(known.level_dbov, interval.level_dbov),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aimg_domain::quality::Vantage;
    use aimg_domain::{Timestamp, TrackId};

    #[test]
    fn a_summary_is_weighted_by_packets_and_keeps_the_worst() {
        let interval = |packets, lost, mos, jitter_ms| TrackQuality {
            track: TrackId::Caller,
            vantage: Vantage::PbxToUs,
            at: Timestamp(0),
            packets,
            lost,
            loss_percent: 0.0,
            jitter_ms,
            mos,
            level_dbov: -20.0,
            peak_dbov: -10.0,
        };
        let first = add(None, &interval(300, 0, 4.4, 1.0));
        let both = add(Some(first), &interval(100, 100, 2.4, 5.0));
        assert_eq!((both.packets, both.lost, both.loss_percent), (400, 100, 20.0));
        assert_eq!((both.mos_min, both.jitter_ms_max), (2.4, 5.0));
        assert!((both.mos - 3.9).abs() < 1e-9 && (both.jitter_ms - 2.0).abs() < 1e-9, "{both:?}");
    }
}
