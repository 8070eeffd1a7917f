//! Real captures through the decoder and the translation: everything that must become a fact does, and nothing
//! that can arrive makes them panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aimg_domain::Timestamp;
use aimg_pbx::ami::{Decoder, Frame, Message, fact};
use aimg_pbx::ari::AriEvent;
use aimg_pbx::ari::event::What;
use aimg_pbx::fact::{Changed, ChannelState, DialStatus, Fact, Told};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const NOW: Timestamp = Timestamp(42);

fn captures() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for version in ["t16", "t22"] {
        for entry in fs::read_dir(root.join(version)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "ami") {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10);
    found
}

fn capture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut decoder = Decoder::new();
    decoder.receive(bytes);
    std::iter::from_fn(|| decoder.next_frame())
        .filter_map(|frame| match frame {
            Frame::Message(message) => Some(message),
            Frame::Banner(_) => None,
        })
        .collect()
}

fn told(name: &str) -> Vec<Told> {
    messages(&capture(name)).iter().filter_map(|message| fact::told(message, NOW)).collect()
}

/// Whether every event of this name must become a fact.
fn is_followed(message: &Message) -> bool {
    let event = message.event().unwrap_or_default();
    // A report may come when its channel is gone already.
    let report = || message.get("ReportCount").is_some_and(|count| count != "0") && message.get("Uniqueid").is_some();
    match event {
        "RTCPSent" | "RTCPReceived" => report(),
        "DTMFEnd" => message.get("Direction") == Some("Received"),
        _ => [
            "Newchannel",
            "Newstate",
            "NewCallerid",
            "NewConnectedLine",
            "Newexten",
            "NewAccountCode",
            "DialBegin",
            "DialEnd",
            "BridgeEnter",
            "BridgeLeave",
            "Hold",
            "Unhold",
            "HangupRequest",
            "Hangup",
            "BlindTransfer",
            "AttendedTransfer",
            "ParkedCall",
            "UnParkedCall",
            "QueueCallerJoin",
            "QueueCallerLeave",
            "AgentConnect",
            "LocalOptimizationEnd",
            "Cdr",
        ]
        .contains(&event),
    }
}

#[test]
fn every_followed_event_of_both_versions_becomes_a_fact_at_asterisks_own_time() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for (path, bytes) in captures() {
        for message in messages(&bytes) {
            let event = message.event().unwrap_or_default();
            let told = fact::told(&message, NOW);
            assert_eq!(told.is_some(), is_followed(&message), "{}: {message:?}", path.display());
            if let Some(told) = told {
                *seen.entry(event.to_owned()).or_default() += 1;
                assert!(told.at > Timestamp(1_790_000_000_000), "{event} at {}", told.at);
                assert!(told.fact.uniqueids().iter().all(|id| !id.is_empty()), "{event}");
                for text in format!("{:?}", told.fact).split('"') {
                    assert!(text != "<unknown>" && text != "<null>", "{told:?}");
                }
            }
        }
    }
    assert_eq!(seen.len(), 26, "every kind is in the captures: {seen:?}");
}

#[test]
fn a_channels_life_is_told_in_order() {
    let facts = told("t22/s15_hold.ami");
    let first = facts.first().unwrap();
    let Fact::NewChannel(channel) = &first.fact else { panic!("{first:?}") };
    assert_eq!((channel.state, channel.caller_number.as_deref()), (ChannelState::Ring, Some("55501")));
    assert_eq!(channel.uniqueid, channel.linkedid);
    let holds = facts.iter().filter(|told| matches!(told.fact, Fact::Held { .. })).count();
    assert_eq!(holds, 1);
    let of_caller = |told: &&Told| told.fact.uniqueids().first() == Some(&channel.uniqueid.as_str());
    let ended = facts
        .iter()
        .filter(of_caller)
        .filter(|told| matches!(told.fact, Fact::HungUp { cause: 16, .. }))
        .count();
    assert_eq!(ended, 1);
    assert!(
        facts
            .iter()
            .any(|told| matches!(&told.fact, Fact::DialEnd { from: Some(from), status: DialStatus::Answer, .. } if from.uniqueid == channel.uniqueid))
    );
}

#[test]
fn transfers_parking_and_queues_name_who_is_moved() {
    for version in ["t16", "t22"] {
        let park = told(&format!("{version}/s15_park.ami"));
        let parked = park.iter().find_map(|told| match &told.fact {
            Fact::Parked { channel, parker, space } => Some((channel.uniqueid.clone(), parker.clone(), space.clone())),
            _ => None,
        });
        let (parked, parker, space) = parked.unwrap();
        assert_eq!((parker.as_deref(), space.as_deref()), (Some("PJSIP/trunk"), Some("7801")));
        assert!(
            park.iter()
                .any(|told| matches!(&told.fact, Fact::Unparked { channel, retriever } if channel.uniqueid == parked && retriever.uniqueid != parked))
        );

        let attended = told(&format!("{version}/s15_ami_atxfer.ami"));
        let target = attended.iter().find_map(|told| match &told.fact {
            Fact::AttendedTransferred { target, .. } => Some(target.is_some()),
            _ => None,
        });
        assert_eq!(target, Some(version == "t22"), "only 22 names the target");

        let queue = told(&format!("{version}/s4_queue.ami"));
        assert!(
            queue
                .iter()
                .any(|told| matches!(&told.fact, Fact::QueueAnswered { queue, agent: Some(agent), .. } if queue == "support" && agent == "Agent Local"))
        );
    }
    let blind = told("t22/s15_ami_blind.ami");
    assert!(
        blind
            .iter()
            .any(|told| matches!(&told.fact, Fact::BlindTransferred { exten, context, transferee: Some(_), .. } if exten == "610" && context == "lab"))
    );
    assert!(
        told("t22/s15_local_opt.ami")
            .iter()
            .any(|told| matches!(&told.fact, Fact::LocalOptimized { one, two } if one.uniqueid != two.uniqueid))
    );
}

