//! Level in dBov: 0 is a square wave at full scale, a full-scale sine is -3.01 (RFC 6464, 3).

/// What silence is shown as: the quietest 16 bits can say.
pub const SILENCE_DBOV: f64 = -96.0;
const FULL_SCALE: f64 = 32768.0;

/// Power and peak of what was added since it was made or taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    sum_of_squares: u64,
    samples: u64,
    peak: u16,
}

impl Level {
    pub fn add(&mut self, audio: &[i16]) {
        let mut sum = 0u64;
        let mut peak = 0u16;
        for &sample in audio {
            let magnitude = sample.unsigned_abs();
            sum += u64::from(u32::from(magnitude) * u32::from(magnitude));
            peak = peak.max(magnitude);
        }
        self.sum_of_squares = self.sum_of_squares.saturating_add(sum);
        self.samples += audio.len() as u64;
        self.peak = self.peak.max(peak);
    }

    pub fn merge(&mut self, other: &Level) {
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        self.samples += other.samples;
        self.peak = self.peak.max(other.peak);
    }

    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Mean power; [`SILENCE_DBOV`] when nothing was added.
    pub fn mean_dbov(&self) -> f64 {
        if self.samples == 0 {
            return SILENCE_DBOV;
        }
        dbov((self.sum_of_squares as f64 / self.samples as f64).sqrt())
    }

    pub fn peak_dbov(&self) -> f64 {
        dbov(f64::from(self.peak))
    }
}

fn dbov(amplitude: f64) -> f64 {
    if amplitude <= 0.0 {
        SILENCE_DBOV
    } else {
        (20.0 * (amplitude / FULL_SCALE).log10()).max(SILENCE_DBOV)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_definition() {
        let sine: Vec<i16> = (0..8000)
            .map(|n| (32767.0 * (std::f64::consts::TAU * 400.0 * f64::from(n) / 8000.0).sin()) as i16)
            .collect();
        for (audio, mean, peak) in [
            (vec![i16::MIN; 160], 0.0, 0.0),
            (sine, -3.01, 0.0),
            (vec![3277; 160], -20.0, -20.0),
            (vec![0; 160], SILENCE_DBOV, SILENCE_DBOV),
            (vec![], SILENCE_DBOV, SILENCE_DBOV),
        ] {
            let mut level = Level::default();
            level.add(&audio);
            assert!((level.mean_dbov() - mean).abs() < 0.02, "{} and {mean}", level.mean_dbov());
            assert!((level.peak_dbov() - peak).abs() < 0.02, "{} and {peak}", level.peak_dbov());
        }
    }

    #[test]
    fn two_halves_merge_to_the_whole() {
        let audio: Vec<i16> = (0..1000).map(|n| (n * 31 % 20_000) as i16).collect();
        let (mut whole, mut left, mut right) = (Level::default(), Level::default(), Level::default());
        whole.add(&audio);
        left.add(&audio[..300]);
        right.add(&audio[300..]);
        left.merge(&right);
        assert_eq!(whole, left);
    }
}
