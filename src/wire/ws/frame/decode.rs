//! What a client sends, byte by byte as it comes.

use super::{BINARY, CLOSE, CONTINUATION, CONTROL_MAX, FIN, MESSAGE_MAX, PING, PONG, TEXT, Violation};

/// Memory kept over an idle time, in bytes: ten thousand idle sockets must cost little.
const KEPT_IDLE: usize = 512;

/// A whole message, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// `None` when the client gave no code.
    Close {
        code: Option<u16>,
        reason: String,
    },
}

/// Holds at most one message and one frame. Feed a read's worth, then take with [`Decoder::next`] until `None`.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes of frames not yet taken, from `taken` on.
    buffer: Vec<u8>,
    taken: usize,
    /// Opcode and payload so far of a message in fragments.
    message: Option<(u8, Vec<u8>)>,
    message_max: usize,
    violated: Option<Violation>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new(MESSAGE_MAX)
    }
}

struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    payload: usize,
    /// Where the payload begins, counted from the frame's first byte.
    begin: usize,
}

impl Decoder {
    pub fn new(message_max: usize) -> Decoder {
        Decoder {
            buffer: Vec::new(),
            taken: 0,
            message: None,
            message_max,
            violated: None,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        if self.violated.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message, `None` when more bytes are needed. After a violation always the same violation.
    #[allow(clippy::should_implement_trait, reason = "an iterator would end for good at the first `None`")]
    pub fn next(&mut self) -> Result<Option<Received>, Violation> {
        if let Some(violation) = self.violated {
            return Err(violation);
        }
        let outcome = self.advance();
        match outcome {
            Err(violation) => {
                self.violated = Some(violation);
                self.buffer = Vec::new();
                self.message = None;
            }
            Ok(None) => self.compact(),
            Ok(Some(_)) => {}
        }
        outcome
    }

    fn advance(&mut self) -> Result<Option<Received>, Violation> {
        while let Some(head) = self.head()? {
            let begin = self.taken + head.begin;
            let Some(masked) = self.buffer.get(begin..begin + head.payload) else {
                return Ok(None);
            };
            let payload: Vec<u8> = masked.iter().zip(head.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            self.taken = begin + head.payload;
            let received = match head.opcode {
                PING => Some(Received::Ping(payload)),
                PONG => Some(Received::Pong(payload)),
                CLOSE => Some(closed(payload)?),
                _ => self.data(head, payload)?,
            };
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    fn data(&mut self, head: Head, payload: Vec<u8>) -> Result<Option<Received>, Violation> {
        let (opcode, whole) = match self.message.take() {
            None => (head.opcode, payload),
            Some((opcode, mut whole)) => {
                whole.extend_from_slice(&payload);
                (opcode, whole)
            }
        };
        if !head.fin {
            self.message = Some((opcode, whole));
            return Ok(None);
        }
        if opcode == BINARY {
            return Ok(Some(Received::Binary(whole)));
        }
        String::from_utf8(whole).map(|text| Some(Received::Text(text))).map_err(|_| Violation::NotUtf8)
    }

    fn head(&self) -> Result<Option<Head>, Violation> {
        let bytes = &self.buffer[self.taken..];
        let [first, second, ..] = *bytes else { return Ok(None) };
        let (fin, opcode) = (first & FIN != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let short = usize::from(second & 0x7f);
        self.check(fin, opcode, short)?;
        let Some((payload, length_bytes)) = length(short, &bytes[2..])? else {
            return Ok(None);
        };
        let held = self.message.as_ref().map_or(0, |(_, held)| held.len());
        if payload > (self.message_max as u64).saturating_sub(held as u64) && opcode & 0x8 == 0 {
            return Err(Violation::TooLarge);
        }
        let Some(&[a, b, c, d]) = bytes.get(2 + length_bytes..6 + length_bytes) else {
            return Ok(None);
        };
        // Bounded by `message_max` or, for control frames, by `check`.
        Ok(Some(Head {
            fin,
            opcode,
            mask: [a, b, c, d],
            payload: payload as usize,
            begin: 6 + length_bytes,
        }))
    }

    fn check(&self, fin: bool, opcode: u8, short: usize) -> Result<(), Violation> {
        match opcode {
            TEXT | BINARY if self.message.is_some() => Err(Violation::Sequence),
            CONTINUATION if self.message.is_none() => Err(Violation::Sequence),
            TEXT | BINARY | CONTINUATION => Ok(()),
            CLOSE | PING | PONG if !fin || short > CONTROL_MAX => Err(Violation::Control),
            CLOSE | PING | PONG => Ok(()),
            _ => Err(Violation::Opcode),
        }
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_IDLE {
            self.buffer = Vec::new();
        }
    }
}

/// The payload's length and how many bytes said it beyond the second.
fn length(short: usize, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    match short {
        126 => {
            let Some(&[a, b]) = bytes.get(..2) else { return Ok(None) };
            let length = u64::from(u16::from_be_bytes([a, b]));
            if length < 126 { Err(Violation::Length) } else { Ok(Some((length, 2))) }
        }
        127 => {
            let Some(bytes) = bytes.first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*bytes);
            if length <= 0xffff || length >> 63 != 0 {
                Err(Violation::Length)
            } else {
                Ok(Some((length, 8)))
            }
        }
        _ => Ok(Some((short as u64, 0))),
    }
}

fn closed(payload: Vec<u8>) -> Result<Received, Violation> {
    match payload.as_slice() {
        [] => Ok(Received::Close {
            code: None,
            reason: String::new(),
        }),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Violation::CloseFrame);
            }
            let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
            Ok(Received::Close {
                code: Some(code),
                reason: reason.to_owned(),
            })
        }
        [_] => Err(Violation::CloseFrame),
    }
}
