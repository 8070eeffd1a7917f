//! Each kind of call: one session with its direction, state, outcome, legs, times and hang-up, and its events in order.

use crate::rig::{BOTH, Policy, Rig, SOON};
use aimg_simulator::{CallScript, Ending, Party, Route, Side, Style};
use aimg_tests::EventSocket;
use serde_json::{Value, json};
use std::time::Duration;

/// A call as placed, and as it has to be told.
struct Kind {
    name: &'static str,
    script: CallScript,
    direction: &'static str,
    outcome: &'static str,
    cause: u16,
    by: &'static str,
    /// Roles and endpoints.
    legs: &'static [(&'static str, &'static str)],
    dtmf: usize,
}

const INWARD: &[(&str, &str)] = &[("caller", "PJSIP/trunk"), ("callee", "PJSIP/1001")];
const ALONE: &[(&str, &str)] = &[("caller", "PJSIP/trunk")];

fn kinds(style: Style) -> Vec<Kind> {
    // Asterisk 22 gives none to a caller who leaves an application.
    let left = if style == Style::Asterisk16 { 16 } else { 0 };
    let talk = Duration::from_millis(1200);
    let from = "0301234567";
    let inbound = || CallScript::inbound(from, "1001");
    let to = |route| CallScript::new(Party::new(from, "Erika Mustermann"), route);
    let kind = |name, script, (direction, outcome), (cause, by), legs| Kind {
        name,
        script,
        direction,
        outcome,
        cause,
        by,
        legs,
        dtmf: 0,
    };
    let outward: &[(&str, &str)] = &[("caller", "PJSIP/1002"), ("callee", "PJSIP/trunk")];
    let inside: &[(&str, &str)] = &[("caller", "PJSIP/1003"), ("callee", "PJSIP/1004")];
    vec![
        Kind {
            dtmf: 3,
            ..kind(
                "inbound",
                inbound().talking(Duration::from_secs(3)).pressing("12#"),
                ("inbound", "answered"),
                (16, "caller"),
                INWARD,
            )
        },
        kind(
            "outbound",
            CallScript::outbound("1002", "0897654321").talking(talk).hung_up_by(Side::Callee),
            ("outbound", "answered"),
            (16, "callee"),
            outward,
        ),
        kind(
            "internal",
            CallScript::internal("1003", "1004").talking(talk),
            ("internal", "answered"),
            (16, "caller"),
            inside,
        ),
        kind("echo", CallScript::echo(from).talking(talk), ("inbound", "answered"), (left, "caller"), ALONE),
        kind("announcement", to(Route::Ivr).talking(talk), ("inbound", "answered"), (left, "caller"), ALONE),
        kind("busy", inbound().ending(Ending::Busy), ("inbound", "busy"), (17, "pbx"), INWARD),
        kind(
            "nobody answers",
            inbound().ending(Ending::NoAnswer),
            ("inbound", "no_answer"),
            (19, "pbx"),
            INWARD,
        ),
        kind(
            "unreachable",
            CallScript::outbound("1002", "0897654321").ending(Ending::Failed),
            ("outbound", "failed"),
            (34, "pbx"),
            outward,
        ),
        kind(
            "given up",
            inbound().ending(Ending::Cancelled),
            ("inbound", "canceled"),
            (127, "caller"),
            INWARD,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_call_is_one_session_that_says_what_happened() {
    for style in BOTH {
        let rig = Rig::new(style, Policy::QUIET).await;
        let mut events = EventSocket::of_calls(&rig.api).await;
        let kinds = kinds(style);
        let mut sessions = Vec::new();
        for kind in &kinds {
            let call = rig.sim.place_call(kind.script.clone()).expect("the call is placed");
            sessions.push((kind, rig.session_of(&call.linkedid).await, call.linkedid));
        }
        for (kind, session, linkedid) in &sessions {
            let call = rig.ended(session).await;
            check(kind, &call);
            assert_eq!(call["linkedids"], json!([linkedid]));
            let last = if kind.outcome == "failed" { "call.failed" } else { "call.ended" };
            let end = events
                .until(SOON, "its end", |event| event["call_id"] == session.as_str() && event["event"] == last)
                .await;
            for key in [
                "state",
                "outcome",
                "direction",
                "started_at",
                "ended_at",
                "ring_ms",
                "talk_ms",
                "caller",
                "callee",
                "hangup",
            ] {
                assert_eq!(end["data"][key], call[key], "{}: {key}: the event says what the session says", kind.name);
            }
            check_events(kind, &events.names_of(session));
            let pushed: Vec<&Value> = events.events.iter().filter(|event| event["call_id"] == session.as_str()).collect();
            let journal = rig.journal_of(session).await;
            assert_eq!(journal.len(), pushed.len(), "{}", kind.name);
            for (kept, pushed) in journal.iter().zip(pushed) {
                for key in ["id", "event", "at", "epoch", "offset", "seq", "node", "data"] {
                    assert_eq!(kept[key], pushed[key], "{}: {key}", kind.name);
                }
            }
        }
        events.assert_whole();
        assert_eq!(rig.api.calls().await.len(), kinds.len(), "one session each");
        for (filter, outcomes) in [
            ("completed", vec!["answered"]),
            ("failed", vec!["busy", "no_answer", "failed", "canceled"]),
            ("active", vec![]),
        ] {
            let listed = rig.api.list(&format!("call-sessions?status={filter}")).await;
            let wanted = kinds.iter().filter(|kind| outcomes.contains(&kind.outcome)).count();
            assert_eq!(listed.len(), wanted, "status={filter}");
        }
        rig.emptied().await;
    }
}

fn check(kind: &Kind, call: &Value) {
    let Kind { name, .. } = kind;
    assert_eq!(call["direction"], kind.direction, "{name}: {call}");
    assert_eq!(call["outcome"], kind.outcome, "{name}: {call}");
    assert_eq!(
        (&call["hangup"]["cause"], &call["hangup"]["by"]),
        (&json!(kind.cause), &json!(kind.by)),
        "{name}: {call}"
    );
    let legs: Vec<_> = call["legs"].as_array().expect("legs").iter().collect();
    let shown: Vec<_> = legs
        .iter()
        .map(|leg| (leg["role"].as_str().unwrap(), leg["endpoint_id"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, kind.legs, "{name}: {call}");
    assert!(
        legs.iter().all(|leg| leg["ended_at"].is_string() && leg["hangup"].is_object()),
        "{name}: {call}"
    );
    let answered = kind.outcome == "answered";
    assert_eq!(call["answered_at"].is_string(), answered, "{name}: {call}");
    let (started, ended) = (call["started_at"].as_str().unwrap(), call["ended_at"].as_str().unwrap());
    assert!(started <= ended, "{name}: {call}");
    if answered {
        let answered = call["answered_at"].as_str().unwrap();
        assert!(started <= answered && answered <= ended, "{name}: {call}");
        assert!(call["talk_ms"].as_i64().is_some_and(|ms| (900..10_000).contains(&ms)), "{name}: {call}");
    } else {
        assert_eq!(call["talk_ms"], 0, "{name}: {call}");
    }
    assert_eq!(call["dtmf"].as_array().map(Vec::len), Some(kind.dtmf), "{name}: {call}");
    assert_eq!(
        (&call["blind"], &call["flags"], &call["recording"]),
        (&json!([]), &json!([]), &json!("none")),
        "{name}: {call}"
    );
    assert!(
        call["actions"]
            .as_object()
            .is_some_and(|actions| actions.values().all(|action| action["why"] == "call already ended")),
        "{name}: {call}"
    );
}

fn check_events(kind: &Kind, names: &[&str]) {
    let Kind { name, .. } = kind;
    let count = |wanted: &str| names.iter().filter(|name| **name == wanted).count();
    let end = if kind.outcome == "failed" { "call.failed" } else { "call.ended" };
    assert_eq!((names.first(), names.last()), (Some(&"call.started"), Some(&end)), "{name}: {names:?}");
    assert_eq!((count("call.started"), count(end)), (1, 1), "{name}: {names:?}");
    assert_eq!(count("call.answered"), usize::from(kind.outcome == "answered"), "{name}: {names:?}");
    assert_eq!(count("call.dtmf"), kind.dtmf, "{name}: {names:?}");
    assert_eq!(count("call.participant.joined"), count("call.participant.left"), "{name}: {names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_into_our_application_is_answered_and_hung_up_from_here() {
    for style in BOTH {
        let rig = Rig::new(style, Policy::QUIET).await;
        let mut events = EventSocket::of_calls(&rig.api).await;
        let (call, session) = rig.place(CallScript::stasis("0301234567", &["menu"])).await;
        let waiting = rig
            .api
            .call_when(&session, SOON, "it can be answered", |call| call["actions"]["answer"] == true)
            .await;
        assert_ne!(waiting["state"], "up");
        let answered = rig.api.act(&session, "answer", json!({})).await.ok();
        assert_eq!(answered["id"], session.as_str());
        rig.api.call_when(&session, SOON, "it is answered", |call| call["state"] == "up").await;
        assert!(rig.sim.call(call.id).is_some_and(|call| call.answered_at.is_some()));
        rig.api.act(&session, "hangup", json!({})).await.ok();
        let ended = rig.ended(&session).await;
        assert_eq!((&ended["outcome"], &ended["hangup"]["by"]), (&json!("answered"), &json!("platform")), "{ended}");
        assert_eq!(
            (&ended["direction"], &ended["legs"].as_array().map(Vec::len)),
            (&json!("inbound"), &Some(1)),
            "{ended}"
        );
        events.until(SOON, "its end", |event| event["event"] == "call.ended").await;
        events.assert_whole();
        assert_eq!(rig.api.calls().await.len(), 1);
        rig.emptied().await;
    }
}
