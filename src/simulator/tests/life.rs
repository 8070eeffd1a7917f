//! Freezing, crashing, rebooting, and an office at work.

use crate::client::{Ami, Events, http, until, within};
use aimg_simulator::{CallMix, CallScript, SimConfig, Simulator, Style};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_crash_drops_every_socket_and_a_restart_has_forgotten_everything() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (mut ami, mut events) = (Ami::login(&sim).await, Events::connect(&sim, "app").await);
    let call = sim.place_call(CallScript::inbound("0301", "1001")).unwrap();
    sim.crash();
    within("the end of both lines", async {
        while ami.packet().await.is_some() {}
        while events.next().await.is_some() {}
    })
    .await;
    assert!(sim.place_call(CallScript::echo("0301")).is_err());
    sim.restart().await.unwrap();
    let mut ami = Ami::login(&sim).await;
    assert_eq!(ami.event().await.event(), "FullyBooted");
    assert_eq!(sim.call(call.id), None);
    assert_eq!((sim.stats().channels, sim.stats().apps_connected), (0, 0));
    let again = sim.place_call(CallScript::inbound("0301", "1001")).unwrap();
    assert!(again.caller_channel.ends_with(".0"), "numbers start again: {}", again.caller_channel);
}

#[tokio::test]
async fn a_frozen_simulator_keeps_its_sockets_and_says_nothing_until_it_is_thawed() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut ami = Ami::login(&sim).await;
    sim.freeze();
    ami.send("Action: Ping\r\nActionID: frozen\r\n\r\n").await;
    // The kernel still accepts; nobody greets.
    let mut other = TcpStream::connect(sim.ami_addr).await.unwrap();
    let mut byte = [0u8; 1];
    let greeted = tokio::time::timeout(Duration::from_millis(150), other.read(&mut byte)).await;
    assert!(greeted.is_err(), "a frozen process wrote");
    sim.thaw();
    within("the banner", other.read_exact(&mut byte)).await.unwrap();
    let pong = ami.events_until(|packet| packet.get("ActionID") == "frozen").await;
    assert_eq!(pong.last().unwrap().get("Ping"), "Pong");
}

#[tokio::test]
async fn an_office_keeps_its_calls_up_and_every_call_comes_to_its_end() {
    let mut config = SimConfig::busy(30, 42);
    config.ring_mean = Duration::from_millis(40);
    config.talk_mean = Duration::from_millis(400);
    config.mix = CallMix {
        stasis: 0,
        ..CallMix::default()
    };
    let sim = Simulator::start(config).await.unwrap();
    let mut ami = Ami::login(&sim).await;
    let mut dispositions = std::collections::BTreeSet::new();
    ami.events_until(|event| {
        if event.event() == "Cdr" {
            dispositions.insert(event.get("Disposition").to_owned());
        }
        dispositions.len() == 4
    })
    .await;
    until("a hundred ended calls", || sim.stats().calls_ended >= 100).await;
    assert!(sim.stats().calls_up <= 30);
    assert!(sim.stats().channels <= 60);
}

#[tokio::test]
async fn both_styles_speak_their_version_on_both_interfaces() {
    for (style, banner, version) in [(Style::Asterisk16, "5.0.4", "16."), (Style::Asterisk22, "11.0.0", "22.")] {
        let sim = Simulator::start(SimConfig::scripted(style)).await.unwrap();
        assert!(Ami::login(&sim).await.banner.contains(banner));
        let (_, info) = http(&sim, "GET", "asterisk/info", "").await;
        assert!(info["system"]["version"].as_str().unwrap().starts_with(version));
    }
}
