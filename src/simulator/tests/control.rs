//! Managers and requests: who may do what, and what is answered.

use crate::client::{Ami, Events, http, http_as, until, within};
use aimg_domain::secret::Secret;
use aimg_simulator::{AmiUser, CallScript, Ending, Side, SimConfig, Simulator, StasisApp, Style};
use std::time::Duration;

#[tokio::test]
async fn a_manager_logs_in_by_challenge_and_sees_a_booted_system() {
    use md5::{Digest as _, Md5};
    let sim = Simulator::start(SimConfig::scripted(Style::Asterisk16)).await.unwrap();
    let mut ami = Ami::connect(&sim).await;
    assert_eq!(ami.banner, "Asterisk Call Manager/5.0.4\r\n");
    let challenge = ami.action("Action: Challenge\r\nAuthType: MD5\r\n").await;
    let key: String = Md5::digest(format!("{}amipass", challenge.get("Challenge")))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let login = ami
        .action(&format!("Action: Login\r\nAuthType: MD5\r\nUsername: ami\r\nKey: {key}\r\nActionID: x7\r\n"))
        .await;
    assert_eq!(login.keys(), ["Response", "ActionID", "Message"]);
    assert_eq!(login.get("Message"), "Authentication accepted");
    assert_eq!(ami.event().await.event(), "FullyBooted");
    let settings = ami.action("Action: CoreSettings\r\n").await;
    assert!(settings.get("AsteriskVersion").starts_with("16."));
    assert_eq!(settings.get("SoundsSearchCustomDir"), "");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_line_then_ends() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut ami = Ami::connect(&sim).await;
    let refusal = ami.action("Action: Login\r\nUsername: ami\r\nSecret: wrong\r\n").await;
    assert_eq!((refusal.get("Response"), refusal.get("Message")), ("Error", "Authentication failed"));
    assert_eq!(ami.packet().await, None);
}

#[tokio::test]
async fn before_the_login_and_beyond_its_classes_a_manager_is_denied() {
    let mut config = SimConfig::default();
    let calls = || vec!["call".to_owned()];
    config.ami_users.push(AmiUser {
        name: "clerk".to_owned(),
        secret: Secret::new("x"),
        read: calls(),
        write: calls(),
    });
    let sim = Simulator::start(config).await.unwrap();
    let mut ami = Ami::connect(&sim).await;
    assert_eq!(ami.action("Action: Ping\r\n").await.get("Message"), "Permission denied");
    ami.action("Action: Login\r\nUsername: clerk\r\nSecret: x\r\n").await;
    assert_eq!(ami.action("Action: Ping\r\n").await.get("Ping"), "Pong");
    assert_eq!(
        ami.action("Action: Originate\r\nChannel: Local/1@x\r\nApplication: Wait\r\n")
            .await
            .get("Message"),
        "Permission denied"
    );
    assert_eq!(ami.action("Action: Hangup\r\nChannel: none\r\n").await.get("Message"), "No such channel");
    let unknown = ami.action("Action: NoSuchAction\r\n").await;
    assert_eq!(
        unknown.get("Message"),
        "Invalid/unknown command: NoSuchAction. Use Action: ListCommands to show available commands."
    );
    // Only class call is read: no FullyBooted, no VarSet, no Cdr.
    sim.place_call(CallScript::inbound("0301", "1001").ending(Ending::Busy)).unwrap();
    let events = ami.events_until(|event| event.event() == "Hangup").await;
    assert!(events.iter().all(|event| event.get("Privilege") == "call,all"), "{events:?}");
}

