//! From RTP datagrams to frames of samples: parsing, sequence, loss, decoding, quality, and the ring in which readers find the frames.
//!
//! Pure: bytes and `now` (a monotonic [`std::time::Duration`]) come in, frames come out. This crate must never know of sockets, clocks,
//! an async runtime, Asterisk's channels, tenants or files. All limits are constants beside what they limit.

pub mod codec;
pub mod dsp;
pub mod frame;
pub mod jitter;
pub mod quality;
pub mod ring;
pub mod rtp;
pub mod stream;

pub use codec::{Codec, Decoder, Encoder, PayloadKind};
pub use frame::{Frame, FrameKind};
pub use ring::{FrameReader, FrameRing, Read, RingWriter};
pub use stream::{StreamConfig, StreamCore, StreamCounts};
