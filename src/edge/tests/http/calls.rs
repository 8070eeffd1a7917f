//! Call sessions: history with what is true now, actions, originate, events.

use crate::support::{Rig, answer, call, fields, live};
use aimg_domain::event::EventKind;
use aimg_domain::{CallId, Fault, NewEvent, Outcome, Timestamp};
use aimg_wire::request::{CallAction, MuteDirection, OriginateTo, TenantRequest};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const OPERATOR: &str = "operator@alpha.org";
const T: i64 = 1_799_999_000_000;

fn ids(list: &Value) -> Vec<String> {
    list["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn history_is_newest_first_and_filtered() {
    let rig = Rig::start().await;
    let mut calls: Vec<_> = (0..5).map(|n| call(rig.a, T + n * 1000)).collect();
    calls[1].outcome = Some(Outcome::Busy);
    calls[2].caller.number = Some("2002".into());
    rig.keep(rig.a, &calls, Vec::new()).await;
    let path = |query: &str| format!("/api/v1/call-sessions?{query}");
    let newest: Vec<String> = calls.iter().rev().map(|call| call.id.to_string()).collect();
    assert_eq!(ids(&rig.get(OPERATOR, &path("")).await.1), newest);
    let oldest = rig.get(OPERATOR, &path("ordering=started_at&page_size=2")).await.1;
    assert_eq!(ids(&oldest), [calls[0].id.to_string(), calls[1].id.to_string()]);
    for (query, expected) in [
        ("status=failed", vec![1]),
        ("status=completed&number=2002", vec![2]),
        ("outcome=busy,failed", vec![1]),
        ("state=up", vec![]),
        ("started_after=2027-01-15T07:43:23.000Z", vec![4, 3]),
        ("started_before=2027-01-15T07:43:21.000Z", vec![0]),
        ("direction=outbound", vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|n: usize| calls[n].id.to_string()).collect();
        assert_eq!(ids(&rig.get(OPERATOR, &path(query)).await.1), expected, "{query}");
    }
    for (query, field) in [
        ("status=gone", "status"),
        ("state=up,down", "state.1"),
        ("started_after=yesterday", "started_after"),
        ("colour=red", "colour"),
    ] {
        assert_eq!(fields(&rig.get(OPERATOR, &path(query)).await.1), [field]);
    }
}

#[tokio::test]
async fn pages_and_cursors_show_each_call_once() {
    let rig = Rig::start().await;
    let calls: Vec<_> = (0..7).map(|n| call(rig.a, T + n / 2)).collect();
    rig.keep(rig.a, &calls, Vec::new()).await;
    for begin in ["page_size=3", "page_size=3&cursor="] {
        let mut path = format!("/api/v1/call-sessions?{begin}");
        let mut seen = Vec::new();
        loop {
            let list = rig.get(OPERATOR, &path).await.1;
            assert_eq!(list["count"], 7);
            seen.extend(ids(&list));
            let Some(next) = list["next"].as_str() else { break };
            path = next.split_once(&rig.address.to_string()).unwrap().1.to_owned();
        }
        let unique: std::collections::HashSet<&String> = seen.iter().collect();
        assert_eq!((seen.len(), unique.len()), (7, 7), "{begin}");
    }
    assert_eq!(rig.get(OPERATOR, "/api/v1/call-sessions?cursor=bogus").await.0, 400);
    assert_eq!(rig.get(OPERATOR, "/api/v1/call-sessions?page=9999").await.0, 400);
    assert_eq!(ids(&rig.get(OPERATOR, "/api/v1/call-sessions?page=3&page_size=3").await.1).len(), 1);
}

#[tokio::test]
async fn living_calls_are_shown_as_they_are_now() {
    let rig = Rig::start().await;
    let mut stored = live(rig.a, T);
    stored.answered_at = None;
    stored.state = aimg_domain::CallState::Ringing;
    rig.keep(rig.a, &[stored.clone(), call(rig.a, T - 5000)], Vec::new()).await;
    let (now, young) = (live_again(&stored), live(rig.a, T + 1));
    for session in [&now, &young] {
        rig.platform.live.lock().insert(session.id, session.clone());
    }
    let list = rig.get(OPERATOR, "/api/v1/call-sessions?status=active").await.1;
    assert_eq!(ids(&list), [young.id.to_string(), now.id.to_string()]);
    assert_eq!(list["results"][1]["state"], "up");
    let detail = rig.get(OPERATOR, &format!("/api/v1/call-sessions/{}", now.id)).await.1;
    assert_eq!(
        (&detail["actions"]["hangup"], &detail["actions"]["hold"]["not_possible"]),
        (&json!(true), &json!(true))
    );
    *rig.platform.refuse.lock() = Some((|_| true, Fault::unavailable("the tree")));
    let without = rig.get(OPERATOR, "/api/v1/call-sessions?status=active").await.1;
    assert_eq!(without["results"][0]["state"], "ringing", "as stored when the tree does not answer");
}

fn live_again(stored: &aimg_domain::CallSession) -> aimg_domain::CallSession {
    let mut session = live(stored.tenant_id, stored.started_at.0);
    session.id = stored.id;
    session
}

#[tokio::test]
async fn actions_reach_the_call_with_their_fields() {
    let rig = Rig::start().await;
    let session = live(rig.a, T);
    rig.platform.live.lock().insert(session.id, session.clone());
    let path = |action: &str| format!("/api/v1/call-sessions/{}/{action}", session.id);
    for (action, body, expected) in [
        ("hangup", json!({}), CallAction::Hangup),
        ("answer", json!({}), CallAction::Answer),
        (
            "mute",
            json!({"leg": "1.1", "direction": "both"}),
            CallAction::Mute {
                leg: Some("1.1".into()),
                direction: MuteDirection::Both,
            },
        ),
        (
            "unmute",
            json!({}),
            CallAction::Unmute {
                leg: None,
                direction: MuteDirection::In,
            },
        ),
        (
            "dtmf",
            json!({"digits": "12#d"}),
            CallAction::Dtmf {
                leg: None,
                digits: "12#D".into(),
            },
        ),
        ("start-recording", json!({}), CallAction::StartRecording),
        ("stop-recording", json!({}), CallAction::StopRecording),
        ("pause-recording", json!({}), CallAction::PauseRecording),
        ("resume-recording", json!({}), CallAction::ResumeRecording),
        ("transfer", json!({"to": "1002"}), CallAction::Other { action: "transfer".into() }),
        ("hold", json!({}), CallAction::Other { action: "hold".into() }),
    ] {
        let (status, answer) = rig.post(OPERATOR, &path(action), body).await;
        assert_eq!((status, answer["id"].as_str()), (200, Some(session.id.to_string().as_str())), "{action}");
        assert_eq!(rig.platform.acted.lock().pop(), Some((session.id, expected)));
    }
    for (action, body, field) in [
        ("dtmf", json!({"digits": "12x"}), "digits"),
        ("dtmf", json!({}), "digits"),
        ("hangup", json!({"now": true}), "now"),
    ] {
        assert_eq!(fields(&rig.post(OPERATOR, &path(action), body).await.1), [field]);
    }
    assert_eq!(answer(rig.by(OPERATOR, Method::POST, &path("hangup")).await).await.0, 200, "no body at all");
}

#[tokio::test]
async fn refusals_say_why() {
    let rig = Rig::start().await;
    let session = live(rig.a, T);
    rig.platform.live.lock().insert(session.id, session.clone());
    let path = format!("/api/v1/call-sessions/{}/answer", session.id);
    for (fault, status, code) in [
        (Fault::not_possible("a plain dialplan call"), 409, "not_possible_here"),
        (
            Fault::PbxDown {
                since: Timestamp(T),
                reason: "connection refused".into(),
            },
            503,
            "pbx_down",
        ),
        (
            Fault::PbxRefused {
                reason: "no such channel".into(),
            },
            502,
            "pbx_refused",
        ),
        (Fault::Timeout { what: "the PBX".into() }, 504, "timeout"),
    ] {
        *rig.platform.act_fault.lock() = Some(fault);
        let (got, problem) = rig.post(OPERATOR, &path, json!({})).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)));
    }
    let ended = call(rig.a, T);
    rig.keep(rig.a, std::slice::from_ref(&ended), Vec::new()).await;
    let (status, problem) = rig.post(OPERATOR, &format!("/api/v1/call-sessions/{}/hangup", ended.id), json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("call_ended")));
    let detail = rig.get(OPERATOR, &format!("/api/v1/call-sessions/{}", ended.id)).await.1;
    assert_eq!(detail["actions"]["mute"]["why"], "call already ended");
    assert_eq!((detail["ring_ms"].as_i64(), detail["talk_ms"].as_i64()), (Some(2000), Some(8000)));
    assert_eq!(
        rig.post(OPERATOR, &format!("/api/v1/call-sessions/{}/hangup", Uuid::now_v7()), json!({}))
            .await
            .0,
        404
    );
    assert_eq!(rig.get(OPERATOR, "/api/v1/call-sessions/not-an-id").await.0, 404);
}

