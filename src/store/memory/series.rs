//! `Series` in memory: points are kept, roll-ups computed when asked for.

use crate::series::{Series, SeriesKey};
use crate::{StoreError, limits};
use aimg_domain::Timestamp;
use aimg_domain::metric::{Point, Resolution, Rollup};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// By start; with the time of the last point.
type Rows = BTreeMap<i64, (Rollup, Timestamp)>;

#[derive(Default)]
pub struct MemorySeries {
    held: Mutex<BTreeMap<(Resolved, SeriesKey), Rows>>,
}

/// Orders resolutions, which the domain does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Resolved(i64);

/// Intervals that go together when they expire, as on disk.
fn bucket_millis(resolution: Resolution) -> i64 {
    match resolution {
        Resolution::Second => 3_600_000,
        Resolution::Minute => 86_400_000,
        Resolution::Hour => 30 * 86_400_000,
    }
}

impl MemorySeries {
    pub fn new() -> MemorySeries {
        MemorySeries::default()
    }
}

#[async_trait]
impl Series for MemorySeries {
    async fn write(&self, points: Vec<(SeriesKey, Point)>) -> Result<(), StoreError> {
        for (key, _) in &points {
            limits::check("series name", key.name.len(), limits::SERIES_NAME_BYTES)?;
        }
        let mut held = self.held.lock();
        for (key, point) in points.into_iter().filter(|(_, point)| point.value.is_finite()) {
            for resolution in [Resolution::Second, Resolution::Minute, Resolution::Hour] {
                let at = Timestamp(point.at.0.div_euclid(resolution.millis()).saturating_mul(resolution.millis()));
                let rows = held.entry((Resolved(resolution.millis()), key.clone())).or_default();
                let empty = Rollup {
                    at,
                    count: 0,
                    sum: 0.0,
                    min: point.value,
                    max: point.value,
                    last: point.value,
                };
                let (rollup, last_at) = rows.entry(at.0).or_insert((empty, point.at));
                rollup.count += 1;
                rollup.sum += point.value;
                rollup.min = rollup.min.min(point.value);
                rollup.max = rollup.max.max(point.value);
                if point.at >= *last_at {
                    rollup.last = point.value;
                    *last_at = point.at;
                }
            }
        }
        Ok(())
    }

    async fn range(&self, key: &SeriesKey, resolution: Resolution, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<Rollup>, StoreError> {
        limits::check("series name", key.name.len(), limits::SERIES_NAME_BYTES)?;
        let held = self.held.lock();
        let rows = held.get(&(Resolved(resolution.millis()), key.clone())).into_iter().flatten();
        let wanted = rows.filter(|(at, _)| (from.0..to.0).contains(at));
        Ok(wanted.take(limit.min(limits::PAGE_ROWS)).map(|(_, (rollup, _))| *rollup).collect())
    }

    async fn expire(&self, resolution: Resolution, before: Timestamp) -> Result<u64, StoreError> {
        let millis = bucket_millis(resolution);
        let kept_from = before.0.div_euclid(millis).saturating_mul(millis);
        let mut dropped = std::collections::BTreeSet::new();
        for ((resolved, _), rows) in self.held.lock().iter_mut() {
            if resolved.0 == resolution.millis() {
                let kept = rows.split_off(&kept_from);
                dropped.extend(rows.keys().map(|at| at.div_euclid(millis)));
                *rows = kept;
            }
        }
        Ok(dropped.len() as u64)
    }
}
