//! What a stream counted.

use crate::jitter::JitterCounts;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Of the known sender, all kinds, duplicates included.
    pub packets: u64,
    /// Payload.
    pub bytes: u64,
    pub jitter: JitterCounts,
    pub malformed: u64,
    pub rtcp: u64,
    /// Packets of another SSRC than the known one.
    pub foreign_ssrc: u64,
    pub unknown_payload: u64,
    pub comfort_noise: u64,
    /// Key presses seen in RTP (RFC 4733). Which keys is not kept.
    pub telephone_events: u64,
    pub ssrc: Option<u32>,
    pub ssrc_changes: u64,
    /// Of the last audio.
    pub payload_type: Option<u8>,
    pub last_packet_at: Option<Duration>,
}
