//! Bad input: a bounded answer, never a panic, never a connection held for ever.

use crate::support::{Rig, answer};
use aimg_edge::EdgeConfig;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ADMIN: &str = "tenant_admin@alpha.org";
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes back until the server closes.
async fn raw(rig: &Rig, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn quick() -> EdgeConfig {
    EdgeConfig {
        header_read_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(500),
        ..EdgeConfig::default()
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_in_words() {
    let rig = Rig::start().await;
    for body in ["{", "[]", "\"x\"", "{\"email\": \"a\", }", "\u{0}", "nul"] {
        let request = rig
            .by(ADMIN, Method::POST, "/api/v1/users")
            .await
            .header("content-type", "application/json")
            .body(body);
        let (status, problem) = answer(request).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid")), "{body}");
    }
    let deep = "[".repeat(100_000);
    let request = rig
        .by(ADMIN, Method::POST, "/api/v1/users")
        .await
        .header("content-type", "application/json")
        .body(deep);
    assert_eq!(answer(request).await.0, 400);
    let form = rig
        .by(ADMIN, Method::POST, "/api/v1/users")
        .await
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(answer(form).await.0, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whatever_it_declares() {
    let rig = Rig::with(EdgeConfig {
        max_body_bytes: 1000,
        ..quick()
    })
    .await;
    let declared = json!({"email": "x".repeat(2000)});
    let (status, problem) = rig.post(ADMIN, "/api/v1/users", declared).await;
    assert_eq!((status, problem["code"].as_str()), (413, Some("too_large")));
    let token = rig.token(ADMIN).await;
    let head = format!("POST /api/v1/users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
    let answer = raw(&rig, format!("{head}{}", chunk.repeat(4)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn headers_that_are_too_large_or_too_slow_end_the_connection() {
    let rig = Rig::with(quick()).await;
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "x".repeat(100_000));
    assert!(raw(&rig, huge.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert!(
        raw(&rig, format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    raw(&rig, b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    raw(&rig, b"").await;
    raw(&rig, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
}

#[tokio::test]
async fn a_client_that_stops_in_its_body_is_let_go() {
    let rig = Rig::with(quick()).await;
    let token = rig.token(ADMIN).await;
    let head = format!("POST /api/v1/users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 100\r\n\r\n{{");
    raw(&rig, head.as_bytes()).await;
    assert_eq!(answer(rig.request(Method::GET, "/healthz")).await.0, 200);
}

#[tokio::test]
async fn beyond_the_limit_of_connections_one_is_told_and_a_place_comes_free_again() {
    let rig = Rig::with(EdgeConfig {
        max_connections: 2,
        ..EdgeConfig::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    assert!(raw(&rig, b"").await.starts_with("HTTP/1.1 503"));
    drop(held);
    let again = async {
        loop {
            let text = raw(&rig, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            if text.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn odd_paths_and_queries_are_answered() {
    let rig = Rig::start().await;
    for (path, status) in [
        ("/api/v1/call-sessions/%00%ff", 404),
        ("/api/v1/call-sessions/..%2f..%2fetc", 404),
        ("///", 404),
        ("/api/v1/users?%ff=%ff", 400),
        ("/api/v1/users?page=-1", 400),
        ("/api/v1/users?page_size=201", 400),
        ("/api/v1/users?page=99999999999999999999", 400),
        ("/api/v1/users?&&&", 200),
    ] {
        let line = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            rig.token(ADMIN).await
        );
        let answer = raw(&rig, line.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}
