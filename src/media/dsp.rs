//! Small arithmetic on samples.

pub mod level;
pub mod resample;

pub use level::{Level, SILENCE_DBOV};
pub use resample::Resampler;
