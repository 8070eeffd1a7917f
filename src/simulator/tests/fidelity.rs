//! The same scenario played on the simulator and once on a real Asterisk: the same events, in the same order, with the same headers.

use crate::client::{Ami, Events, Packet, http, until};
use aimg_simulator::{CallScript, Ending, Party, Route, Side, SimConfig, SimHandle, Simulator, StasisApp, Style};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

const STYLES: [Style; 2] = [Style::Asterisk16, Style::Asterisk22];

fn capture(style: Style, file: &str) -> String {
    let folder = if style == Style::Asterisk16 { "16" } else { "22" };
    std::fs::read_to_string(format!("{}/testdata/{folder}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn captured_events(style: Style, file: &str) -> Vec<Packet> {
    capture(style, file)
        .split("\r\n\r\n")
        .filter(|text| !text.trim().is_empty())
        .map(Packet::parse)
        .collect()
}

fn noise(event: &str) -> bool {
    ["CEL", "TestEvent", "VarSet", "FullyBooted", "SuccessfulAuth"].contains(&event)
        || ["RTCP", "DTMF", "ChannelTalking"].iter().any(|prefix| event.starts_with(prefix))
}

/// What an event says, with channels named by the order in which they appeared.
fn sentences(events: &[Packet]) -> Vec<String> {
    let mut roles: HashMap<String, usize> = HashMap::new();
    let mut sentences: Vec<String> = Vec::new();
    for event in events.iter().filter(|event| !noise(event.event())) {
        let id = ["Uniqueid", "UniqueID", "DestUniqueid", "LocalOneUniqueid", "SpyerUniqueid"]
            .iter()
            .map(|key| event.get(key))
            .find(|id| !id.is_empty());
        let role = id.map(|id| {
            let next = roles.len();
            *roles.entry(id.to_owned()).or_insert(next)
        });
        let role = role.map_or_else(|| "-".to_owned(), |role| role.to_string());
        let details = [
            "ChannelStateDesc",
            "DialStatus",
            "BridgeNumChannels",
            "Priority",
            "Disposition",
            "Cause-txt",
            "Response",
            "Reason",
        ];
        let details: Vec<&str> = details.iter().map(|key| event.get(key)).filter(|value| !value.is_empty()).collect();
        sentences.push(format!("{} {role} {}", event.event(), details.join(" ")));
    }
    settle(sentences)
}

/// Neighbours whose order differs from run to run on a real Asterisk are sorted.
fn settle(mut sentences: Vec<String>) -> Vec<String> {
    let group = |sentence: &String| {
        let event = sentence.split(' ').next().unwrap_or_default();
        match event {
            "Cdr" | "Hangup" | "SoftHangupRequest" | "BridgeDestroy" | "HangupRequest" => 1,
            "ChanSpyStart" | "Newexten" => 2,
            "DialBegin" | "Newstate" | "DialEnd" | "OriginateResponse" | "NewConnectedLine" => 3,
            _ => 0,
        }
    };
    for run in sentences.chunk_by_mut(|a, b| group(a) != 0 && group(a) == group(b)) {
        run.sort();
    }
    sentences
}

/// Each event's set of headers, as `name: key,key,…`.
fn shapes(events: &[Packet]) -> BTreeMap<String, BTreeSet<String>> {
    let mut shapes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events
        .iter()
        .filter(|event| !["FullyBooted", "CEL", "TestEvent", "SuccessfulAuth"].contains(&event.event()))
    {
        shapes.entry(event.event().to_owned()).or_default().insert(event.keys().join(","));
    }
    shapes
}

fn compare(style: Style, file: &str, ours: &[Packet]) {
    let theirs = captured_events(style, file);
    let (our_sentences, their_sentences) = (sentences(ours), sentences(&theirs));
    assert_eq!(our_sentences, their_sentences, "{style:?} {file}");
    let (our_shapes, their_shapes) = (shapes(ours), shapes(&theirs));
    for (event, shape) in &our_shapes {
        if let Some(known) = their_shapes.get(event) {
            assert!(shape.is_subset(known), "{style:?} {file} {event}\nours   {shape:?}\ntheirs {known:?}");
        }
    }
}

fn config(style: Style) -> SimConfig {
    let stasis_app = StasisApp::Named("demo".to_owned());
    SimConfig {
        stasis_app,
        ..SimConfig::scripted(style)
    }
}

async fn start(style: Style) -> (SimHandle, Ami) {
    let sim = Simulator::start(config(style)).await.unwrap();
    let ami = Ami::login(&sim).await;
    (sim, ami)
}

fn alice(route: Route) -> CallScript {
    CallScript::new(Party::new("55501", "Alice 1"), route)
}

#[tokio::test]
async fn a_dialled_call_reads_like_the_captured_one() {
    for style in STYLES {
        let (sim, mut ami) = start(style).await;
        sim.place_call(CallScript::outbound("1001", "0305550100").talking(Duration::from_millis(100)))
            .unwrap();
        let mut ends = 0;
        let events = ami
            .events_until(|event| {
                ends += usize::from(["Hangup", "Cdr"].contains(&event.event()));
                ends == 3
            })
            .await;
        compare(style, "trunk_dial.ami", &events);
    }
}

#[tokio::test]
async fn a_busy_call_and_one_given_up_read_like_the_captured_ones() {
    for style in STYLES {
        let (sim, mut ami) = start(style).await;
        let both = |events: &mut usize, event: &Packet| {
            *events += usize::from(["Hangup", "Cdr"].contains(&event.event()));
            *events == 2
        };
        sim.place_call(alice(Route::BusyApp)).unwrap();
        let mut seen = 0;
        let mut events = ami.events_until(|event| both(&mut seen, event)).await;
        sim.place_call(alice(Route::RingingApp)).unwrap();
        let mut seen = 0;
        events.extend(ami.events_until(|event| both(&mut seen, event)).await);
        compare(style, "busy.ami", &events);
    }
}

#[tokio::test]
async fn an_echo_call_reads_like_the_captured_one() {
    for style in STYLES {
        let (sim, mut ami) = start(style).await;
        sim.place_call(alice(Route::Echo).pressing("1").talking(Duration::from_millis(1600))).unwrap();
        let mut ends = 0;
        let events = ami
            .events_until(|event| {
                ends += usize::from(["Hangup", "Cdr"].contains(&event.event()));
                ends == 2
            })
            .await;
        assert!(events.iter().any(|event| event.event() == "DTMFEnd"));
        compare(style, "echo.ami", &events);
    }
}

/// Snoop, external channel and bridge, waiting as a careful client does.
async fn tap(sim: &SimHandle, events: &mut Events, of: &str, names: [&str; 3], spy: &str, host: &str) {
    let [snoop, external, bridge] = names;
    assert_eq!(http(sim, "POST", &format!("channels/{of}/snoop/{snoop}?spy={spy}&app=demo"), "").await.0, 200);
    events.until_type("StasisStart", snoop).await;
    assert_eq!(
        http(
            sim,
            "POST",
            &format!("channels/externalMedia?app=demo&external_host={host}&format=ulaw&channelId={external}"),
            ""
        )
        .await
        .0,
        200
    );
    events.until_type("StasisStart", external).await;
    assert_eq!(http(sim, "POST", &format!("bridges/{bridge}?type=mixing"), "").await.0, 200);
    assert_eq!(
        http(sim, "POST", &format!("bridges/{bridge}/addChannel?channel={snoop},{external}"), "")
            .await
            .0,
        204
    );
}

#[tokio::test]
async fn a_tapped_call_reads_like_the_captured_one() {
    for style in STYLES {
        let (sim, mut ami) = start(style).await;
        let mut events = Events::connect(&sim, "demo").await;
        let call = sim.place_call(CallScript::outbound("1001", "0305550100")).unwrap();
        until("the answer", || sim.call(call.id).unwrap().answered_at.is_some()).await;
        tap(
            &sim,
            &mut events,
            &call.caller_channel,
            ["aimg-sn-in", "aimg-em-in", "aimg-br-in"],
            "in",
            "127.0.0.1:9",
        )
        .await;
        tap(
            &sim,
            &mut events,
            &call.caller_channel,
            ["aimg-sn-out", "aimg-em-out", "aimg-br-out"],
            "out",
            "127.0.0.1:9",
        )
        .await;
        let mut enters = 0;
        let seen = ami
            .events_until(|event| {
                enters += usize::from(event.event() == "BridgeEnter");
                enters == 6
            })
            .await;
        compare(style, "tap.ami", &seen);
    }
}

#[tokio::test]
async fn a_local_originate_into_stasis_reads_like_the_captured_one() {
    for style in STYLES {
        let (sim, mut ami) = start(style).await;
        let _events = Events::connect(&sim, "demo").await;
        let originate = "Action: Originate\r\nActionID: 9\r\nChannel: Local/610@lab/n\r\nApplication: Stasis\r\nData: demo,from-ami\r\nChannelId: ami-o1\r\n\
                         CallerID: \"Op\" <100>\r\nVariable: A=1,B=2\r\nAsync: true\r\n";
        assert_eq!(ami.action(originate).await.get("Message"), "Originate successfully queued");
        let mut newexten = 0;
        let events = ami
            .events_until(|event| {
                newexten += usize::from(event.event() == "Newexten");
                newexten == 2 && event.event() == "OriginateResponse"
            })
            .await;
        let theirs = captured_events(style, "originate.ami");
        let count = |events: &[Packet], name: &str| events.iter().filter(|event| event.event() == name).count();
        for name in [
            "Newchannel",
            "NewCallerid",
            "NewConnectedLine",
            "LocalBridge",
            "DialBegin",
            "Newstate",
            "DialEnd",
            "OriginateResponse",
        ] {
            assert_eq!(count(&events, name), count(&theirs, name), "{style:?} {name}");
        }
        for (event, shape) in shapes(&events) {
            if let Some(known) = shapes(&theirs).get(&event) {
                assert!(shape.is_subset(known), "{style:?} {event}\nours   {shape:?}\ntheirs {known:?}");
            }
        }
    }
}

/// Keys in the order they are written, at every depth.
fn keys_in_order(text: &str) -> Vec<&str> {
    let pieces: Vec<&str> = text.split('"').collect();
    (1..pieces.len())
        .step_by(2)
        .filter(|at| pieces.get(at + 1).is_some_and(|next| next.starts_with(':')))
        .map(|at| pieces[at])
        .collect()
}

/// For each channel, bridge and playback, the messages about it; the call's own id becomes `call`.
fn by_subject(lines: &[String], call: &str) -> BTreeMap<String, Vec<String>> {
    let mut subjects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = message["type"].as_str().unwrap();
        if ["ChannelVarset", "ChannelDtmfReceived", "ChannelTalkingStarted", "ChannelTalkingFinished"].contains(&kind) {
            continue;
        }
        let subject = ["channel", "peer", "playback", "bridge"]
            .iter()
            .find_map(|key| message[*key]["id"].as_str())
            .unwrap();
        let subject = if subject == call { "call" } else { subject };
        subjects.entry(subject.to_owned()).or_default().push(kind.to_owned());
    }
    subjects
}

fn key_orders(lines: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut orders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        orders
            .entry(message["type"].as_str().unwrap().to_owned())
            .or_default()
            .insert(keys_in_order(line).join(","));
    }
    orders
}

