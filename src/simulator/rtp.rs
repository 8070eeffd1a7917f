//! RTP out of external media channels: what each stream sends, in which format, and one thread that sends them all.

pub(crate) mod codec;
pub(crate) mod sender;
pub(crate) mod stream;

use crate::audio::voice::Feed;
use crate::clock::SimTime;
use codec::Format;
use std::net::{SocketAddr, UdpSocket};

/// From the switch to the sender.
pub(crate) enum MediaCommand {
    Open {
        id: String,
        socket: UdpSocket,
        to: SocketAddr,
        format: Format,
    },
    /// From `at` on this is sent; nothing: silence, which is no packets at all.
    Feed {
        id: String,
        feeds: Vec<Feed>,
        at: SimTime,
    },
    Close {
        id: String,
    },
}

/// An external media channel's stream, as `SimHandle::streams` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    pub channel: String,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub payload_type: u8,
    pub ssrc: u32,
    pub packets_sent: u64,
    /// Not sent on purpose.
    pub packets_dropped: u64,
    /// What came to our port, and how much of it a real Asterisk would play (payload types 0, 3, 8 to 11).
    pub packets_received: u64,
    pub packets_playable: u64,
}
