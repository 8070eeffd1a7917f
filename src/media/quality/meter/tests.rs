use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn meter() -> QualityMeter {
    QualityMeter::new(ms(5000), ms(60))
}

#[test]
fn jitter_is_that_of_the_rfc_by_hand() {
    // RFC 3550, A.8: J += (|D| - J) / 16, D the difference of transits.
    let mut meter = meter();
    let (mut expected, mut before) = (0.0, 0i64);
    for (n, late_ms) in [0i64, 5, 0, 10, 3, 3, 40].into_iter().enumerate() {
        meter.packet(n as u64, n == 0, Some((n as i64 * 160, 8000)), ms(1000 + n as u64 * 20 + late_ms as u64));
        if n > 0 {
            expected += ((late_ms - before).abs() as f64 - expected) / 16.0;
        }
        before = late_ms;
    }
    assert!((meter.jitter_ms - expected).abs() < 1e-9, "{} and {expected}", meter.jitter_ms);
    assert!(expected > 2.0);
}

#[test]
fn intervals_count_what_was_expected_and_a_late_packet_heals_the_loss() {
    let mut meter = meter();
    // 250 a 5 s; 5 of the first interval are missing, one of them comes in the second.
    for n in (0..500u64).filter(|n| !(100..105).contains(n)) {
        if let Some(first) = meter.tick(ms(n * 20)) {
            assert_eq!((first.expected, first.packets, first.lost), (250, 245, 5));
            assert!((first.loss_percent - 2.0).abs() < 1e-9);
            assert!(first.mos < 4.41 && first.mos > 4.0, "{}", first.mos);
            meter.packet(104, false, None, ms(n * 20));
        }
        meter.packet(n, n == 0, Some((n as i64 * 160, 8000)), ms(n * 20));
    }
    let second = meter.tick(ms(10_000));
    assert!(
        second.is_some_and(|second| second.expected == 250 && second.packets == 251 && second.lost == 0),
        "{second:?}"
    );
    let total = meter.total();
    assert_eq!((total.expected, total.packets, total.lost), (500, 496, 4));
    assert!(total.mos_min < total.mos);
    assert_eq!(meter.tick(ms(15_000)), None, "nothing was expected in it");
}

#[test]
fn a_burst_weighs_more_than_the_same_loss_at_random() {
    let mos = |runs: u64| {
        let mut meter = meter();
        for n in (0..250u64).filter(|n| *n == 0 || n % 25 != 5) {
            meter.packet(n, n == 0, None, ms(n * 20));
        }
        meter.given_up(10, runs);
        meter.tick(ms(5000)).map_or((0.0, 0.0), |interval| (interval.burst_ratio, interval.mos))
    };
    let (random, clustered) = (mos(10), mos(1));
    assert!((random.0 - 1.0).abs() < 0.05 && clustered.0 > 9.0, "{random:?} {clustered:?}");
    assert!(clustered.1 < random.1 - 0.05);
}

#[test]
fn packets_that_a_player_could_not_use_cost_quality_though_they_came() {
    let mut meter = meter();
    for n in 0..250u64 {
        let late = if n % 10 == 9 { 100 } else { 0 };
        meter.packet(n, n == 0, Some((n as i64 * 160, 8000)), ms(n * 20 + late));
    }
    let total = meter.total();
    assert_eq!((total.lost, total.discarded), (0, 25));
    assert!(total.mos < 3.8, "{}", total.mos);
}

#[test]
fn a_new_sequence_is_not_taken_for_loss() {
    let mut meter = meter();
    for n in [10, 11, 12] {
        meter.packet(n, n == 10, Some((n as i64, 8000)), ms(n * 20));
    }
    meter.packet(200_000, true, Some((-5_000_000, 8000)), ms(300));
    let total = meter.total();
    assert_eq!((total.expected, total.lost), (4, 0));
}
