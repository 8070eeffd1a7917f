//! RTP, RFC 3550: the header, and sequence numbers made to never wrap.

mod header;
mod sequence;

pub use header::{Header, MAX_PACKET_BYTES, Packet, ParseError, is_rtcp, write};
pub use sequence::{Extended, SequenceExtender, TimestampExtender};
