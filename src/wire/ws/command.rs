//! What a client may ask over `/ws`: one JSON object a text frame, `{"id": …, "<command>": {…}}`.
//!
//! `subscribe {topic, filter?, recover?: {epoch, offset}, signal_interval_ms?}`, `unsubscribe {topic}`,
//! `history {topic, after?: {epoch, offset}, limit?}`, `ping {}`. `id` is a number or a short text and comes back with the answer.

use crate::filter::Filter;
use aimg_domain::{Fault, Position};
use serde_json::{Map, Value};
use std::time::Duration;

const ID_MAX: usize = 64;
/// Events that one `history` answers at most, and when it names no limit.
pub const HISTORY_MAX: usize = 500;
pub const HISTORY_DEFAULT: usize = 100;
/// How often signals come when the subscriber does not say.
pub const SIGNAL_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const SIGNAL_INTERVAL_MS: std::ops::RangeInclusive<u64> = 50..=60_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// As the client gave it: number or text.
    pub id: Value,
    pub body: CommandBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CommandBody {
    Subscribe(Subscribe),
    Unsubscribe { topic: String },
    History(History),
    Ping,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    pub topic: String,
    pub filter: Filter,
    pub recover: Option<Position>,
    /// `None`: no signals wanted (`signal_interval_ms: 0`).
    pub signal_interval: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub topic: String,
    /// Events after this position, oldest first. `None`: the newest ones, also oldest first.
    pub after: Option<Position>,
    pub limit: usize,
}

/// A command that was not understood. `id` is null when not even that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub id: Value,
    pub fault: Fault,
}

impl Command {
    pub fn parse(text: &str) -> Result<Command, Refusal> {
        let nameless = |fault| Refusal { id: Value::Null, fault };
        let value: Value = serde_json::from_str(text).map_err(|error| nameless(Fault::invalid("", format!("JSON ({error})"))))?;
        let Value::Object(mut members) = value else {
            return Err(nameless(Fault::invalid("", "a JSON object")));
        };
        let id = id(members.remove("id")).map_err(nameless)?;
        match body(members) {
            Ok(body) => Ok(Command { id, body }),
            Err(fault) => Err(Refusal { id, fault }),
        }
    }
}

fn id(given: Option<Value>) -> Result<Value, Fault> {
    match given {
        Some(Value::Number(number)) => Ok(Value::Number(number)),
        Some(Value::String(text)) if text.len() <= ID_MAX => Ok(Value::String(text)),
        _ => Err(Fault::invalid("id", format!("a number, or a text of at most {ID_MAX} bytes"))),
    }
}

const COMMANDS: &str = "exactly one of subscribe, unsubscribe, history, ping";

fn body(members: Map<String, Value>) -> Result<CommandBody, Fault> {
    let mut members = members.into_iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else {
        return Err(Fault::invalid("", COMMANDS));
    };
    match name.as_str() {
        "presence" | "rpc" => return Err(Fault::not_possible(format!("{name} is not offered by this version"))),
        "subscribe" | "unsubscribe" | "history" | "ping" => {}
        _ => return Err(Fault::invalid(name.chars().take(ID_MAX).collect::<String>(), COMMANDS)),
    }
    let Value::Object(fields) = value else {
        return Err(Fault::invalid(name, "an object"));
    };
    let fields = Fields { command: &name, fields };
    match name.as_str() {
        "subscribe" => fields.subscribe(),
        "unsubscribe" => fields
            .only(&["topic"])
            .and_then(|fields| Ok(CommandBody::Unsubscribe { topic: fields.topic()? })),
        "history" => fields.history(),
        _ => Ok(CommandBody::Ping),
    }
}

struct Fields<'a> {
    command: &'a str,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn wrong(&self, field: &str, expected: impl Into<String>) -> Fault {
        Fault::invalid(format!("{}.{field}", self.command), expected)
    }

    fn only(self, known: &[&str]) -> Result<Self, Fault> {
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(self),
            Some(other) => Err(self.wrong(
                &other.chars().take(ID_MAX).collect::<String>(),
                format!("no such field; known are {}", known.join(", ")),
            )),
        }
    }

    fn subscribe(self) -> Result<CommandBody, Fault> {
        let fields = self.only(&["topic", "filter", "recover", "signal_interval_ms"])?;
        let filter = match fields.fields.get("filter") {
            None | Some(Value::Null) => Filter::ALL,
            Some(value) => Filter::parse(value).map_err(|fault| fields.within(fault))?,
        };
        let signal_interval = match fields.fields.get("signal_interval_ms") {
            None | Some(Value::Null) => Some(SIGNAL_INTERVAL_DEFAULT),
            Some(value) => match value.as_u64() {
                Some(0) => None,
                Some(ms) if SIGNAL_INTERVAL_MS.contains(&ms) => Some(Duration::from_millis(ms)),
                _ => return Err(fields.wrong("signal_interval_ms", "0 (no signals) or 50 to 60000")),
            },
        };
        Ok(CommandBody::Subscribe(Subscribe {
            topic: fields.topic()?,
            filter,
            recover: fields.position("recover")?,
            signal_interval,
        }))
    }

    fn history(self) -> Result<CommandBody, Fault> {
        let fields = self.only(&["topic", "after", "limit"])?;
        let limit = match fields.fields.get("limit") {
            None | Some(Value::Null) => HISTORY_DEFAULT,
            Some(value) => match value.as_u64() {
                Some(limit) if (1..=HISTORY_MAX as u64).contains(&limit) => limit as usize,
                _ => return Err(fields.wrong("limit", format!("1 to {HISTORY_MAX}"))),
            },
        };
        Ok(CommandBody::History(History {
            topic: fields.topic()?,
            after: fields.position("after")?,
            limit,
        }))
    }

    fn topic(&self) -> Result<String, Fault> {
        match self.fields.get("topic") {
            Some(Value::String(topic)) if topic.len() <= crate::topic::TOPIC_MAX => Ok(topic.clone()),
            _ => Err(self.wrong("topic", format!("a text of at most {} bytes", crate::topic::TOPIC_MAX))),
        }
    }

    fn position(&self, field: &str) -> Result<Option<Position>, Fault> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let part = |name: &str| value.get(name).and_then(Value::as_u64);
                match (part("epoch"), part("offset")) {
                    (Some(epoch), Some(offset)) => Ok(Some(Position { epoch, offset })),
                    (None, _) => Err(self.wrong(&format!("{field}.epoch"), "a whole number")),
                    _ => Err(self.wrong(&format!("{field}.offset"), "a whole number")),
                }
            }
        }
    }

    /// The fault's fields, as seen from the whole command.
    fn within(&self, fault: Fault) -> Fault {
        let Fault::Invalid { mut fields } = fault else { return fault };
        for field in &mut fields {
            field.field = format!("{}.{}", self.command, field.field);
        }
        Fault::Invalid { fields }
    }
}

#[cfg(test)]
mod tests;