fn compare_messages(style: Style, file: &str, ours: &[String], call: &str) {
    let theirs: Vec<String> = capture(style, file).lines().map(str::to_owned).collect();
    let first: serde_json::Value = serde_json::from_str(&theirs[0]).unwrap();
    assert_eq!(
        by_subject(ours, call),
        by_subject(&theirs, first["channel"]["id"].as_str().unwrap()),
        "{style:?} {file}"
    );
    let known = key_orders(&theirs);
    for (kind, orders) in key_orders(ours) {
        if let Some(known) = known.get(&kind) {
            assert!(orders.is_subset(known), "{style:?} {file} {kind}\nours   {orders:?}\ntheirs {known:?}");
        }
    }
}

#[tokio::test]
async fn snoops_and_external_media_are_told_to_the_application_as_captured() {
    for style in STYLES {
        let (sim, _ami) = start(style).await;
        let mut events = Events::connect(&sim, "demo").await;
        let call = sim
            .place_call(alice(Route::Stasis {
                app: None,
                args: vec!["arg1".to_owned(), "55501".to_owned()],
            }))
            .unwrap();
        let id = call.caller_channel;
        assert_eq!(http(&sim, "POST", &format!("channels/{id}/answer"), "").await.0, 204);
        assert_eq!(http(&sim, "POST", &format!("channels/{id}/play/pbs?media=sound:demo-tone"), "").await.0, 201);
        for spy in ["in", "out", "both"] {
            let names = [format!("sn-{spy}"), format!("em-{spy}"), format!("bs-{spy}")];
            tap(&sim, &mut events, &id, [&names[0], &names[1], &names[2]], spy, "127.0.0.1:9").await;
        }
        assert_eq!(
            http(&sim, "POST", &format!("channels/{id}/snoop/sn-w?spy=none&whisper=out&app=demo"), "")
                .await
                .0,
            200
        );
        events.until_type("StasisStart", "sn-w").await;
        events.until(|message| message["type"] == "PlaybackFinished").await;
        assert!(sim.hangup(call.id, Side::Caller));
        for spy in ["in", "out", "both"] {
            assert_eq!(http(&sim, "DELETE", &format!("channels/em-{spy}"), "").await.0, 204);
            assert_eq!(http(&sim, "DELETE", &format!("bridges/bs-{spy}"), "").await.0, 204);
        }
        events
            .until(|message| message["type"] == "BridgeDestroyed" && message["bridge"]["id"] == "bs-both")
            .await;
        compare_messages(style, "snoop.jsonl", &events.seen, &id);
    }
}

