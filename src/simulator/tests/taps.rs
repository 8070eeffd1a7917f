//! Audio: what a tap hears is what was said.

use crate::client::{Ami, DEADLINE, Events, http, until};
use aimg_simulator::{CallScript, CallView, Impairment, Side, SimConfig, SimHandle, Simulator, Style, TrackId};
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// Twenty seconds: more than any call here lives before it is listened to.
const REFERENCE_SAMPLES: usize = 16_000 * 20;
const FRAME: usize = 320;

struct Tap {
    socket: UdpSocket,
    from: SocketAddr,
}

struct Rtp {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Tap {
    async fn place(sim: &SimHandle, events: &mut Events, of: &str, spy: &str, format: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let host = socket.local_addr().unwrap();
        assert_eq!(http(sim, "POST", &format!("channels/{of}/snoop/sn-{spy}?spy={spy}&app=taps"), "").await.0, 200);
        events.until_type("StasisStart", &format!("sn-{spy}")).await;
        let (status, made) = http(
            sim,
            "POST",
            &format!("channels/externalMedia?app=taps&external_host={host}&format={format}&channelId=em-{spy}"),
            "",
        )
        .await;
        assert_eq!(status, 200);
        events.until_type("StasisStart", &format!("em-{spy}")).await;
        http(sim, "POST", &format!("bridges/br-{spy}?type=mixing"), "").await;
        assert_eq!(
            http(sim, "POST", &format!("bridges/br-{spy}/addChannel?channel=sn-{spy},em-{spy}"), "").await.0,
            204
        );
        let vars = &made["channelvars"];
        let from = format!(
            "{}:{}",
            vars["UNICASTRTP_LOCAL_ADDRESS"].as_str().unwrap(),
            vars["UNICASTRTP_LOCAL_PORT"].as_str().unwrap()
        );
        Self {
            socket,
            from: from.parse().unwrap(),
        }
    }

    async fn packet(&self) -> Rtp {
        let mut buffer = [0u8; 2048];
        let (length, from) = tokio::time::timeout(DEADLINE, self.socket.recv_from(&mut buffer)).await.expect("RTP").unwrap();
        assert_eq!(from, self.from, "RTP must come from the announced port");
        Rtp {
            marker: buffer[1] & 0x80 != 0,
            payload_type: buffer[1] & 0x7f,
            sequence: u16::from_be_bytes([buffer[2], buffer[3]]),
            timestamp: u32::from_be_bytes(buffer[4..8].try_into().unwrap()),
            payload: buffer[12..length].to_vec(),
        }
    }

    async fn packets(&self, count: usize) -> Vec<Rtp> {
        let mut packets = Vec::with_capacity(count);
        while packets.len() < count {
            packets.push(self.packet().await);
        }
        packets
    }
}

async fn answered_call(sim: &SimHandle, script: CallScript) -> CallView {
    let call = sim.place_call(script).unwrap();
    until("the answer", || sim.call(call.id).unwrap().answered_at.is_some()).await;
    sim.call(call.id).unwrap()
}

fn slin16(packets: &[Rtp]) -> Vec<i16> {
    packets
        .iter()
        .flat_map(|packet| packet.payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])))
        .collect()
}

/// Where in the reference the heard samples are, to the sample.
fn place_in(reference: &[i16], heard: &[i16]) -> Option<usize> {
    (0..reference.len().saturating_sub(heard.len()))
        .step_by(FRAME)
        .find(|at| reference[*at..*at + heard.len()] == *heard)
}

#[tokio::test]
async fn a_snoop_hears_its_party_the_other_or_both_exactly_as_they_spoke() {
    let sim = Simulator::start(SimConfig::scripted(Style::Asterisk22)).await.unwrap();
    let mut events = Events::connect(&sim, "taps").await;
    let call = answered_call(&sim, CallScript::inbound("0301234567", "1001")).await;
    for (spy, track) in [("in", TrackId::Caller), ("out", TrackId::Callee), ("both", TrackId::Mixed)] {
        let tap = Tap::place(&sim, &mut events, &call.caller_channel, spy, "slin16").await;
        let packets = tap.packets(25).await;
        assert!(packets.iter().all(|packet| packet.payload_type == 118 && packet.payload.len() == 640));
        assert!(packets[0].marker && !packets[1].marker);
        for pair in packets.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(320));
        }
        let reference = sim.reference(call.id, track, 0, REFERENCE_SAMPLES).unwrap();
        assert!(place_in(&reference, &slin16(&packets)).is_some(), "{spy}");
        for other in [TrackId::Caller, TrackId::Callee, TrackId::Mixed].into_iter().filter(|other| *other != track) {
            let reference = sim.reference(call.id, other, 0, REFERENCE_SAMPLES).unwrap();
            assert_eq!(place_in(&reference, &slin16(&packets)), None, "{spy} is not {other:?}");
        }
    }
    assert!(sim.hangup(call.id, Side::Caller));
    // Snoops end with the call; external channels and bridges are their maker's to delete.
    until("the end of the snoops", || sim.stats().channels == 3).await;
    assert_eq!(sim.stats().bridges, 3);
    assert!(sim.reference(call.id, TrackId::Caller, 0, 10).is_some(), "the voices are remembered");
}

