#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

const S: Duration = Duration::from_secs(1);

fn session() -> AmiSession {
    AmiSession::new(SessionConfig::new("ami", Secret::new("amipass")), Duration::ZERO)
}

fn drain(session: &mut AmiSession) -> Vec<Output> {
    std::iter::from_fn(|| session.poll()).collect()
}

fn written(outputs: &[Output]) -> String {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Write(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        })
        .collect()
}

fn receive(session: &mut AmiSession, text: &str, now: Duration) -> Vec<Output> {
    session.receive(text.as_bytes(), now);
    drain(session)
}

fn signed_in() -> AmiSession {
    let mut session = session();
    receive(&mut session, "Asterisk Call Manager/11.0.0\r\n", Duration::ZERO);
    receive(
        &mut session,
        "Response: Success\r\nActionID: aimg-0\r\nChallenge: 722450007\r\n\r\n",
        Duration::ZERO,
    );
    let outputs = receive(&mut session, "Response: Success\r\nMessage: Authentication accepted\r\n\r\n", Duration::ZERO);
    assert_eq!(outputs, [Output::LoggedIn { version: "11.0.0".into() }]);
    session
}

/// The id under which the last action was sent.
fn sent_id(outputs: &[Output]) -> String {
    let text = written(outputs);
    text.lines().find_map(|line| line.strip_prefix("ActionID: ")).unwrap().to_owned()
}

fn send(session: &mut AmiSession, action: &Action, reply: u64, deadline: Duration) -> String {
    session.send(action, reply, deadline);
    sent_id(&drain(session))
}

#[test]
fn it_signs_in_by_challenge_and_never_writes_the_secret() {
    let mut session = session();
    assert!(drain(&mut session).is_empty());
    let outputs = receive(&mut session, "Asterisk Call Manager/5.0.4\r\n", Duration::ZERO);
    assert!(written(&outputs).starts_with("Action: Challenge\r\n"));
    let outputs = receive(&mut session, "Response: Success\r\nChallenge: 722450007\r\n\r\n", Duration::ZERO);
    let text = written(&outputs);
    assert!(text.contains("Key: 5d661bfa4f7d6f2d3952b44e1bfe3c72\r\n") && !text.contains("amipass"));
    assert!(!format!("{session:?}").contains("amipass"));
}

#[test]
fn it_signs_in_plainly_where_there_is_no_md5() {
    let mut session = session();
    receive(&mut session, "Asterisk Call Manager/5.0.4\r\n", Duration::ZERO);
    let outputs = receive(&mut session, "Response: Error\r\nMessage: Must specify AuthType\r\n\r\n", Duration::ZERO);
    assert!(written(&outputs).contains("Secret: amipass\r\n"));
}

#[test]
fn the_ends_of_a_sign_in_are_told_apart() {
    let after = |texts: &[&str], now: Duration| {
        let mut session = session();
        texts.iter().for_each(|text| session.receive(text.as_bytes(), Duration::ZERO));
        session.tick(now);
        match drain(&mut session).pop() {
            Some(Output::Broken(why)) => Some(why),
            _ => None,
        }
    };
    let banner = "Asterisk Call Manager/11.0.0\r\n";
    let challenge = "Response: Success\r\nChallenge: 1\r\n\r\n";
    let refusal = |text: &str| format!("Response: Error\r\nMessage: {text}\r\n\r\n");
    assert_eq!(after(&["SSH-2.0-x\r\n"], S), Some(Broken::NotAsterisk { banner: "SSH-2.0-x".into() }));
    assert_eq!(after(&[], 5 * S), Some(Broken::NoBanner(5 * S)));
    assert_eq!(after(&[], 4 * S), None);
    assert_eq!(after(&[banner], 5 * S), Some(Broken::LoginTimeout(5 * S)));
    assert_eq!(
        after(&[banner, challenge, &refusal("Authentication failed")], S),
        Some(Broken::AuthenticationFailed)
    );
    assert_eq!(
        after(&[banner, challenge, &refusal("Permission denied")], S),
        Some(Broken::LoginRefused("Permission denied".into()))
    );
}

#[test]
fn a_list_is_answered_whole_while_other_events_pass() {
    let mut session = signed_in();
    let id = send(&mut session, &Action::core_show_channels(), 7, 5 * S);
    let text = format!(
        "Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\nEvent: CoreShowChannel\r\nActionID: {id}\r\nUniqueid: a\r\n\r\n\
         Event: Newchannel\r\nUniqueid: b\r\n\r\nEvent: CoreShowChannelsComplete\r\nActionID: {id}\r\nEventList: Complete\r\nListItems: 1\r\n\r\n"
    );
    let outputs = receive(&mut session, &text, S);
    let Output::Event(event) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(event.get("Uniqueid"), Some("b"));
    let Output::Done {
        reply: 7,
        result: Ok(response),
    } = &outputs[1]
    else {
        panic!("{outputs:?}")
    };
    assert!(response.succeeded());
    assert_eq!(response.events.iter().filter_map(|event| event.get("Uniqueid")).collect::<Vec<_>>(), ["a"]);
    assert_eq!(outputs.len(), 2);
}

