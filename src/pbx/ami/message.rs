//! One AMI message: headers in their order, several of one name allowed.

use std::fmt;

/// Headers of a message, held in one text: an event costs two allocations, however many headers it has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    text: String,
    headers: Vec<Header>,
}

/// Byte ranges in `Message::text`. Messages are bounded far below 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    name_end: u32,
    value_end: u32,
}

impl Message {
    pub fn from_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Message {
        let mut message = Message::default();
        for (name, value) in headers {
            message.push(name, value);
        }
        message
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_end = self.text.len() as u32;
        self.text.push_str(value);
        self.headers.push(Header {
            name_end,
            value_end: self.text.len() as u32,
        });
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.headers.iter().map(move |header| {
            let name = &self.text[start..header.name_end as usize];
            let value = &self.text[header.name_end as usize..header.value_end as usize];
            start = header.value_end as usize;
            (name, value)
        })
    }

    /// Value of the first header of that name, in any case of letters.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_prefixed("", name)
    }

    /// Value of the header `prefix` + `name`, in any case of letters: `("Dest", "Uniqueid")`.
    pub fn get_prefixed(&self, prefix: &str, name: &str) -> Option<&str> {
        let length = prefix.len() + name.len();
        self.headers().find_map(|(found, value)| {
            let found = found.as_bytes();
            let same = found.len() == length
                && found[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
                && found[prefix.len()..].eq_ignore_ascii_case(name.as_bytes());
            same.then_some(value)
        })
    }

    /// Values of every header of that name: `Output` of a Command's answer.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers()
            .filter_map(move |(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    pub fn event(&self) -> Option<&str> {
        self.get("Event")
    }

    pub fn response(&self) -> Option<&str> {
        self.get("Response")
    }

    pub fn action_id(&self) -> Option<&str> {
        self.get("ActionID")
    }

    pub fn len(&self) -> usize {
        self.headers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Bytes of names and values together.
    pub fn size(&self) -> usize {
        self.text.len()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.headers()).finish()
    }
}

/// What Asterisk answered to an action: the response and, for lists, the events up to the completing one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub message: Message,
    pub events: Vec<Message>,
}

impl Response {
    /// Anything but `Response: Error` (`Success`, `Goodbye`, `Follows`); of an originate that waited, whether it
    /// was answered.
    pub fn succeeded(&self) -> bool {
        let refused = |response: &str| response.eq_ignore_ascii_case("error") || response.eq_ignore_ascii_case("failure");
        self.message.response().is_some_and(|response| !refused(response)) && !self.outcome().and_then(Message::response).is_some_and(refused)
    }

    /// The `OriginateResponse` of an originate that waited.
    pub fn outcome(&self) -> Option<&Message> {
        self.events.last().filter(|event| event.event() == Some("OriginateResponse"))
    }

    /// Why it did not succeed, in words.
    pub fn refusal(&self) -> String {
        match self.outcome().and_then(|outcome| outcome.get("Reason")) {
            Some(reason) => match reason {
                "0" => "the channel could not be made: its id is in use, or there is no such endpoint".to_owned(),
                "1" => "hung up by the other side".to_owned(),
                "3" => "not answered in time".to_owned(),
                "5" => "busy".to_owned(),
                "8" => "congestion, or not reachable".to_owned(),
                reason => format!("not answered (reason {reason})"),
            },
            None => self.text().to_owned(),
        }
    }

    /// Asterisk's words, such as `No such channel`.
    pub fn text(&self) -> &str {
        self.message.get("Message").unwrap_or_default()
    }
}
