//! Quality of a track, and where it was measured.

use crate::clock::Timestamp;
use crate::track::TrackId;
use serde::{Deserialize, Serialize};

/// From where a figure was seen: the same call looks different from the two sides of an Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vantage {
    /// RTP from the PBX to us: says how well *we* hear, not how the caller does.
    PbxToUs,
    /// Asterisk's own RTCP with the phone.
    PbxRtcp,
}

/// One interval (5 s) of one track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackQuality {
    pub track: TrackId,
    pub vantage: Vantage,
    pub at: Timestamp,
    pub packets: u64,
    /// Expected and not received in the interval.
    pub lost: u64,
    pub loss_percent: f64,
    /// RFC 3550, A.8.
    pub jitter_ms: f64,
    /// MOS-LQ by the E-model (ITU-T G.107), 1 to 4.5.
    pub mos: f64,
    /// Mean power of the interval in dBov, -96 is silence.
    pub level_dbov: f64,
    pub peak_dbov: f64,
}

/// What a call's record keeps of its tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallQuality {
    pub tracks: Vec<TrackQualitySummary>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackQualitySummary {
    pub track: TrackId,
    pub vantage: Vantage,
    pub packets: u64,
    pub lost: u64,
    pub loss_percent: f64,
    pub jitter_ms: f64,
    pub jitter_ms_max: f64,
    pub mos: f64,
    pub mos_min: f64,
    pub level_dbov: f64,
}
