//! `Series`: random points against sums made anew.

use super::{Ports, awkward, tenant_id};
use crate::StoreError;
use crate::records::Scope;
use crate::series::SeriesKey;
use aimg_domain::Timestamp;
use aimg_domain::metric::{Point, Resolution, Rollup};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const RESOLUTIONS: [Resolution; 3] = [Resolution::Second, Resolution::Minute, Resolution::Hour];
const EVER: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));

pub async fn suite(open: impl AsyncFn() -> Ports) {
    let store = open().await;
    names_and_times_that_hurt(&store).await;
    what_is_no_number_is_left_out(&store).await;
    old_buckets_expire_whole(&store).await;
    drop(store);
    random_points_agree_with_a_model(&open).await;
}

fn key(scope: Scope, name: &str) -> SeriesKey {
    SeriesKey { scope, name: name.to_owned() }
}

fn point(at: i64, value: f64) -> Point {
    Point { at: Timestamp(at), value }
}

async fn names_and_times_that_hurt(store: &Ports) {
    let mut names: Vec<String> = awkward::texts().into_iter().filter(|text| text.len() <= 200).collect();
    names.push("x".repeat(200));
    for (n, name) in names.iter().enumerate() {
        let points = awkward::TIMES.iter().map(|at| (key(Scope::Platform, name), point(*at, n as f64)));
        store.series.write(points.collect()).await.unwrap();
    }
    let mut starts: Vec<i64> = awkward::TIMES.iter().map(|at| at.div_euclid(1000) * 1000).collect();
    starts.dedup();
    for (n, name) in names.iter().enumerate() {
        let rows = store
            .series
            .range(&key(Scope::Platform, name), Resolution::Second, EVER.0, EVER.1, 100)
            .await
            .unwrap();
        assert_eq!(rows.iter().map(|row| row.at.0).collect::<Vec<_>>(), starts);
        assert!(rows.iter().all(|row| row.last == n as f64));
    }
    let long = key(Scope::Platform, &"x".repeat(201));
    assert!(matches!(
        store.series.write(vec![(long, point(0, 1.0))]).await,
        Err(StoreError::TooLarge { .. })
    ));
    for resolution in RESOLUTIONS {
        store.series.expire(resolution, EVER.1).await.unwrap();
    }
}

async fn what_is_no_number_is_left_out(store: &Ports) {
    let key = key(Scope::Tenant(tenant_id(1)), "mos");
    let values = [f64::NAN, 4.0, f64::INFINITY, 2.0, f64::NEG_INFINITY];
    store
        .series
        .write(values.iter().map(|value| (key.clone(), point(500, *value))).collect())
        .await
        .unwrap();
    let rows = store.series.range(&key, Resolution::Minute, EVER.0, EVER.1, 9).await.unwrap();
    let expected = Rollup {
        at: Timestamp(0),
        count: 2,
        sum: 6.0,
        min: 2.0,
        max: 4.0,
        last: 2.0,
    };
    assert_eq!(rows, [expected]);
}

async fn old_buckets_expire_whole(store: &Ports) {
    let key = key(Scope::Platform, "expiring");
    let day = 86_400_000;
    let points = (0..10).map(|n| (key.clone(), point(n * day, n as f64))).collect();
    store.series.write(points).await.unwrap();
    assert!(store.series.expire(Resolution::Minute, Timestamp(5 * day)).await.unwrap() > 0);
    assert_eq!(store.series.expire(Resolution::Minute, Timestamp(5 * day)).await.unwrap(), 0);
    let starts = |rows: Vec<Rollup>| rows.into_iter().map(|row| row.at.0 / day).collect::<Vec<_>>();
    let minutes = store.series.range(&key, Resolution::Minute, EVER.0, EVER.1, 99).await.unwrap();
    assert_eq!(starts(minutes), [5, 6, 7, 8, 9], "nothing newer goes");
    let seconds = store.series.range(&key, Resolution::Second, EVER.0, EVER.1, 99).await.unwrap();
    assert_eq!(seconds.len(), 10, "other resolutions stay");
    let some = store
        .series
        .range(&key, Resolution::Second, Timestamp(2 * day), Timestamp(4 * day), 99)
        .await
        .unwrap();
    assert_eq!(starts(some), [2, 3], "the end is not in the range");
    let first = store.series.range(&key, Resolution::Second, Timestamp(1), EVER.1, 2).await.unwrap();
    assert_eq!(starts(first), [1, 2]);
}

async fn random_points_agree_with_a_model(open: &impl AsyncFn() -> Ports) {
    let mut runner = TestRunner::deterministic();
    let scopes = [Scope::Platform, Scope::Tenant(tenant_id(2))];
    // Whole numbers, so that sums do not depend on their order.
    let any_point = (0..2_usize, 0..2_usize, -7_200_000..7_200_000_i64, -1000..1000_i32);
    let batches = vec(vec(any_point, 1..50), 12).new_tree(&mut runner).unwrap().current();
    let mut written: Vec<(SeriesKey, Point)> = Vec::new();
    for batch in batches {
        let store = open().await;
        let points: Vec<_> = batch
            .into_iter()
            .map(|(scope, name, at, value)| (key(scopes[scope], ["a", "ab"][name]), point(at, f64::from(value))))
            .collect();
        written.extend(points.clone());
        store.series.write(points).await.unwrap();
        for scope in scopes {
            for name in ["a", "ab"] {
                for resolution in RESOLUTIONS {
                    let key = key(scope, name);
                    let rows = store.series.range(&key, resolution, EVER.0, EVER.1, 10_000).await.unwrap();
                    assert_eq!(rows, model(&written, &key, resolution));
                }
            }
        }
    }
}

fn model(written: &[(SeriesKey, Point)], key: &SeriesKey, resolution: Resolution) -> Vec<Rollup> {
    let start = |point: &Point| point.at.0.div_euclid(resolution.millis()) * resolution.millis();
    let points: Vec<&Point> = written.iter().filter(|(of, _)| of == key).map(|(_, point)| point).collect();
    let mut starts: Vec<i64> = points.iter().map(|point| start(point)).collect();
    starts.sort_unstable();
    starts.dedup();
    let rollup = |at: i64| {
        let within: Vec<&&Point> = points.iter().filter(|point| start(point) == at).collect();
        let values = || within.iter().map(|point| point.value);
        Rollup {
            at: Timestamp(at),
            count: within.len() as u64,
            sum: values().sum(),
            min: values().fold(f64::MAX, f64::min),
            max: values().fold(f64::MIN, f64::max),
            // Of points of one time the last written.
            last: within.iter().max_by_key(|point| point.at).unwrap().value,
        }
    };
    starts.into_iter().map(rollup).collect()
}
