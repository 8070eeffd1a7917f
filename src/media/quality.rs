//! How well a stream arrives: RFC 3550's loss (A.3) and jitter (A.8), levels, and the E-model's verdict.

pub mod emodel;
mod meter;

pub use emodel::{Impairment, mos_from_r, r_factor};
pub use meter::{QualityInterval, QualityMeter, QualityTotal};
