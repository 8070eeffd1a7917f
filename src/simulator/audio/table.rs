//! The voices themselves: pitch pulses through three formant resonators, in syllables, words and pauses. Computed once, then looped.

use crate::rng::Rng;
use std::f64::consts::TAU;
use std::sync::OnceLock;

pub(crate) const RATE_HZ: usize = 16_000;
pub(crate) const TABLES: usize = 6;
/// 13 s: a prime number of seconds, so that loops of different turns do not line up.
const LOOP_SAMPLES: usize = 13 * RATE_HZ;

/// Pitch in Hz and a factor on the formants: a longer throat has lower ones.
const SPEAKERS: [(f64, f64); TABLES] = [(108.0, 0.95), (196.0, 1.16), (124.0, 1.0), (221.0, 1.2), (92.0, 0.9), (174.0, 1.1)];
const VOWELS: [[f64; 3]; 6] = [
    [730.0, 1090.0, 2440.0],
    [270.0, 2290.0, 3010.0],
    [300.0, 870.0, 2240.0],
    [530.0, 1840.0, 2480.0],
    [570.0, 840.0, 2410.0],
    [490.0, 1350.0, 1690.0],
];
const BANDWIDTHS_HZ: [f64; 3] = [70.0, 100.0, 150.0];

/// Speaker `n` (modulo how many there are), one loop at 16 kHz.
pub(crate) fn table(n: usize) -> &'static [i16] {
    static BUILT: [OnceLock<Vec<i16>>; TABLES] = [const { OnceLock::new() }; TABLES];
    BUILT[n % TABLES].get_or_init(|| speak(n % TABLES))
}

#[derive(Default, Clone, Copy)]
struct Resonator {
    y1: f64,
    y2: f64,
    a1: f64,
    a2: f64,
    gain: f64,
}

impl Resonator {
    fn tune(&mut self, hz: f64, bandwidth_hz: f64) {
        let radius = (-std::f64::consts::PI * bandwidth_hz / RATE_HZ as f64).exp();
        self.a1 = 2.0 * radius * (TAU * hz / RATE_HZ as f64).cos();
        self.a2 = -radius * radius;
        self.gain = 1.0 - radius;
    }

    fn run(&mut self, x: f64) -> f64 {
        let y = self.gain * x + self.a1 * self.y1 + self.a2 * self.y2;
        self.y2 = self.y1;
        self.y1 = y;
        y
    }
}

struct Throat {
    resonators: [Resonator; 3],
    phase: f64,
    pitch_hz: f64,
    rng: Rng,
}

fn speak(speaker: usize) -> Vec<i16> {
    let (pitch_hz, formant_factor) = SPEAKERS[speaker];
    let mut throat = Throat {
        resonators: [Resonator::default(); 3],
        phase: 0.0,
        pitch_hz,
        rng: Rng::new(0x5A1D ^ speaker as u64),
    };
    let mut samples = Vec::with_capacity(LOOP_SAMPLES);
    while samples.len() < LOOP_SAMPLES {
        for _ in 0..1 + throat.rng.below(4) {
            let syllable = RATE_HZ / 1000 * (120 + usize::try_from(throat.rng.below(130)).unwrap_or(0));
            throat.syllable(&mut samples, syllable, formant_factor);
        }
        let long = throat.rng.chance(0.2);
        let pause_ms = if long { 300 + throat.rng.below(300) } else { 40 + throat.rng.below(90) };
        throat.pause(&mut samples, RATE_HZ / 1000 * usize::try_from(pause_ms).unwrap_or(0));
    }
    samples.truncate(LOOP_SAMPLES);
    level(&samples)
}

impl Throat {
    fn syllable(&mut self, into: &mut Vec<f64>, length: usize, formant_factor: f64) {
        let vowel = VOWELS[usize::try_from(self.rng.below(6)).unwrap_or(0)];
        for ((resonator, hz), bandwidth) in self.resonators.iter_mut().zip(vowel).zip(BANDWIDTHS_HZ) {
            resonator.tune(hz * formant_factor, bandwidth);
        }
        let (bend, loudness) = (0.9 + 0.2 * self.rng.unit(), 0.6 + 0.4 * self.rng.unit());
        for n in 0..length {
            let at = n as f64 / length as f64;
            let envelope = (std::f64::consts::PI * at).sin().powf(0.6);
            self.phase += self.pitch_hz * (1.0 + (bend - 1.0) * at) / RATE_HZ as f64;
            let pulse = if self.phase >= 1.0 {
                self.phase -= 1.0;
                30.0
            } else {
                0.0
            };
            let breath = (self.rng.unit() - 0.5) * 0.6;
            let source = (pulse + breath) * envelope * loudness;
            let voiced: f64 = self
                .resonators
                .iter_mut()
                .zip([1.0, 0.6, 0.3])
                .map(|(resonator, weight)| resonator.run(source) * weight)
                .sum();
            into.push(voiced);
        }
    }

    /// Not digital silence: a room and a line have noise.
    fn pause(&mut self, into: &mut Vec<f64>, length: usize) {
        for _ in 0..length {
            let ring: f64 = self.resonators.iter_mut().map(|resonator| resonator.run(0.0)).sum();
            into.push(ring * 0.3 + (self.rng.unit() - 0.5) * 0.004);
        }
    }
}

/// To speech level: peaks near -6 dBFS, tops rounded off.
fn level(samples: &[f64]) -> Vec<i16> {
    let rms = (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64)
        .sqrt()
        .max(1e-9);
    samples.iter().map(|sample| ((sample / rms * 0.11).tanh() * 24_000.0) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rms(samples: &[i16]) -> f64 {
        (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn a_voice_has_speech_level_syllables_and_pauses_and_is_the_same_every_time() {
        let voice = speak(0);
        assert_eq!(voice, speak(0));
        assert_eq!(voice.len(), LOOP_SAMPLES);
        assert!((1500.0..4000.0).contains(&rms(&voice)), "{}", rms(&voice));
        let frames: Vec<f64> = voice.chunks(320).map(rms).collect();
        assert!(frames.iter().filter(|level| **level < 300.0).count() > frames.len() / 20);
        assert!(frames.iter().filter(|level| **level > 1500.0).count() > frames.len() / 3);
    }

    #[test]
    fn two_voices_are_not_alike() {
        let (a, b) = (speak(0), speak(1));
        let product: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / a.len() as f64;
        assert!((product / (rms(&a) * rms(&b))).abs() < 0.1);
    }
}
