//! A track: one direction of one leg as audio. Left and right are a rendering of tracks.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackId {
    /// What the caller says. Left in a stereo recording.
    Caller,
    /// What the callee (or the application that answered) says. Right.
    Callee,
    /// Both in one.
    Mixed,
}

impl TrackId {
    pub fn as_str(self) -> &'static str {
        match self {
            TrackId::Caller => "caller",
            TrackId::Callee => "callee",
            TrackId::Mixed => "mixed",
        }
    }
}