#[tokio::test]
async fn a_stasis_call_with_external_media_is_told_as_captured_on_both_interfaces() {
    for style in STYLES {
        let (sim, mut ami) = start(style).await;
        let mut events = Events::connect(&sim, "demo").await;
        let call = sim
            .place_call(alice(Route::Stasis {
                app: None,
                args: vec!["arg1".to_owned(), "55501".to_owned()],
            }))
            .unwrap();
        let id = call.caller_channel;
        assert_eq!(http(&sim, "POST", &format!("channels/{id}/answer"), "").await.0, 204);
        let external = "channels/externalMedia?app=demo&external_host=127.0.0.1:9&format=slin16&channelId=em-s4";
        assert_eq!(http(&sim, "POST", external, "").await.0, 200);
        events.until_type("StasisStart", "em-s4").await;
        assert_eq!(http(&sim, "POST", "bridges?type=mixing&bridgeId=br-s4", "").await.0, 200);
        assert_eq!(http(&sim, "POST", &format!("bridges/br-s4/addChannel?channel={id},em-s4"), "").await.0, 204);
        assert_eq!(http(&sim, "POST", &format!("channels/{id}/play/pb-1?media=tone:ring"), "").await.0, 201);
        assert!(sim.hangup(call.id, Side::Caller));
        assert_eq!(http(&sim, "DELETE", "channels/em-s4", "").await.0, 204);
        assert_eq!(http(&sim, "DELETE", "bridges/br-s4", "").await.0, 204);
        events.until(|message| message["type"] == "BridgeDestroyed").await;
        compare_messages(style, "stasis.jsonl", &events.seen, &id);
        let seen = ami.events_until(|event| event.event() == "BridgeDestroy").await;
        compare(style, "stasis.ami", &seen);
    }
}