#[tokio::test]
async fn originate_finds_the_only_link_and_answers_with_the_call() {
    let rig = Rig::start().await;
    let body = json!({"endpoint": "PJSIP/1001", "to": {"context": "internal", "exten": "600"}, "caller": {"number": "99"}});
    assert_eq!(rig.post(OPERATOR, "/api/v1/call-sessions", body.clone()).await.1["code"], "not_possible_here");
    let admin = "tenant_admin@alpha.org";
    let link = rig.post(admin, "/api/v1/pbx-links", json!({"pbx": crate::pbxs::body()})).await.1;
    let mut made = live(rig.a, T);
    made.id = rig.platform.originated;
    rig.platform.live.lock().insert(made.id, made.clone());
    let request = rig.by(OPERATOR, Method::POST, "/api/v1/call-sessions").await.json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], format!("/api/v1/call-sessions/{}", made.id));
    let asked = rig.platform.asked.lock().iter().rev().find_map(|asked| match &asked.body {
        TenantRequest::Originate(originate) => Some((originate.clone(), asked.remaining_ms)),
        _ => None,
    });
    let (originate, remaining_ms) = asked.unwrap();
    assert_eq!(originate.link.to_string(), link["id"].as_str().unwrap());
    let expected = OriginateTo::Extension {
        context: "internal".into(),
        exten: "600".into(),
    };
    assert_eq!(
        (originate.to, originate.caller_number.as_deref(), originate.ring_timeout_ms),
        (expected, Some("99"), 30_000)
    );
    assert!(remaining_ms > 0 && remaining_ms <= 15_000);
    for (to, endpoint, field) in [
        (json!({}), "PJSIP/1", "to"),
        (json!({"stasis": true, "exten": "1"}), "PJSIP/1", "to"),
        (json!({"stasis": true}), "nothing", "endpoint"),
        (json!({"stasis": true}), "Local/1@x,evil", "endpoint"),
    ] {
        let (status, problem) = rig.post(OPERATOR, "/api/v1/call-sessions", json!({"endpoint": endpoint, "to": to})).await;
        assert_eq!((status, fields(&problem)), (400, vec![field]));
    }
}

