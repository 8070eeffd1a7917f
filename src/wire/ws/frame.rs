//! RFC 6455 from the server's side: bytes in, messages out, and frames to send. No sockets, no clock.

mod decode;

pub use decode::{Decoder, Received};

use crate::close::CloseCode;
use bytes::Bytes;

/// Longest message taken from a client, over all its fragments, in bytes.
pub const MESSAGE_MAX: usize = 64 * 1024;
/// Longest payload of a control frame (RFC 6455, 5.5).
pub const CONTROL_MAX: usize = 125;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// What a client did wrong; it is closed with [`Violation::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    Unmasked,
    ReservedBits,
    Opcode,
    /// A control frame in pieces, or longer than 125 bytes.
    Control,
    /// A continuation without a beginning, or a beginning inside a message.
    Sequence,
    /// A length not written in the fewest bytes, or beyond 2^63.
    Length,
    CloseFrame,
    TooLarge,
    NotUtf8,
}

impl Violation {
    pub fn close(self) -> CloseCode {
        match self {
            Violation::TooLarge => CloseCode::TooLarge,
            Violation::NotUtf8 => CloseCode::NotUtf8,
            _ => CloseCode::Protocol,
        }
    }
}

/// How many bytes the header of an unmasked frame takes.
pub fn header_bytes(payload: usize) -> usize {
    match payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = begin(opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn begin(opcode: u8, payload: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(header_bytes(payload) + payload);
    frame.push(FIN | opcode);
    match payload {
        0..=125 => frame.push(payload as u8),
        126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(payload as u16).to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
    frame
}

pub fn text(payload: &str) -> Bytes {
    encode(TEXT, payload.as_bytes()).into()
}

pub fn binary(payload: &[u8]) -> Vec<u8> {
    encode(BINARY, payload)
}

/// The beginning of a binary frame whose `payload` bytes the caller appends.
pub fn begin_binary(payload: usize) -> Vec<u8> {
    begin(BINARY, payload)
}

pub fn ping(payload: &[u8]) -> Bytes {
    encode(PING, &payload[..payload.len().min(CONTROL_MAX)]).into()
}

pub fn pong(payload: &[u8]) -> Bytes {
    encode(PONG, &payload[..payload.len().min(CONTROL_MAX)]).into()
}

/// `reason` is cut, at a character, to what a control frame holds.
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(CONTROL_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    encode(CLOSE, &payload).into()
}

#[cfg(test)]
mod tests;
