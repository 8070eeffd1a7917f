//! Bytes of an AMI connection cut into the banner line and messages, split anywhere, with CRLF or LF.
//!
//! Memory is bounded whatever arrives: a message over the limits is dropped and counted, and reading goes on
//! after its blank line.

use super::message::Message;
use std::collections::VecDeque;

/// One line, without its end.
pub const LINE_MAX: usize = 64 * 1024;
/// Names and values of one message.
pub const MESSAGE_MAX: usize = 256 * 1024;
pub const HEADERS_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first line: `Asterisk Call Manager/5.0.4`.
    Banner(String),
    Message(Message),
}

#[derive(Debug)]
pub struct Decoder {
    awaits_banner: bool,
    /// The bytes of the line under way; at most `LINE_MAX`.
    line: Vec<u8>,
    message: Message,
    /// The message under way is over a limit: skipped to its blank line.
    skipping: bool,
    /// A line over the limit is under way: skipped to its end.
    line_skipped: bool,
    ready: VecDeque<Frame>,
    dropped: u64,
}

impl Decoder {
    /// For a client: the first line is Asterisk's banner.
    pub fn new() -> Decoder {
        Decoder {
            awaits_banner: true,
            ..Decoder::without_banner()
        }
    }

    /// For the server's side, which sends the banner and receives none.
    pub fn without_banner() -> Decoder {
        Decoder {
            awaits_banner: false,
            line: Vec::new(),
            message: Message::default(),
            skipping: false,
            line_skipped: false,
            ready: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes bytes; frames that became whole wait for `next_frame`. Feed a bounded piece, then drain.
    pub fn receive(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    pub fn next_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Messages dropped for being over a limit.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line_skipped || self.line.len() + bytes.len() > LINE_MAX {
            self.line_skipped = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let over_limit = std::mem::take(&mut self.line_skipped);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if self.awaits_banner {
            self.awaits_banner = false;
            self.ready.push_back(Frame::Banner(String::from_utf8_lossy(&line).into_owned()));
        } else if over_limit {
            self.skip();
        } else if line.is_empty() {
            self.end_message();
        } else if !self.skipping {
            self.take_header(&line);
        }
        line.clear();
        self.line = line;
    }

    fn take_header(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if self.message.size() + text.len() > MESSAGE_MAX || self.message.len() >= HEADERS_MAX {
            return self.skip();
        }
        match text.split_once(':') {
            Some((name, value)) => self.message.push(name.trim(), value.strip_prefix(' ').unwrap_or(value)),
            // Some modules print free lines among the headers.
            None => self.message.push("", &text),
        }
    }

    fn skip(&mut self) {
        self.skipping = true;
        self.message = Message::default();
    }

    fn end_message(&mut self) {
        let message = std::mem::take(&mut self.message);
        if std::mem::take(&mut self.skipping) {
            self.dropped += 1;
        } else if !message.is_empty() {
            self.ready.push_back(Frame::Message(message));
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Vec<Frame> {
        let mut decoder = Decoder::new();
        pieces.iter().for_each(|piece| decoder.receive(piece));
        std::iter::from_fn(|| decoder.next_frame()).collect()
    }

    const TWO: &[u8] = b"Asterisk Call Manager/5.0.4\r\nResponse: Success\r\nOutput: a: b\r\nOutput:  c\r\n\r\nEvent: X\nFree line\nEmpty:\n\n";

    #[test]
    fn a_banner_and_messages_are_read_with_either_line_end() {
        let frames = decode(&[TWO]);
        assert_eq!(frames[0], Frame::Banner("Asterisk Call Manager/5.0.4".into()));
        let Frame::Message(response) = &frames[1] else { panic!() };
        assert_eq!(response.all("output").collect::<Vec<_>>(), ["a: b", " c"]);
        assert_eq!(response.response(), Some("Success"));
        let Frame::Message(event) = &frames[2] else { panic!() };
        assert_eq!(event.headers().collect::<Vec<_>>(), [("Event", "X"), ("", "Free line"), ("Empty", "")]);
    }

    #[test]
    fn what_is_over_a_limit_is_dropped_and_counted_and_the_next_message_is_read() {
        let long_line = [b"A: ".as_slice(), &vec![b'x'; LINE_MAX], b"\nB: 1\n\n"].concat();
        let large = [b"A: ".as_slice(), &vec![b'x'; 60_000], b"\n"].concat().repeat(5);
        let many = b"A: 1\n".repeat(HEADERS_MAX + 1);
        let mut decoder = Decoder::without_banner();
        for bytes in [&long_line, &[large, b"\n".to_vec()].concat(), &[many, b"\n".to_vec()].concat()] {
            bytes.chunks(1000).for_each(|chunk| decoder.receive(chunk));
        }
        assert_eq!(decoder.dropped(), 3);
        assert_eq!(decoder.next_frame(), None);
        decoder.receive(b"Event: Y\n\n");
        assert_eq!(decoder.next_frame(), Some(Frame::Message(Message::from_headers([("Event", "Y")]))));
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let frames = decode(&[b"x\nA: \xff\n\n"]);
        assert_eq!(frames[1], Frame::Message(Message::from_headers([("A", "\u{fffd}")])));
    }

    proptest! {
        #[test]
        fn how_the_bytes_were_split_makes_no_difference(cuts in proptest::collection::vec(0..TWO.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&TWO[start..cut]);
                start = cut;
            }
            pieces.push(&TWO[start..]);
            prop_assert_eq!(decode(&pieces), decode(&[TWO]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            decode(&[&bytes]);
        }
    }
}