#[tokio::test]
async fn the_other_leg_and_every_format_carry_the_same_speech() {
    let sim = Simulator::start(SimConfig::scripted(Style::Asterisk16)).await.unwrap();
    let mut events = Events::connect(&sim, "taps").await;
    let call = answered_call(&sim, CallScript::internal("1001", "1002")).await;
    let callee = call.callee_channel.clone().unwrap();
    for (spy, format, payload_type, bytes) in [("in", "g722", 9, 160), ("both", "alaw", 8, 160), ("out", "slin", 0, 160)] {
        let tap = Tap::place(&sim, &mut events, &callee, spy, format).await;
        let packets = tap.packets(3).await;
        assert!(
            packets
                .iter()
                .all(|packet| packet.payload_type == payload_type && packet.payload.len() == bytes),
            "{format}"
        );
        assert_eq!(packets[1].timestamp, packets[0].timestamp.wrapping_add(160));
    }
    let listed = sim.streams();
    assert_eq!(listed.len(), 3);
}

#[tokio::test]
async fn a_silent_party_sends_nothing_and_returns_with_a_marker_and_no_sequence_gap() {
    let sim = Simulator::start(SimConfig::scripted(Style::Asterisk22)).await.unwrap();
    let mut events = Events::connect(&sim, "taps").await;
    let call = answered_call(&sim, CallScript::inbound("0301234567", "1001").silent(Side::Caller)).await;
    let tap = Tap::place(&sim, &mut events, &call.caller_channel, "in", "ulaw").await;
    assert!(sim.set_silent(call.id, Side::Caller, false));
    let first = tap.packet().await;
    assert!(first.marker);
    sim.set_silent(call.id, Side::Caller, true);
    sim.set_silent(call.id, Side::Caller, false);
    let packets = tap.packets(5).await;
    assert_eq!(packets.last().unwrap().sequence, first.sequence.wrapping_add(5));
}

#[tokio::test]
async fn impairments_lose_and_swap_packets() {
    let impairment = Impairment {
        loss: 0.3,
        reorder: 0.2,
        jitter_ms_max: 10,
        one_way: 0.0,
    };
    let sim = Simulator::start(SimConfig {
        impairment,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let mut events = Events::connect(&sim, "taps").await;
    let call = answered_call(&sim, CallScript::inbound("0301234567", "1001")).await;
    let tap = Tap::place(&sim, &mut events, &call.caller_channel, "in", "ulaw").await;
    let sequences: Vec<u16> = tap.packets(80).await.iter().map(|packet| packet.sequence).collect();
    assert!(sequences.windows(2).any(|pair| pair[1].wrapping_sub(pair[0]) as i16 > 1), "nothing was lost");
    assert!(
        sequences.windows(2).any(|pair| (pair[1].wrapping_sub(pair[0]) as i16) < 0),
        "nothing was swapped"
    );
}

#[tokio::test]
async fn a_tap_with_cdr_prop_leaves_no_row_and_one_without_leaves_its_own() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (mut events, mut ami) = (Events::connect(&sim, "taps").await, Ami::login(&sim).await);
    for (disable, rows) in [(true, 1), (false, 3)] {
        let call = answered_call(&sim, CallScript::inbound("0301234567", "1001")).await;
        let _tap = Tap::place(&sim, &mut events, &call.caller_channel, "in", "ulaw").await;
        if disable {
            for channel in ["sn-in", "em-in"] {
                assert_eq!(
                    http(&sim, "POST", &format!("channels/{channel}/variable?variable=CDR_PROP(disable)&value=1"), "")
                        .await
                        .0,
                    204
                );
            }
        }
        sim.hangup(call.id, Side::Caller);
        assert_eq!(http(&sim, "DELETE", "channels/em-in", "").await.0, 204);
        assert_eq!(http(&sim, "DELETE", "bridges/br-in", "").await.0, 204);
        let seen = ami
            .events_until(|event| event.event() == "BridgeDestroy" && event.get("BridgeUniqueid") == "br-in")
            .await;
        assert_eq!(seen.iter().filter(|event| event.event() == "Cdr").count(), rows);
    }
}
