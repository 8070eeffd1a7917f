//! Reading actions off a manager's socket: bounded lines, bounded headers, LF or CRLF, split anywhere.

const LINE_MAX: usize = 1024;
const HEADERS_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    headers: Vec<(String, String)>,
}

impl Action {
    /// The first header of that name, case ignored.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Action(Action),
    LineTooLong(Action),
    TooManyHeaders(Action),
}

#[derive(Default)]
pub(crate) struct ActionReader {
    line: Vec<u8>,
    long: bool,
    spoilt: bool,
    surplus: bool,
    headers: Vec<(String, String)>,
}

impl ActionReader {
    /// What is complete after these bytes. Holds at most one action.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Read> {
        let mut complete = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => self.line_ended(&mut complete),
                _ if self.line.len() >= LINE_MAX => self.long = true,
                _ => self.line.push(*byte),
            }
        }
        complete
    }

    fn line_ended(&mut self, complete: &mut Vec<Read>) {
        let line = String::from_utf8_lossy(self.line.strip_suffix(b"\r").unwrap_or(&self.line)).into_owned();
        self.line.clear();
        if std::mem::take(&mut self.long) {
            self.spoilt = true;
        } else if line.is_empty() {
            self.action_ended(complete);
        } else if self.headers.len() >= HEADERS_MAX {
            self.surplus = true;
        } else {
            let (key, value) = line.split_once(':').unwrap_or((&line, ""));
            self.headers.push((key.trim().to_owned(), value.trim_start().to_owned()));
        }
    }

    fn action_ended(&mut self, complete: &mut Vec<Read>) {
        let action = Action {
            headers: std::mem::take(&mut self.headers),
        };
        match (std::mem::take(&mut self.spoilt), std::mem::take(&mut self.surplus)) {
            (true, _) => complete.push(Read::LineTooLong(action)),
            (_, true) => complete.push(Read::TooManyHeaders(action)),
            _ if action.headers.is_empty() => {}
            _ => complete.push(Read::Action(action)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_action_is_read_with_either_line_end() {
        let mut reader = ActionReader::default();
        let read = reader.feed(b"Action: Ping\r\nActionID: 1\r\n\r\nAction:Logoff\n\n\n");
        let names: Vec<_> = read
            .iter()
            .map(|read| if let Read::Action(action) = read { action.text("action") } else { "" })
            .collect();
        assert_eq!(names, ["Ping", "Logoff"]);
    }

    #[test]
    fn a_long_line_and_too_many_headers_are_told_apart_and_forgotten() {
        let mut reader = ActionReader::default();
        let long = format!("Action: Setvar\r\nValue: {}\r\n\r\n", "x".repeat(2000));
        assert!(matches!(reader.feed(long.as_bytes()).as_slice(), [Read::LineTooLong(_)]));
        let many = format!("Action: Setvar\r\n{}\r\n", "A: b\r\n".repeat(200));
        assert!(matches!(reader.feed(many.as_bytes()).as_slice(), [Read::TooManyHeaders(_)]));
        assert!(matches!(reader.feed(b"Action: Ping\r\n\r\n").as_slice(), [Read::Action(_)]));
    }

    proptest! {
        #[test]
        fn garbage_never_panics_or_grows(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4000), 0..20)) {
            let mut reader = ActionReader::default();
            for chunk in &chunks {
                reader.feed(chunk);
                prop_assert!(reader.line.len() <= LINE_MAX && reader.headers.len() <= HEADERS_MAX);
            }
        }

        #[test]
        fn where_the_bytes_are_split_does_not_matter(cut in 0usize..60) {
            let whole = b"Action: Originate\r\nChannel: Local/600@lab/n\r\nActionID: 7\r\n\r\n";
            let mut reader = ActionReader::default();
            let mut read = reader.feed(&whole[..cut.min(whole.len())]);
            read.extend(reader.feed(&whole[cut.min(whole.len())..]));
            prop_assert_eq!(read, ActionReader::default().feed(whole));
        }
    }
}
