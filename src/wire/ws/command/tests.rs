#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn a_full_subscribe_is_read() {
    let text = r#"{"id": 7, "subscribe": {"topic": "system:status", "filter": {"events": ["service.*"]},
        "recover": {"epoch": 3, "offset": 99}, "signal_interval_ms": 200}}"#;
    let expected = Subscribe {
        topic: "system:status".into(),
        filter: Filter::parse(&json!({"events": ["service.*"]})).unwrap(),
        recover: Some(Position { epoch: 3, offset: 99 }),
        signal_interval: Some(Duration::from_millis(200)),
    };
    assert_eq!(
        Command::parse(text),
        Ok(Command {
            id: json!(7),
            body: CommandBody::Subscribe(expected)
        })
    );
}

#[test]
fn the_short_forms_have_their_defaults() {
    let body = |text: &str| Command::parse(text).unwrap().body;
    let subscribe = Subscribe {
        topic: "t".into(),
        filter: Filter::ALL,
        recover: None,
        signal_interval: Some(SIGNAL_INTERVAL_DEFAULT),
    };
    assert_eq!(body(r#"{"id":"a","subscribe":{"topic":"t"}}"#), CommandBody::Subscribe(subscribe));
    assert_eq!(body(r#"{"id":1,"unsubscribe":{"topic":"t"}}"#), CommandBody::Unsubscribe { topic: "t".into() });
    assert_eq!(
        body(r#"{"id":1,"history":{"topic":"t"}}"#),
        CommandBody::History(History {
            topic: "t".into(),
            after: None,
            limit: 100
        })
    );
    assert_eq!(body(r#"{"id":1,"ping":{}}"#), CommandBody::Ping);
}

#[test]
fn what_is_wrong_is_named_and_the_id_comes_back() {
    for (text, id, field) in [
        ("{", Value::Null, ""),
        ("[]", Value::Null, ""),
        (r#"{"ping":{}}"#, Value::Null, "id"),
        (r#"{"id":{},"ping":{}}"#, Value::Null, "id"),
        (r#"{"id":1}"#, json!(1), ""),
        (r#"{"id":1,"ping":{},"history":{}}"#, json!(1), ""),
        (r#"{"id":1,"jump":{}}"#, json!(1), "jump"),
        (r#"{"id":1,"subscribe":"t"}"#, json!(1), "subscribe"),
        (r#"{"id":1,"subscribe":{}}"#, json!(1), "subscribe.topic"),
        (
            r#"{"id":1,"subscribe":{"topic":"t","recover":{"epoch":1}}}"#,
            json!(1),
            "subscribe.recover.offset",
        ),
        (
            r#"{"id":1,"subscribe":{"topic":"t","recover":{"epoch":-1,"offset":1}}}"#,
            json!(1),
            "subscribe.recover.epoch",
        ),
        (
            r#"{"id":1,"subscribe":{"topic":"t","filter":{"events":1}}}"#,
            json!(1),
            "subscribe.filter.events",
        ),
        (
            r#"{"id":1,"subscribe":{"topic":"t","signal_interval_ms":1}}"#,
            json!(1),
            "subscribe.signal_interval_ms",
        ),
        (r#"{"id":1,"subscribe":{"topic":"t","recovr":{}}}"#, json!(1), "subscribe.recovr"),
        (r#"{"id":"x","history":{"topic":"t","limit":501}}"#, json!("x"), "history.limit"),
    ] {
        let refusal = Command::parse(text).unwrap_err();
        assert_eq!(refusal.id, id, "{text}");
        assert!(
            matches!(&refusal.fault, Fault::Invalid { fields } if fields[0].field == field),
            "{text}: {:?}",
            refusal.fault
        );
    }
}

#[test]
fn presence_and_rpc_are_not_offered() {
    for name in ["presence", "rpc"] {
        let refusal = Command::parse(&format!(r#"{{"id":1,"{name}":{{}}}}"#)).unwrap_err();
        assert_eq!(refusal.fault, Fault::not_possible(format!("{name} is not offered by this version")));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = Command::parse(&text);
    }
}
