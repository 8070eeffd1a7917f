//! The E-model, ITU-T G.107, with its defaults for all that a packet stream does not tell.

/// What a codec does to speech: G.113, appendix I.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Equipment impairment without loss.
    pub ie: f64,
    /// Robustness against loss.
    pub bpl: f64,
}

impl Impairment {
    /// G.711 with the concealment of its appendix I, which telephones have. Nothing is published on this scale for G.722 and linear audio:
    /// they are judged by the same.
    pub const G711_CONCEALED: Impairment = Impairment { ie: 0.0, bpl: 25.1 };
    /// G.711 with silence in place of what is lost.
    pub const G711_PLAIN: Impairment = Impairment { ie: 0.0, bpl: 4.3 };
    /// G.729A with voice activity detection, and its own concealment.
    pub const G729A: Impairment = Impairment { ie: 11.0, bpl: 19.0 };
}

/// `Ro - Is` with all defaults (G.107, table 2).
const R_DEFAULT: f64 = 93.2;
/// The mouth-to-ear delay from which on it is heard, in ms.
const DELAY_FREE_MS: f64 = 100.0;

/// Effective equipment impairment (G.107, 7-29). `burst_ratio` is 1 for random loss.
pub fn ie_effective(codec: Impairment, loss_percent: f64, burst_ratio: f64) -> f64 {
    let loss = loss_percent.clamp(0.0, 100.0);
    let burst_ratio = burst_ratio.max(1.0);
    if loss == 0.0 {
        codec.ie
    } else {
        codec.ie + (95.0 - codec.ie) * loss / (loss / burst_ratio + codec.bpl)
    }
}

/// Impairment by pure delay with perfect echo cancelling (G.107, 7-27 and 7-28).
pub fn delay_impairment(one_way_ms: f64) -> f64 {
    if one_way_ms <= DELAY_FREE_MS {
        return 0.0;
    }
    let x = (one_way_ms / DELAY_FREE_MS).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// The rating factor. For listening quality (MOS-LQ) the delay is 0.
pub fn r_factor(codec: Impairment, loss_percent: f64, burst_ratio: f64, one_way_delay_ms: f64) -> f64 {
    R_DEFAULT - delay_impairment(one_way_delay_ms) - ie_effective(codec, loss_percent, burst_ratio)
}

/// G.107, annex B.
pub fn mos_from_r(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        // Under R 6.5 the polynomial dips below 1.
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, published: f64, tolerance: f64, what: &str) {
        assert!((got - published).abs() <= tolerance, "{what}: {got}, published {published}");
    }

    #[test]
    fn the_mean_opinion_score_is_that_of_the_published_table() {
        // G.109 and G.107 annex B.
        for (r, mos) in [
            (93.2, 4.41),
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
            (0.0, 1.0),
            (-5.0, 1.0),
            (100.0, 4.5),
            (120.0, 4.5),
        ] {
            near(mos_from_r(r), mos, 0.008, "R to MOS");
        }
    }

    #[test]
    fn loss_weighs_as_the_codec_bears_it() {
        // Ie-eff of G.113 by hand: 95 * Ppl / (Ppl + Bpl).
        for (codec, loss, burst, ie) in [
            (Impairment::G711_PLAIN, 1.0, 1.0, 17.92),
            (Impairment::G711_CONCEALED, 1.0, 1.0, 3.64),
            (Impairment::G711_CONCEALED, 5.0, 1.0, 15.78),
            (Impairment::G711_CONCEALED, 5.0, 2.0, 17.21),
            (Impairment::G729A, 0.0, 1.0, 11.0),
            (Impairment::G729A, 2.0, 1.0, 19.0),
        ] {
            near(ie_effective(codec, loss, burst), ie, 0.01, "Ie-eff");
        }
    }

    #[test]
    fn delay_costs_nothing_up_to_100_ms_and_then_more_and_more() {
        near(delay_impairment(100.0), 0.0, 1e-9, "Idd");
        // The curve of G.114, figure 1: R about 90 at 200 ms, 69 at 400 ms.
        near(93.2 - delay_impairment(200.0), 90.0, 0.5, "R at 200 ms");
        near(93.2 - delay_impairment(400.0), 69.0, 0.5, "R at 400 ms");
        assert!(delay_impairment(150.0) < delay_impairment(250.0));
    }

    #[test]
    fn a_clean_call_is_4_41_and_no_input_leaves_the_scale() {
        near(mos_from_r(r_factor(Impairment::G711_CONCEALED, 0.0, 1.0, 0.0)), 4.41, 0.005, "clean");
        for loss in [-5.0, 0.0, 3.0, 100.0, 1e9] {
            for burst in [0.0, 1.0, 50.0, f64::INFINITY] {
                for delay in [0.0, 500.0, 1e7] {
                    let mos = mos_from_r(r_factor(Impairment::G711_PLAIN, loss, burst, delay));
                    assert!((1.0..=4.5).contains(&mos), "{loss} {burst} {delay}: {mos}");
                }
            }
        }
    }
}
