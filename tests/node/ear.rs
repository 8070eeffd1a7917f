//! Whether what was heard or recorded is what a party of the simulated PBX said, and where in it.

use aimg_simulator::{CallId, SimHandle, TrackId};
use aimg_tests::audio::{RATE, at_8k, find};

/// Longer than any call here, in seconds.
const SECONDS: usize = 40;
/// After so many samples a voice of the simulator says the same again.
const AGAIN: usize = 13 * RATE as usize;
const STEP: usize = RATE as usize / 2;
const QUIET: f64 = 500.0;

/// What a party says from the placing of the call on, at 8 kHz.
pub fn said(sim: &SimHandle, call: CallId, track: TrackId) -> Vec<i16> {
    let samples = sim.reference(call, track, 0, 16_000 * SECONDS).expect("the call is known");
    at_8k(&samples, 16_000)
}

/// Root mean square.
fn loudness(samples: &[i16]) -> f64 {
    (samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

/// -1 to 1: how alike two stretches of the same length are but for loudness.
pub fn alike(one: &[i16], other: &[i16]) -> f64 {
    let (mut both, mut left, mut right) = (0.0, 0.0, 0.0);
    for (&a, &b) in one.iter().zip(other) {
        let (a, b) = (f64::from(a), f64::from(b));
        both += a * b;
        left += a * a;
        right += b * b;
    }
    if left == 0.0 || right == 0.0 { 0.0 } else { both / (left * right).sqrt() }
}

/// Where in `said` the stretch `heard` (8 kHz) begins. Its loudest half second finds what was said; a voice says the same again
/// after a while, but in other turns: the whole stretch tells which time it was. `None`: it is nowhere.
pub fn place(heard: &[i16], said: &[i16]) -> Option<i64> {
    let part = |n: usize| &heard[n * STEP..][..STEP];
    let loudest = (0..heard.len() / STEP).max_by(|&a, &b| loudness(part(a)).total_cmp(&loudness(part(b))))?;
    let found = find(part(loudest), said);
    if found.correlation <= 0.9 {
        return None;
    }
    let any = found.offset as i64 - (loudest * STEP) as i64;
    let times = (any.rem_euclid(AGAIN as i64) as usize..).step_by(AGAIN);
    let fitting = times.take_while(|from| from + heard.len() <= said.len());
    let difference = |from: &usize| {
        let squares = heard.iter().zip(&said[*from..]).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        squares.sum::<f64>()
    };
    fitting.min_by(|a, b| difference(a).total_cmp(&difference(b))).map(|from| from as i64)
}

/// How far apart two places are, in samples. Places whose turns are alike too cannot be told from each other.
pub fn apart(one: i64, other: i64) -> i64 {
    let again = AGAIN as i64;
    let forward = (one - other).rem_euclid(again);
    forward.min(again - forward)
}

/// Asserts that `heard` (8 kHz) is one uninterrupted stretch of `said`, in one place from its begin to its end. The place.
pub fn assert_is(what: &str, heard: &[i16], said: &[i16]) -> i64 {
    assert!(heard.len() >= 2 * STEP, "{what}: only {} samples", heard.len());
    let place = place(heard, said).unwrap_or_else(|| panic!("{what}: it was never said"));
    for (n, part) in heard.chunks_exact(STEP).enumerate() {
        let from = usize::try_from(place + (n * STEP) as i64).unwrap_or_else(|_| panic!("{what}: heard before it was said"));
        let said = &said[from..from + STEP];
        // Who listens is heard breathing, near the last bit of G.711.
        let enough = if loudness(said) > QUIET { 0.9 } else { 0.2 };
        let likeness = alike(part, said);
        assert!(likeness > enough, "{what}: half second {n} is like what was said only by {likeness:.3}");
    }
    place
}

/// Asserts that `heard` is not of this voice.
pub fn assert_not(what: &str, heard: &[i16], said: &[i16]) {
    if let Some(place) = place(heard, said) {
        panic!("{what}: the other party is heard, at {place}");
    }
}

/// What is left between the exact silences at both ends, and where it begins.
pub fn trimmed(samples: &[i16]) -> (usize, &[i16]) {
    let from = samples.iter().position(|&sample| sample != 0).unwrap_or(samples.len());
    let to = samples.iter().rposition(|&sample| sample != 0).map_or(from, |last| last + 1);
    (from, &samples[from..to])
}
