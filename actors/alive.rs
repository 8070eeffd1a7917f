//! When this node was last alive, to within a second: after a death the blind interval begins there.

use aimg_domain::Timestamp;
use std::path::Path;

const FILE: &str = "alive";

/// Milliseconds as text. A lost or torn write only makes an interval a little too short or unknown.
pub fn touch(folder: &Path, now: Timestamp) {
    if let Err(error) = std::fs::write(folder.join(FILE), now.millis().to_string()) {
        tracing::debug!(%error, "the sign of life could not be written");
    }
}

pub fn last(folder: &Path) -> Option<Timestamp> {
    std::fs::read_to_string(folder.join(FILE)).ok()?.trim().parse().ok().map(Timestamp)
}
