//! Intervals of a track become the call's summary, points of a series, and an event when a threshold is crossed.

use super::CallMedia;
use crate::calls::session::MediaReport;
use aimg_domain::metric::Point;
use aimg_domain::quality::{CallQuality, TrackQuality};
use aimg_store::records::Scope;
use aimg_store::series::SeriesKey;
use serde_json::json;

/// Below this a track is said to be degraded; restored when it is a quarter better again.
const DEGRADED_MOS: f64 = 3.5;
const RESTORED_MOS: f64 = 3.75;

impl CallMedia {
    pub(super) fn quality(&mut self, interval: TrackQuality) {
        self.report_summary();
        self.thresholds(&interval);
        self.store(&interval);
    }

    /// All of each track until now, the interval at hand included.
    pub(super) fn report_summary(&self) {
        let tracks: Vec<_> = {
            let keep = self.parts.keep.lock();
            let summaries = keep.streams.values().map(|lease| lease.quality_summary());
            summaries.filter(|summary| summary.packets > 0).collect()
        };
        if !tracks.is_empty() {
            self.report(MediaReport::Quality(CallQuality { tracks }));
        }
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