#[test]
fn rtcp_and_account_codes_are_read() {
    let facts = told("t22/s5_phone.ami");
    let reports: Vec<_> = facts
        .iter()
        .filter_map(|told| if let Fact::Rtcp { report, .. } = &told.fact { Some(report) } else { None })
        .collect();
    assert!(reports.iter().any(|report| report.sent) && reports.iter().any(|report| !report.sent));
    assert!(reports.iter().any(|report| report.jitter > 0));
    let account = facts
        .iter()
        .any(|told| matches!(&told.fact, Fact::ChannelChanged { channel, what: Changed::Account } if channel.accountcode.as_deref() == Some("t22")));
    assert!(account);
}

#[test]
fn what_the_captures_lack_is_read_too() {
    let channel = [("Channel", "PJSIP/1-1"), ("ChannelState", "6"), ("Uniqueid", "u.1"), ("Linkedid", "u.1")];
    let of = |event: &'static str, more: &[(&'static str, &'static str)]| {
        let headers: Vec<_> = [("Event", event)].iter().chain(&channel).chain(more).copied().collect();
        fact::told(&Message::from_headers(headers), NOW).map(|told| told.fact)
    };
    assert_eq!(
        of("Rename", &[("Newname", "PJSIP/2-2")]),
        Some(Fact::ChannelRenamed {
            uniqueid: "u.1".into(),
            name: "PJSIP/2-2".into()
        })
    );
    assert!(matches!(
        of("QueueCallerAbandon", &[("Queue", "q"), ("HoldTime", "12")]),
        Some(Fact::QueueAbandoned { waited_s: 12, .. })
    ));
    assert_eq!(
        of("ConfbridgeMute", &[]),
        Some(Fact::Muted {
            uniqueid: "u.1".into(),
            on: true
        })
    );
    assert_eq!(
        of("ConfbridgeUnmute", &[]),
        Some(Fact::Muted {
            uniqueid: "u.1".into(),
            on: false
        })
    );
    assert!(matches!(of("HangupRequest", &[]), Some(Fact::HangupRequested { cause: None, .. })));
    assert_eq!(of("DTMFEnd", &[("Digit", "1"), ("Direction", "Sent")]), None);
    assert_eq!(of("BlindTransfer", &[("Result", "Fail")]), None);
    assert_eq!(of("VarSet", &[]), None);
}

#[test]
fn a_list_of_channels_becomes_a_snapshot() {
    for version in ["t16", "t22"] {
        let rows: Vec<_> = messages(&capture(&format!("{version}/s4_originate.ami")))
            .iter()
            .filter(|message| message.event() == Some("CoreShowChannel"))
            .filter_map(fact::channel_snapshot)
            .collect();
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter()
                .all(|row| row.application.as_deref() == Some("Wait") && row.bridge.is_none() && row.channel.linkedid == "ami-o1")
        );
    }
    let row = Message::from_headers([("Uniqueid", "u"), ("Duration", "101:02:03"), ("BridgeId", "b")]);
    assert_eq!(
        fact::channel_snapshot(&row).map(|row| (row.duration_s, row.bridge)),
        Some((363_723, Some("b".into())))
    );
}

#[test]
fn ari_events_of_both_versions_are_read() {
    for version in ["t16", "t22"] {
        let text = String::from_utf8(capture(&format!("{version}/events.jsonl"))).unwrap();
        let mut known = 0;
        for line in text.lines() {
            let event = AriEvent::parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(event.timestamp.is_some() || line.contains("RESTResponse"), "{line}");
            known += usize::from(event.what != What::Other);
            let stasis = matches!(event.what, What::StasisStart { .. } | What::StasisEnd { .. });
            assert_eq!(event.told(NOW).is_some(), stasis);
            let typed = |kind: &str| line.contains(&format!("\"type\":\"{kind}\""));
            assert_eq!(typed("StasisStart") || typed("StasisEnd"), stasis, "{line}");
            assert_eq!(typed("ApplicationReplaced"), event.what == What::ApplicationReplaced);
        }
        assert!(known >= 14, "{known}");
    }
    assert_eq!(AriEvent::parse("{}"), None);
    assert_eq!(AriEvent::parse("\u{0}"), None);
    assert_eq!(AriEvent::parse(r#"{"type":"Later","x":{"y":[1]}}"#).map(|event| event.what), Some(What::Other));
}

#[test]
fn no_prefix_of_a_capture_makes_it_panic() {
    for (_, bytes) in captures() {
        let whole = messages(&bytes).len();
        let step = (bytes.len() / 97).max(1);
        for end in (0..bytes.len()).step_by(step) {
            assert!(messages(&bytes[..end]).iter().filter_map(|message| fact::told(message, NOW)).count() <= whole);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_mutation_of_a_capture_makes_it_panic(
        which in 0usize..100,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..40), 1..40),
    ) {
        let captures = captures();
        let mut bytes = captures[which % captures.len()].1.clone();
        for (at, byte, cut) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let end = (at + cut).min(bytes.len());
            if cut % 3 == 0 && end > at + 1 && bytes.len() > 1000 {
                bytes.drain(at + 1..end);
            }
        }
        for message in messages(&bytes) {
            if let Some(told) = fact::told(&message, NOW) {
                prop_assert!(!told.fact.uniqueids().is_empty());
            }
            let _ = fact::channel_snapshot(&message);
        }
    }

    #[test]
    fn no_text_makes_the_ari_reader_panic(text in ".{0,300}") {
        let _ = AriEvent::parse(&text);
    }
}
