//! What can be done to a call: done where `actions` says it is possible, refused in the same words where it says it is not.

use crate::rig::{BOTH, Policy, Rig, SOON};
use aimg_simulator::{CallScript, Ending, Style};
use aimg_tests::{AudioSocket, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const ACTIONS: [&str; 14] = [
    "answer",
    "hold",
    "unhold",
    "play",
    "transfer",
    "park",
    "dtmf",
    "mute",
    "unmute",
    "start-recording",
    "pause-recording",
    "resume-recording",
    "stop-recording",
    "hangup",
];

fn body(action: &str) -> Value {
    if action == "dtmf" { json!({ "digits": "4#" }) } else { json!({}) }
}

/// Asks for every action in turn: each answer is what `actions` said just before. The actions that were done.
async fn try_all(rig: &Rig, session: &str) -> Vec<&'static str> {
    let mut done = Vec::new();
    for action in ACTIONS {
        let said = rig.api.call(session).await["actions"][action].clone();
        let answer = rig.api.act(session, action, body(action)).await;
        if said == true {
            answer.ok();
            done.push(action);
            continue;
        }
        let why = said["why"].as_str().unwrap_or_else(|| panic!("{action}: {said}"));
        let problem = answer.refused(409);
        assert_eq!(problem["code"], "not_possible_here", "{action}: {problem}");
        assert_eq!(problem["detail"], format!("not possible here: {why}"), "{action}");
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_is_done_or_refused_as_the_call_said_before() {
    const UP: [&str; 8] = [
        "dtmf",
        "mute",
        "unmute",
        "start-recording",
        "pause-recording",
        "resume-recording",
        "stop-recording",
        "hangup",
    ];
    for style in BOTH {
        let rig = Rig::new(style, Policy::QUIET).await;
        let (_, plain) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
        assert_eq!(try_all(&rig, &plain).await, UP, "a plain call on {style:?}");
        let (_, stasis) = rig.place(CallScript::stasis("0301234568", &[])).await;
        rig.answer(&stasis).await;
        assert_eq!(try_all(&rig, &stasis).await, UP, "a call in our application on {style:?}");
        let (_, waiting) = rig.place(CallScript::stasis("0301234569", &[])).await;
        rig.answer_possible(&waiting).await;
        let ringing = CallScript::inbound("0301234570", "1002")
            .ringing(Duration::from_secs(60))
            .ending(Ending::NoAnswer);
        let (_, ringing) = rig.place(ringing).await;
        rig.api.call_when(&ringing, SOON, "it rings", |call| call["state"] == "ringing").await;
        assert_eq!(try_all(&rig, &ringing).await, ["hangup"], "a ringing call on {style:?}");
        assert_eq!(rig.api.act(&waiting, "answer", json!({})).await.ok()["id"], waiting.as_str());
        rig.api.act(&waiting, "hangup", json!({})).await.ok();
        for (session, outcome) in [(&plain, "answered"), (&stasis, "answered"), (&waiting, "answered"), (&ringing, "canceled")] {
            let ended = rig.ended(session).await;
            assert_eq!((&ended["outcome"], &ended["hangup"]["by"]), (&json!(outcome), &json!("platform")), "{ended}");
            for action in ACTIONS {
                let problem = rig.api.act(session, action, body(action)).await.refused(409);
                assert_eq!(problem["code"], "call_ended", "{action}: {problem}");
            }
        }
        rig.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_action_changed_is_shown_and_told() {
    for (style, in_stasis) in [(Style::Asterisk16, false), (Style::Asterisk22, true)] {
        let rig = Rig::new(style, Policy::QUIET).await;
        let script = if in_stasis {
            CallScript::stasis("0301234567", &[])
        } else {
            CallScript::inbound("0301234567", "1001")
        };
        let (_, session) = rig.place(script).await;
        if in_stasis {
            rig.answer(&session).await;
        }
        rig.api.call_when(&session, SOON, "it is up", |call| call["state"] == "up").await;
        let muted = rig.api.act(&session, "mute", json!({})).await.ok();
        assert_eq!(muted["legs"][0]["muted"], true, "{muted}");
        let unmuted = rig.api.act(&session, "unmute", json!({})).await.ok();
        assert_eq!(unmuted["legs"][0]["muted"], false, "{unmuted}");
        rig.api.act(&session, "hangup", json!({})).await.ok();
        rig.ended(&session).await;
        let journal = rig.journal_of(&session).await;
        let names: Vec<&str> = journal.iter().filter_map(|event| event["event"].as_str()).collect();
        for name in ["call.muted", "call.unmuted"] {
            assert_eq!(names.iter().filter(|seen| **seen == name).count(), 1, "{names:?}");
        }
        let wrong = rig.api.act(&session, "dtmf", json!({ "digits": "12x" })).await;
        assert!([400, 409].contains(&wrong.status.as_u16()), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_started_to_an_extension_or_into_our_application() {
    for style in BOTH {
        let rig = Rig::new(style, Policy::QUIET).await;
        let wanted = json!({ "endpoint": "PJSIP/1001", "to": { "context": "from-internal", "exten": "600" }, "caller": { "number": "99", "name": "Dialler" } });
        let made = rig.api.post("call-sessions", wanted).await.ok();
        let session = aimg_tests::api::id(&made).to_owned();
        let up = rig.api.call_when(&session, SOON, "it is up", |call| call["state"] == "up").await;
        assert!(!up["legs"].as_array().expect("legs").is_empty(), "{up}");
        rig.api.act(&session, "hangup", json!({})).await.ok();
        rig.ended(&session).await;

        let made = rig
            .api
            .post("call-sessions", json!({ "endpoint": "PJSIP/1002", "to": { "stasis": true } }))
            .await
            .ok();
        let session = aimg_tests::api::id(&made).to_owned();
        rig.api.call_when(&session, SOON, "it is up", |call| call["state"] == "up").await;
        let mut audio = AudioSocket::open(&rig.api, &session).await;
        audio.listen(&["caller"], 500, SOON).await;
        audio.close().await;
        rig.api.act(&session, "hangup", json!({})).await.ok();
        rig.ended(&session).await;
        assert_eq!(rig.api.calls().await.len(), 2, "one session each");

        let nobody = json!({ "endpoint": "PJSIP/4711", "to": { "stasis": true }, "ring_timeout_ms": 2000 });
        let answer = rig.api.post("call-sessions", nobody).await;
        if answer.status.is_success() {
            let ended = rig.ended(aimg_tests::api::id(&answer.body)).await;
            assert_ne!(ended["outcome"], "answered", "{ended}");
        } else {
            assert_eq!(answer.body["code"], "pbx_refused", "{answer:?}");
        }
        for (body, field) in [
            (json!({ "endpoint": "1001", "to": { "stasis": true } }), "endpoint"),
            (json!({ "endpoint": "PJSIP/1001", "to": {} }), "to"),
            (json!({ "endpoint": "PJSIP/1001" }), "to"),
        ] {
            let problem = rig.api.post("call-sessions", body).await.refused(400);
            assert!(problem.to_string().contains(field), "{problem}");
        }
        rig.emptied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_on_a_silent_pbx_ends_at_its_deadline() {
    let rig = Rig::new(Style::Asterisk22, Policy::QUIET).await;
    let (_, session) = rig.place_up(CallScript::inbound("0301234567", "1001")).await;
    rig.sim.freeze();
    let answer = rig.api.act(&session, "hangup", json!({})).await;
    assert!(
        matches!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (504, Some("timeout")) | (503, Some("pbx_down"))
        ),
        "{answer:?}"
    );
    rig.sim.thaw();
    eventually(Duration::from_secs(60), "it can be hung up again", || async {
        let answer = rig.api.act(&session, "hangup", json!({})).await;
        if answer.status.is_success() || answer.body["code"] == "call_ended" {
            Ok(())
        } else {
            Err(answer.body.to_string())
        }
    })
    .await;
    rig.ended(&session).await;
}
