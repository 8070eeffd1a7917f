//! Medians and spreads: single figures of a shared machine say nothing.

use serde::Serialize;

/// Of several measurements of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` of nothing, or if one is no number.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let sorted = sorted(values)?;
        Some(Spread {
            median: middle(&sorted)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }

    /// Of `over[i] / under[i]`: what is measured in one round is compared with what was measured in the same.
    pub fn of_ratios(over: &[f64], under: &[f64]) -> Option<Spread> {
        if over.len() != under.len() || under.contains(&0.0) {
            return None;
        }
        Spread::of(&over.iter().zip(under).map(|(over, under)| over / under).collect::<Vec<_>>())
    }

    #[must_use]
    pub fn scaled(&self, by: f64) -> Spread {
        Spread {
            median: self.median * by,
            min: self.min * by,
            max: self.max * by,
        }
    }

    pub fn shown(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.min, self.max)
    }
}

fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted)
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = sorted.get(half)?;
    Some(if sorted.len() % 2 == 1 { *upper } else { (sorted[half - 1] + upper) / 2.0 })
}

/// The smallest value that at least `percent` of all do not exceed (nearest rank).
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(values)?;
    let rank = (percent / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_it() {
        for (values, median) in [(&[3.0][..], 3.0), (&[9.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 3.0, 2.0], 2.5)] {
            assert_eq!(Spread::of(values).unwrap().median, median);
        }
        let spread = Spread::of(&[2.0, 7.0, 1.0]).unwrap();
        assert_eq!((spread.min, spread.max), (1.0, 7.0));
    }

    #[test]
    fn nothing_and_no_numbers_have_no_spread() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
        assert_eq!(Spread::of_ratios(&[1.0, 2.0], &[1.0]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // A machine that was twice as slow in the second round changes no ratio.
        let spread = Spread::of_ratios(&[1.0, 2.0, 1.5], &[2.0, 4.0, 3.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (0.5, 0.5, 0.5));
    }

    #[test]
    fn percentiles_are_of_the_values_themselves() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (percent, value) in [(0.0, 1.0), (50.0, 50.0), (95.0, 95.0), (99.1, 100.0), (100.0, 100.0)] {
            assert_eq!(percentile(&values, percent), Some(value), "{percent}");
        }
        assert_eq!(percentile(&[], 50.0), None);
    }
}