#[tokio::test]
async fn filters_and_masks_keep_events_away() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut ami = Ami::connect(&sim).await;
    ami.action("Action: Login\r\nUsername: ami\r\nSecret: amipass\r\nEvents: call\r\n").await;
    assert_eq!(
        ami.action("Action: Filter\r\nOperation: Add\r\nFilter: Bogus(\r\n").await.get("Response"),
        "Error"
    );
    assert_eq!(
        ami.action("Action: Filter\r\nOperation: Add\r\nFilter: !Event: (Newchannel|Dial.*)\r\n")
            .await
            .get("Response"),
        "Success"
    );
    sim.place_call(CallScript::inbound("0301", "1001").ending(Ending::Busy)).unwrap();
    let events = ami.events_until(|event| event.event() == "Hangup").await;
    assert!(
        !events
            .iter()
            .any(|event| event.event() == "Newchannel" || event.event().starts_with("Dial") || event.event() == "VarSet")
    );
    assert_eq!(ami.action("Action: Events\r\nEventMask: off\r\n").await.get("Events"), "Off");
}

#[tokio::test]
async fn channels_are_listed_muted_dialled_and_hung_up_by_ami() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut ami = Ami::login(&sim).await;
    let call = sim.place_call(CallScript::inbound("0301", "1001")).unwrap();
    until("the answer", || sim.call(call.id).unwrap().answered_at.is_some()).await;
    assert_eq!(ami.action("Action: CoreShowChannels\r\nActionID: l\r\n").await.get("EventList"), "start");
    let listed = ami.events_until(|event| event.event() == "CoreShowChannelsComplete").await;
    let channels: Vec<_> = listed.iter().filter(|event| event.event() == "CoreShowChannel").collect();
    assert_eq!(channels.len(), 2);
    assert_eq!(&channels[0].keys()[..3], ["Event", "ActionID", "Channel"]);
    assert!(
        channels
            .iter()
            .all(|channel| !channel.get("BridgeId").is_empty() && channel.get("Linkedid") == call.linkedid)
    );
    let name = call.caller_channel_name.clone();
    assert_eq!(
        ami.action(&format!("Action: Setvar\r\nChannel: {name}\r\nVariable: NOTE\r\nValue: a\"b\r\n"))
            .await
            .get("Message"),
        "Variable Set"
    );
    let set = ami.events_until(|event| event.event() == "VarSet" && event.get("Variable") == "NOTE").await;
    assert_eq!(set.last().unwrap().get("Value"), "a\\\"b");
    assert_eq!(
        ami.action(&format!("Action: Getvar\r\nChannel: {name}\r\nVariable: NOTE\r\n"))
            .await
            .get("Value"),
        "a\"b"
    );
    assert_eq!(
        ami.action(&format!("Action: MuteAudio\r\nChannel: {name}\r\nDirection: in\r\nState: on\r\n"))
            .await
            .get("Response"),
        "Success"
    );
    assert_eq!(
        ami.action(&format!("Action: PlayDTMF\r\nChannel: {name}\r\nDigit: 5\r\n")).await.get("Message"),
        "DTMF successfully queued"
    );
    let digit = ami.events_until(|event| event.event() == "DTMFEnd").await;
    assert_eq!((digit.last().unwrap().get("Digit"), digit.last().unwrap().get("Direction")), ("5", "Sent"));
    assert_eq!(
        ami.action(&format!("Action: Hangup\r\nChannel: {name}\r\n")).await.get("Message"),
        "Channel Hungup"
    );
    until("the end", || sim.stats().channels == 0).await;
}

#[tokio::test]
async fn an_endpoint_is_originated_and_dials_on() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut ami = Ami::login(&sim).await;
    ami.action("Action: Originate\r\nActionID: o\r\nChannel: PJSIP/1001\r\nContext: from-internal\r\nExten: 1002\r\nPriority: 1\r\nAsync: true\r\n")
        .await;
    let response = ami.events_until(|event| event.event() == "OriginateResponse").await;
    let response = response.last().unwrap();
    assert_eq!(
        (response.get("Response"), response.get("Reason"), response.get("ActionID")),
        ("Success", "4", "o")
    );
    let bridged = ami
        .events_until(|event| event.event() == "BridgeEnter" && event.get("BridgeNumChannels") == "2")
        .await;
    assert!(
        bridged
            .iter()
            .any(|event| event.event() == "DialBegin" && event.get("DestChannel").starts_with("PJSIP/1002-"))
    );
    ami.action("Action: Originate\r\nActionID: p\r\nChannel: PJSIP/9999\r\nContext: lab\r\nExten: 600\r\nAsync: true\r\n")
        .await;
    let response = ami.events_until(|event| event.event() == "OriginateResponse").await;
    let response = response.last().unwrap();
    assert_eq!(
        (response.get("Response"), response.get("Reason"), response.get("Uniqueid")),
        ("Failure", "0", "<unknown>")
    );
}

