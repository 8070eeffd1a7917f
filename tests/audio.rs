//! Ears: what a phone says, and whether what was heard is that.
//!
//! The phones say 8 s over and over. A heard stretch is laid against them at every offset; the normalised cross-correlation
//! (1: the same but for loudness) says how alike they are at the best one.

use crate::phone::voice_script;
use std::process::Command;

/// Of what the phones say, in Hz.
pub const RATE: u32 = 8000;
/// The search for the offset is done at a fourth of the rate; speech has most of its power below 1 kHz.
const COARSE: usize = 4;
const CANDIDATES: usize = 40;
/// Half a second.
const STEP: usize = RATE as usize / 2;
/// The same but for a codec or two between.
const ALIKE: f64 = 0.95;

/// What a phone with this seed says, once through.
pub fn voice(seed: u32) -> Vec<i16> {
    let output = Command::new(voice_script()).arg(seed.to_string()).output().expect("scripts/voice runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.iter().map(|&byte| mulaw(byte)).collect()
}

/// G.711, 2.2. Not the product's own decoder: this is what that one is held against.
fn mulaw(byte: u8) -> i16 {
    let code = !byte;
    let magnitude = (((i16::from(code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132;
    if code & 128 == 0 { magnitude } else { -magnitude }
}

/// How a stretch compares with what was played.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// -1 to 1.
    pub correlation: f64,
    /// Where in the played the stretch begins, in samples.
    pub offset: usize,
}

/// The best place of `heard` in the endless repetition of `played`. Both at 8 kHz.
pub fn find(heard: &[i16], played: &[i16]) -> Match {
    let (coarse_heard, coarse_played) = (thin(heard), thin(played));
    let mut rough: Vec<Match> = (0..coarse_played.len()).map(|offset| at(&coarse_heard, &coarse_played, offset)).collect();
    // The grids of the two may lie half a step apart, which blurs the best: several are looked at closely.
    rough.sort_by(|one, other| other.correlation.total_cmp(&one.correlation));
    let closely = rough
        .iter()
        .take(CANDIDATES)
        .flat_map(|each| around(each.offset * COARSE, COARSE, played.len()));
    best(heard, played, closely)
}

/// `offset` and what is up to `reach` before and after it, in a repetition of `length`.
fn around(offset: usize, reach: usize, length: usize) -> impl Iterator<Item = usize> {
    (offset + length - reach..=offset + length + reach).map(move |each| each % length)
}

/// Averages of eight, every fourth: a crude low-pass, the same for both.
fn thin(samples: &[i16]) -> Vec<f32> {
    let mean = |eight: &[i16]| eight.iter().map(|&sample| f32::from(sample)).sum::<f32>() / eight.len() as f32;
    (0..samples.len() / COARSE)
        .map(|n| mean(&samples[n * COARSE..samples.len().min(n * COARSE + 2 * COARSE)]))
        .collect()
}

fn best(heard: &[i16], played: &[i16], offsets: impl Iterator<Item = usize>) -> Match {
    let floats = |samples: &[i16]| samples.iter().map(|&sample| f32::from(sample)).collect::<Vec<f32>>();
    let (heard, played) = (floats(heard), floats(played));
    offsets
        .map(|offset| at(&heard, &played, offset))
        .max_by(|one, other| one.correlation.total_cmp(&other.correlation))
        .expect("at least one place is looked at")
}

fn at(heard: &[f32], played: &[f32], offset: usize) -> Match {
    Match {
        correlation: correlation(heard, played, offset),
        offset,
    }
}

fn correlation(heard: &[f32], played: &[f32], offset: usize) -> f64 {
    let (mut both, mut left, mut right) = (0.0f32, 0.0f32, 0.0f32);
    let mut at = offset;
    for &sample in heard {
        let other = played[at];
        both += sample * other;
        left += sample * sample;
        right += other * other;
        at += 1;
        if at == played.len() {
            at = 0;
        }
    }
    if left == 0.0 || right == 0.0 {
        return 0.0;
    }
    f64::from(both) / (f64::from(left) * f64::from(right)).sqrt()
}

/// Every half second of `heard`, at 8 kHz, compared with `played`, one after the other in time.
pub fn follow(heard: &[i16], played: &[i16]) -> Vec<Match> {
    let mut matches: Vec<Match> = Vec::new();
    for stretch in heard.chunks_exact(STEP) {
        // Mostly it goes on where the last one ended.
        let next = matches
            .last()
            .map(|last| best(stretch, played, around((last.offset + STEP) % played.len(), 2, played.len())));
        matches.push(next.filter(|next| next.correlation > ALIKE).unwrap_or_else(|| find(stretch, played)));
    }
    matches
}

/// Asserts that `heard` is a stretch of `played`: half second after half second is like it, and in its place. One disturbance in
/// each five seconds begun is forgiven, which may lie across two half seconds: on a busy machine the phones themselves falter.
pub fn assert_same(what: &str, heard: &[i16], played: &[i16]) {
    assert!(heard.len() >= RATE as usize, "{what}: only {} samples were heard", heard.len());
    let matches = follow(heard, played);
    let unlike = matches.iter().filter(|found| found.correlation <= ALIKE).count();
    let jumps = matches.windows(2).filter(|pair| jumps(pair[0], pair[1], played.len())).count();
    let forgiven = matches.len().div_ceil(10);
    assert!(
        unlike <= 2 * forgiven,
        "{what}: {unlike} of {} half seconds differ: {matches:.2?}",
        matches.len()
    );
    assert!(
        jumps <= forgiven,
        "{what}: the audio jumps {jumps} times in {} half seconds: {matches:.2?}",
        matches.len()
    );
}

/// Both are known, and the second is not where the first went on.
fn jumps(first: Match, second: Match, length: usize) -> bool {
    let slip = (second.offset + length - (first.offset + STEP) % length) % length;
    first.correlation > ALIKE && second.correlation > ALIKE && slip > 2 && slip < length - 2
}

/// The share of half seconds that are like `played`, wherever their place.
pub fn likeness(heard: &[i16], played: &[i16]) -> f64 {
    let matches = follow(heard, played);
    let alike = matches.iter().filter(|found| found.correlation > ALIKE).count();
    alike as f64 / matches.len().max(1) as f64
}

/// Asserts that nothing of `played` is in `heard`.
pub fn assert_absent(what: &str, heard: &[i16], played: &[i16]) {
    for (n, found) in follow(heard, played).iter().enumerate() {
        assert!(found.correlation < 0.5, "{what}: half second {n} has the other party's voice: {found:?}");
    }
}

/// At 8 kHz, by averaging, from a whole multiple of it.
pub fn at_8k(samples: &[i16], rate: u32) -> Vec<i16> {
    assert_eq!(rate % RATE, 0, "{rate} Hz is no multiple of {RATE} Hz");
    let width = (rate / RATE) as usize;
    let mean = |group: &[i16]| (group.iter().map(|&sample| i32::from(sample)).sum::<i32>() / group.len() as i32) as i16;
    samples.chunks_exact(width).map(mean).collect()
}

/// What is left between the silences at both ends.
pub fn trimmed(samples: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let from = samples.iter().position(loud).unwrap_or(samples.len());
    let to = samples.iter().rposition(loud).map_or(from, |last| last + 1);
    &samples[from..to]
}

/// The longest run of exact silence, in samples.
pub fn longest_silence(samples: &[i16]) -> usize {
    samples.split(|&sample| sample != 0).map(<[i16]>::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_always_the_same_and_unlike_another() {
        let one = voice(1);
        assert_eq!(one.len(), 8 * RATE as usize);
        assert_eq!(one, voice(1));
        assert_absent("the other", &one[..16_000], &voice(2));
    }

    #[test]
    fn a_stretch_is_found_in_its_place_across_the_seam() {
        let played = voice(1);
        let heard: Vec<i16> = played.iter().cycle().skip(60_003).take(2 * RATE as usize).map(|sample| sample / 2).collect();
        let found = find(&heard, &played);
        assert!(found.correlation > 0.99 && found.offset == 60_003, "{found:?}");
        assert_same("a quieter copy", &heard, &played);
    }

    #[test]
    fn a_stretch_is_found_between_the_steps_of_the_search() {
        let played = voice(1);
        for begin in 0..4 {
            let from = 10_910 + begin;
            let found = find(&played[from..from + STEP], &played);
            assert!(found.correlation > 0.999 && found.offset == from, "{begin}: {found:?}");
        }
    }

    #[test]
    #[should_panic(expected = "the audio jumps 2 times")]
    fn missing_packets_are_heard() {
        let played = voice(1);
        let mut heard = played[..24_000].to_vec();
        heard.drain(16_000..16_160);
        heard.drain(8_000..8_160);
        assert_same("a copy with holes", &heard, &played);
    }

    #[test]
    #[should_panic(expected = "half seconds differ")]
    fn another_voice_is_heard() {
        assert_same("the other", &voice(2)[..24_000], &voice(1));
    }

    #[test]
    fn mulaw_has_its_reference_values() {
        assert_eq!([0x00u8, 0x80, 0xff, 0x7f].map(mulaw), [-32124, 32124, 0, 0]);
    }
}
