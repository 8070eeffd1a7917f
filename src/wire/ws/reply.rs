//! What answers a command: one JSON object with the command's `id`.

use super::frame;
use crate::topic::{Source, Topic};
use aimg_domain::{Fault, Position};
use bytes::Bytes;
use serde_json::{Value, json};

/// `{id, error: {code, detail, fields?}}`
pub fn error(id: &Value, fault: &Fault) -> Bytes {
    let mut error = json!({"code": fault.code(), "detail": fault.to_string()});
    if let Fault::Invalid { fields } = fault {
        error["fields"] = json!(fields);
    }
    frame::text(&json!({"id": id, "error": error}).to_string())
}

/// `{id, pong: true}`
pub fn pong(id: &Value) -> Bytes {
    frame::text(&json!({"id": id, "pong": true}).to_string())
}

/// `{id, topic, unsubscribed: true}`
pub fn unsubscribed(id: &Value, topic: &Topic) -> Bytes {
    frame::text(&json!({"id": id, "topic": topic.to_string(), "unsubscribed": true}).to_string())
}

/// Answers `subscribe` and `history`.
pub struct Publications<'a> {
    pub id: &'a Value,
    pub topic: &'a Topic,
    pub source: &'a Source,
    /// Only `subscribe` says it. False: the position asked for is not valid any more.
    pub recovered: Option<bool>,
    /// The last valid position, when the one asked for is not.
    pub valid: Option<Position>,
    /// Where the subscription goes on from; all up to here is in `publications` or was before the position asked for.
    pub position: Position,
    /// Objects made by `EncodedEvent::publication`.
    pub publications: &'a [String],
    /// What is missing up to the newest follows as pushes, in order, before anything new.
    pub more: bool,
}

impl Publications<'_> {
    /// `{id, topic, source, recovered?, valid?, epoch, offset, publications, more?}`
    pub fn encode(&self) -> Bytes {
        let mut text = json!({"id": self.id, "topic": self.topic.to_string(), "source": self.source.to_string()}).to_string();
        text.pop();
        if let Some(recovered) = self.recovered {
            text.push_str(&format!(r#","recovered":{recovered}"#));
        }
        if let Some(Position { epoch, offset }) = self.valid {
            text.push_str(&format!(r#","valid":{{"epoch":{epoch},"offset":{offset}}}"#));
        }
        let Position { epoch, offset } = self.position;
        text.push_str(&format!(
            r#","epoch":{epoch},"offset":{offset},"publications":[{}]"#,
            self.publications.join(",")
        ));
        text.push_str(if self.more { r#","more":true}"# } else { "}" });
        frame::text(&text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::ws::push::{self, EncodedEvent};
    use aimg_domain::{CallId, Event, EventKind, TenantId, Timestamp};
    use uuid::Uuid;

    fn read(frame: &[u8]) -> Value {
        let begin = frame.iter().position(|&byte| byte == b'{').unwrap();
        serde_json::from_slice(&frame[begin..]).unwrap()
    }

    fn event() -> Event {
        Event {
            id: Uuid::from_u128(1),
            tenant_id: TenantId(Uuid::from_u128(2)),
            call_id: Some(CallId(Uuid::from_u128(3))),
            event: EventKind::CallEnded,
            at: Timestamp(0),
            epoch: 4,
            offset: 5,
            seq: 6,
            node: "n\"1".into(),
            data: json!({"a": "\u{2028}\""}),
        }
    }

    fn topic() -> Topic {
        Topic::TenantCalls(TenantId(Uuid::from_u128(2)))
    }

    #[test]
    fn a_push_has_every_field_of_the_event_its_topic_and_prev() {
        let push = read(&EncodedEvent::of(&event()).push(&topic(), Some(Position { epoch: 3, offset: 4 })));
        let expected = json!({"topic": topic().to_string(), "prev": {"epoch": 3, "offset": 4},
            "source": "tenant:00000000-0000-0000-0000-000000000002", "epoch": 4, "offset": 5, "event": "call.ended",
            "at": "1970-01-01T00:00:00.000Z", "id": Uuid::from_u128(1), "tenant_id": Uuid::from_u128(2),
            "call_id": Uuid::from_u128(3), "seq": 6, "node": "n\"1", "data": {"a": "\u{2028}\""}});
        assert_eq!(push, expected);
        assert_eq!(read(&EncodedEvent::of(&event()).push(&topic(), None))["prev"], Value::Null);
    }

    #[test]
    fn answers_carry_the_id_as_it_was_given() {
        let source = Source::Node("n\"1".into());
        let publications = [EncodedEvent::of(&event()).publication(&topic(), None)];
        let position = Position { epoch: 1, offset: 2 };
        let answer = Publications {
            id: &json!("a"),
            topic: &topic(),
            source: &source,
            recovered: Some(true),
            valid: None,
            position,
            publications: &publications,
            more: true,
        };
        let answer = read(&answer.encode());
        assert_eq!(
            (&answer["id"], &answer["recovered"], &answer["offset"], &answer["more"]),
            (&json!("a"), &json!(true), &json!(2), &json!(true))
        );
        assert_eq!(answer["source"], "node:n\"1");
        assert_eq!(answer["publications"][0]["offset"], 5);
        let refused = read(&error(&json!(9), &Fault::invalid("topic", "a topic")));
        assert_eq!(
            refused,
            json!({"id": 9, "error": {"code": "invalid", "detail": "topic: a topic", "fields": [{"field": "topic", "expected": "a topic"}]}})
        );
        assert_eq!(read(&push::mark(&topic(), &source, position))["mark"], true);
        assert_eq!(read(&push::unsubscribed(&topic(), "resume", "x"))["code"], "resume");
        assert_eq!(read(&push::signal(&topic(), "levels", Timestamp(0), &json!([1])))["data"], json!([1]));
        assert_eq!(read(&pong(&json!(1))), json!({"id": 1, "pong": true}));
        assert_eq!(read(&unsubscribed(&json!(1), &topic()))["unsubscribed"], true);
    }
}
