//! Synthetic speech: cheap to play a thousand times, the same for the same seed.

pub(crate) mod table;
pub(crate) mod voice;