#[test]
fn a_list_over_its_bound_fails_and_the_session_goes_on() {
    let mut session = signed_in();
    session.config.list_max = 3;
    let id = send(&mut session, &Action::core_show_channels(), 7, 5 * S);
    receive(&mut session, &format!("Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n"), S);
    let row = format!("Event: CoreShowChannel\r\nActionID: {id}\r\n\r\n");
    let outputs = receive(&mut session, &row.repeat(4), S);
    assert_eq!(
        outputs,
        [Output::Done {
            reply: 7,
            result: Err(Unanswered::ListTooLong)
        }]
    );
    let id = send(&mut session, &Action::core_status(), 8, 5 * S);
    let outputs = receive(&mut session, &format!("Response: Success\r\nActionID: {id}\r\n\r\n"), S);
    assert!(matches!(outputs[..], [Output::Done { reply: 8, result: Ok(_) }]));
}

#[test]
fn an_originate_may_wait_for_its_outcome_in_either_order() {
    let originate = super::super::action::Originate {
        channel: "Local/1@x".into(),
        then: super::super::action::Then::Place(super::super::action::Place::new("x", "1")),
        channel_id: None,
        caller_id: None,
        timeout_ms: 1000,
        account: None,
        codecs: None,
        variables: Vec::new(),
        wait_for_outcome: true,
    };
    for response_first in [true, false] {
        let mut session = signed_in();
        let id = send(&mut session, &Action::originate(&originate), 1, 5 * S);
        let response = format!("Response: Success\r\nActionID: {id}\r\nMessage: queued\r\n\r\n");
        let outcome = format!("Event: OriginateResponse\r\nActionID: {id}\r\nResponse: Failure\r\nReason: 5\r\n\r\n");
        let (first, second) = if response_first { (response, outcome) } else { (outcome, response) };
        assert_eq!(receive(&mut session, &first, S), []);
        let outputs = receive(&mut session, &second, S);
        let [
            Output::Done {
                reply: 1,
                result: Ok(response),
            },
        ] = &outputs[..]
        else {
            panic!("{outputs:?}")
        };
        assert!(!response.succeeded());
        assert_eq!(response.refusal(), "busy");
    }
}

#[test]
fn an_action_without_answer_times_out_and_a_late_answer_is_nobodys() {
    let mut session = signed_in();
    let id = send(&mut session, &Action::core_status(), 3, 2 * S);
    assert_eq!(session.next_deadline(), Some(2 * S));
    session.tick(2 * S);
    assert_eq!(
        drain(&mut session),
        [Output::Done {
            reply: 3,
            result: Err(Unanswered::Timeout)
        }]
    );
    assert_eq!(receive(&mut session, &format!("Response: Success\r\nActionID: {id}\r\n\r\n"), 3 * S), []);
}

#[test]
fn silence_after_a_ping_is_death_and_any_byte_is_life() {
    let mut session = signed_in();
    session.tick(5 * S);
    assert!(written(&drain(&mut session)).starts_with("Action: Ping\r\n"));
    receive(&mut session, "Event: Newstate\r\n\r\n", 14 * S);
    session.tick(15 * S);
    assert_eq!(drain(&mut session), []);
    session.tick(19 * S);
    assert!(written(&drain(&mut session)).starts_with("Action: Ping\r\n"));
    session.send(&Action::core_status(), 4, 100 * S);
    drain(&mut session);
    assert_eq!(session.next_deadline(), Some(29 * S));
    session.tick(29 * S);
    let broken = Broken::Silent(15 * S);
    let failed = Output::Done {
        reply: 4,
        result: Err(Unanswered::Broken(broken.clone())),
    };
    assert_eq!(drain(&mut session), [failed, Output::Broken(broken)]);
    assert_eq!(session.next_deadline(), None);
    assert_eq!(receive(&mut session, "Event: X\r\n\r\n", 30 * S), []);
}

#[test]
fn actions_are_refused_before_the_sign_in_beyond_the_bound_and_when_they_would_inject() {
    let mut early = session();
    early.send(&Action::ping(), 1, S);
    assert_eq!(
        drain(&mut early),
        [Output::Done {
            reply: 1,
            result: Err(Unanswered::NotSignedIn)
        }]
    );
    let mut session = signed_in();
    session.config.pending_max = 1;
    session.send(&Action::hangup("x\r\nAction: Command", None), 2, S);
    assert!(matches!(
        drain(&mut session)[..],
        [Output::Done {
            reply: 2,
            result: Err(Unanswered::Fault(_))
        }]
    ));
    send(&mut session, &Action::core_status(), 3, S);
    session.send(&Action::core_status(), 4, S);
    assert_eq!(
        drain(&mut session),
        [Output::Done {
            reply: 4,
            result: Err(Unanswered::Busy)
        }]
    );
}

#[test]
fn fully_booted_tells_the_uptime() {
    let mut session = signed_in();
    let outputs = receive(&mut session, "Event: FullyBooted\r\nUptime: 56\r\n\r\n", S);
    assert_eq!(outputs, [Output::FullyBooted { uptime_s: Some(56) }]);
}

proptest! {
    #[test]
    fn no_bytes_make_a_session_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..2000) {
        let mut session = signed_in();
        session.send(&Action::core_show_channels(), 1, S);
        let cut = cut.min(bytes.len());
        session.receive(&bytes[..cut], S);
        session.tick(S);
        session.receive(&bytes[cut..], 2 * S);
        prop_assert!(drain(&mut session).len() < 3000);
    }
}