#[tokio::test]
async fn credentials_decide_what_ari_answers() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    assert_eq!(http_as(&sim, "ari:wrong", "GET", "asterisk/info", "").await.0, 401);
    assert_eq!(http_as(&sim, "ariro:aripass", "GET", "asterisk/ping", "").await.0, 200);
    assert_eq!(http_as(&sim, "ariro:aripass", "POST", "bridges", "").await.0, 403);
    let (status, info) = http(&sim, "GET", "asterisk/info", "").await;
    assert_eq!(status, 200);
    assert!(info["system"]["version"].as_str().unwrap().starts_with("22."));
    assert_eq!(http(&sim, "GET", "nowhere", "").await.0, 404);
}

#[tokio::test]
async fn a_plain_dialplan_channel_refuses_what_needs_stasis() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let call = sim.place_call(CallScript::inbound("0301", "1001")).unwrap();
    let id = call.caller_channel;
    for (method, verb) in [
        ("POST", "answer"),
        ("POST", "hold"),
        ("POST", "mute"),
        ("POST", "dtmf?dtmf=1"),
        ("POST", "play?media=x"),
        ("POST", "continue"),
    ] {
        let (status, body) = http(&sim, method, &format!("channels/{id}/{verb}"), "").await;
        assert_eq!((status, body["message"].as_str()), (409, Some("Channel not in Stasis application")), "{verb}");
    }
    assert_eq!(http(&sim, "POST", &format!("channels/{id}/variable?variable=A&value=b"), "").await.0, 204);
    assert_eq!(http(&sim, "GET", &format!("channels/{id}/variable?variable=A"), "").await.1["value"], "b");
    assert_eq!(http(&sim, "GET", &format!("channels/{id}/variable?variable=Z"), "").await.0, 404);
    assert_eq!(http(&sim, "GET", "channels/none", "").await.0, 404);
    assert_eq!(http(&sim, "DELETE", &format!("channels/{id}"), "").await.0, 204);
    until("the end", || sim.stats().channels == 0).await;
}