fn event(call: CallId, seq: u64, event: EventKind) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        call_id: Some(call),
        event,
        at: Timestamp(T),
        seq,
        data: json!({"n": seq}),
    }
}

#[tokio::test]
async fn events_are_read_newest_first_or_on_from_a_position() {
    let rig = Rig::start().await;
    let (x, y) = (CallId(Uuid::now_v7()), CallId(Uuid::now_v7()));
    let mut events: Vec<NewEvent> = (1..=40).map(|n| event(x, n, EventKind::CallDtmf)).collect();
    events.push(event(y, 1, EventKind::CallStarted));
    let head = rig.keep(rig.a, &[], events).await.head;
    let offsets = |list: &Value| {
        list["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["offset"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let rig = &rig;
    let get = |query: String| async move { rig.get("viewer@alpha.org", &format!("/api/v1/events?{query}")).await.1 };
    let newest = get("page_size=3".into()).await;
    assert_eq!(offsets(&newest), [41, 40, 39]);
    assert_eq!(
        (newest["results"][0]["event"].as_str(), newest["results"][0]["epoch"].as_u64()),
        (Some("call.started"), Some(head.epoch))
    );
    assert_eq!(offsets(&get("page_size=3&page=2".into()).await), [38, 37, 36]);
    assert_eq!(offsets(&get(format!("after_epoch={}&after_offset=38", head.epoch)).await), [39, 40, 41]);
    assert_eq!(offsets(&get("ordering=at&page_size=2".into()).await), [1, 2]);
    assert_eq!(offsets(&get(format!("call_id={y}")).await), [41]);
    assert_eq!(offsets(&get(format!("call_id={x}&page_size=2")).await), [40, 39]);
    assert_eq!(offsets(&get("event=call.started,call.ended".into()).await), [41]);
    assert_eq!(fields(&get("event=call.exploded".into()).await), ["event"]);
    assert_eq!(fields(&get("after_epoch=1".into()).await), ["after_epoch"]);
    let mut path = "/api/v1/events?page_size=9&cursor=".to_owned();
    let mut seen = Vec::new();
    loop {
        let list = rig.get("viewer@alpha.org", &path).await.1;
        seen.extend(offsets(&list));
        let Some(next) = list["next"].as_str() else { break };
        path = next.split_once(&rig.address.to_string()).unwrap().1.to_owned();
    }
    assert_eq!(seen, (1..=41).rev().collect::<Vec<u64>>());
}
