//! Bad clients: it neither dies of them nor grows.

use crate::client::{Ami, Events, http, until, within};
use aimg_simulator::{CallScript, Ending, SimConfig, Simulator, Style};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn garbage_on_either_port_harms_nobody_else() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let garbage: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for address in [sim.ami_addr, sim.ari_addr] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may hang up on us in the middle, which is its right.
        let _ = stream.write_all(&garbage).await;
        let _ = stream.shutdown().await;
    }
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET /ari/events HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /ari/channels/%ff%00/snoop HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{{{{{",
    ] {
        let mut stream = TcpStream::connect(sim.ari_addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0u8; 12];
        within("an answer", stream.read_exact(&mut answer)).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{request}");
    }
    let mut ami = Ami::login(&sim).await;
    assert_eq!(ami.action("Action: Ping\r\n").await.get("Ping"), "Pong");
    assert_eq!(http(&sim, "GET", "channels", "").await.0, 200);
}

#[tokio::test]
async fn an_overlong_line_is_an_error_and_the_session_goes_on() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let mut ami = Ami::login(&sim).await;
    let long = ami.action(&format!("Action: Setvar\r\nActionID: 5\r\nValue: {}\r\n", "x".repeat(2000))).await;
    assert_eq!(long.get("Message"), "Failed to parse message: line too long");
    let many = ami.action(&format!("Action: Setvar\r\n{}", "Variable: a=b\r\n".repeat(200))).await;
    assert_eq!(many.get("Response"), "Error");
    assert_eq!(ami.action("Action: Ping\r\n").await.get("Ping"), "Pong");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_hung_up_on() {
    let sim = Simulator::start(SimConfig {
        auth_timeout: Duration::from_millis(50),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let mut stream = TcpStream::connect(sim.ami_addr).await.unwrap();
    let mut all = String::new();
    within("the end of the line", stream.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "Asterisk Call Manager/11.0.0\r\n");
}

#[tokio::test]
async fn a_manager_and_a_websocket_that_do_not_read_are_cut_off_while_others_go_on() {
    let sim = Simulator::start(SimConfig {
        outbox_bytes: 20_000,
        ..SimConfig::scripted(Style::Asterisk22)
    })
    .await
    .unwrap();
    let _lazy = Ami::login(&sim).await;
    assert_eq!(sim.stats().managers, 1);
    let call = || sim.place_call(CallScript::inbound("0301", "1001").ending(Ending::Busy).ringing(Duration::ZERO));
    // The kernel's buffers take a few megabytes before the outbox fills.
    until("the cut", || {
        for _ in 0..200 {
            call().unwrap();
        }
        sim.stats().managers == 0
    })
    .await;
    let mut ami = Ami::login(&sim).await;
    assert_eq!(ami.action("Action: Ping\r\n").await.get("Ping"), "Pong");
}

#[tokio::test]
async fn half_open_handshakes_and_vanished_clients_leave_nothing_behind() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(sim.ari_addr).await.unwrap();
        stream
            .write_all(b"GET /ari/events?app=a&api_key=ari:aripass HTTP/1.1\r\nUpgrade: websocket\r\nConn")
            .await
            .unwrap();
        drop(Events::connect(&sim, "gone").await);
        drop(Ami::login(&sim).await);
    }
    until("everybody to be gone", || sim.stats().managers == 0 && sim.stats().apps_connected == 0).await;
    assert_eq!(http(&sim, "GET", "applications", "").await.1.as_array().unwrap().len(), 0);
}