#[tokio::test]
async fn a_channel_before_its_stasis_start_cannot_be_bridged_and_ids_are_not_taken_twice() {
    let stasis_delay = Duration::from_secs(3600)..=Duration::from_secs(3600);
    let sim = Simulator::start(SimConfig {
        stasis_delay,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let external = "channels/externalMedia?app=a&external_host=127.0.0.1:9&format=ulaw&channelId=em";
    let (status, body) = http(&sim, "POST", external, r#"{"variables":{"CDR_PROP(disable)":"1"}}"#).await;
    assert_eq!(status, 200);
    assert!(body["channelvars"]["UNICASTRTP_LOCAL_PORT"].as_str().unwrap().parse::<u16>().unwrap() > 0);
    http(&sim, "POST", "bridges?bridgeId=br", "").await;
    let (status, body) = http(&sim, "POST", "bridges/br/addChannel?channel=em", "").await;
    assert_eq!((status, body["message"].as_str()), (422, Some("Channel not in Stasis application")));
    assert_eq!(http(&sim, "POST", external, "").await.0, 500);
    // Ids are matched by prefix: `em` is there, `e` begins it.
    assert_eq!(http(&sim, "POST", "channels?endpoint=Local/1@x&app=a&channelId=e", "").await.0, 409);
    assert_eq!(
        http(&sim, "POST", "channels/externalMedia?app=a&external_host=127.0.0.1:9&format=nonsense", "")
            .await
            .0,
        400
    );
    assert_eq!(http(&sim, "POST", "bridges/none/addChannel?channel=em", "").await.0, 404);
    assert_eq!(http(&sim, "POST", "bridges/br/addChannel?channel=none", "").await.0, 400);
}

#[tokio::test]
async fn the_newest_connection_of_an_application_has_it() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut old = Events::connect(&sim, "app").await;
    let (new, replaced) = tokio::join!(Events::connect(&sim, "app"), old.next());
    let mut new = new;
    assert_eq!(replaced.unwrap()["type"], "ApplicationReplaced");
    let call = sim.place_call(CallScript::stasis("0301", &["x"])).unwrap();
    let start = new.next().await.unwrap();
    assert_eq!((start["type"].as_str(), start["args"][0].as_str()), (Some("StasisStart"), Some("x")));
    assert_eq!(http(&sim, "GET", "applications/app", "").await.1["channel_ids"][0], call.caller_channel);
    assert_eq!(http(&sim, "GET", "applications/none", "").await.0, 404);
}

#[tokio::test]
async fn a_stasis_call_is_answered_held_pressed_moved_and_given_back() {
    let stasis_app = StasisApp::Named("one".to_owned());
    let sim = Simulator::start(SimConfig {
        stasis_app,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let (mut one, mut two) = (Events::connect(&sim, "one").await, Events::connect(&sim, "two").await);
    let call = sim.place_call(CallScript::stasis("0301", &[])).unwrap();
    let id = call.caller_channel.clone();
    one.until_type("StasisStart", &id).await;
    for request in [
        format!("channels/{id}/answer"),
        format!("channels/{id}/hold"),
        format!("channels/{id}/mute?direction=in"),
    ] {
        assert_eq!(http(&sim, "POST", &request, "").await.0, 204, "{request}");
    }
    assert!(sim.press(call.id, Side::Caller, '7'));
    assert_eq!(one.until_type("ChannelDtmfReceived", &id).await["digit"], "7");
    assert_eq!(http(&sim, "POST", &format!("channels/{id}/move?app=two&appArgs=moved"), "").await.0, 204);
    one.until_type("StasisEnd", &id).await;
    assert_eq!(two.until_type("StasisStart", &id).await["args"][0], "moved");
    assert_eq!(
        http(
            &sim,
            "POST",
            &format!("channels/{id}/continue?context=from-internal&extension=1001&priority=1"),
            ""
        )
        .await
        .0,
        204
    );
    two.until_type("StasisEnd", &id).await;
    until("the second answer", || {
        sim.call(call.id)
            .is_some_and(|call| call.answered_at.is_some() && call.callee_channel.is_some())
    })
    .await;
}

#[tokio::test]
async fn a_stasis_call_to_an_absent_application_dies() {
    let stasis_app = StasisApp::Named("gone".to_owned());
    let sim = Simulator::start(SimConfig {
        stasis_app,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let mut ami = Ami::login(&sim).await;
    assert!(sim.place_call(CallScript::stasis("0301", &[])).is_err());
    let events = ami.events_until(|event| event.event() == "Hangup").await;
    assert!(
        events
            .iter()
            .any(|event| event.get("Variable") == "STASISSTATUS" && event.get("Value") == "FAILED")
    );
}

#[tokio::test]
async fn an_originated_channel_enters_its_application_and_its_maker_hears_of_its_end() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut events = Events::connect(&sim, "app").await;
    let (status, channel) = http(&sim, "POST", "channels?endpoint=Local/600@lab/n&app=app&channelId=mine", "").await;
    assert_eq!((status, channel["state"].as_str()), (200, Some("Down")));
    events.until_type("StasisStart", "mine").await;
    assert_eq!(http(&sim, "DELETE", "channels/mine", "").await.0, 204);
    within("its end", events.until_type("ChannelDestroyed", "mine")).await;
    assert_eq!(sim.stats().channels, 0);
}