#[tokio::test]
async fn calls_that_are_not_answered_end_with_the_cause_of_their_kind() {
    let cases = [
        (Ending::Busy, "BUSY", "17", "BUSY"),
        (Ending::NoAnswer, "NOANSWER", "19", "NO ANSWER"),
        (Ending::Failed, "CONGESTION", "34", "FAILED"),
    ];
    let cases = cases.into_iter().chain([(Ending::Cancelled, "CANCEL", "127", "NO ANSWER")]);
    let (sim, mut ami) = start(Style::Asterisk22).await;
    for (ending, status, cause, disposition) in cases {
        let call = sim.place_call(CallScript::inbound("0301234567", "1002").ending(ending)).unwrap();
        let events = ami
            .events_until(|event| event.event() == "Hangup" && event.get("Uniqueid") == call.caller_channel)
            .await;
        let find = |name: &str| {
            events
                .iter()
                .find(|event| event.event() == name)
                .unwrap_or_else(|| panic!("{name} for {ending:?}"))
        };
        assert_eq!(find("DialEnd").get("DialStatus"), status);
        assert_eq!(events.last().unwrap().get("Cause"), cause, "{ending:?}");
        assert_eq!(find("Cdr").get("Disposition"), disposition);
        assert!(!events.iter().any(|event| event.event() == "BridgeCreate"));
        assert_eq!(sim.stats().channels, 0);
    }
}
