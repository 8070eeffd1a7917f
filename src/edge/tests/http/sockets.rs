//! Websocket handshakes: by header, subprotocol or ticket; then the bare socket is the tree's.

use crate::support::{PASSWORD, Rig, answer, live};
use aimg_actors::platform::{ConnectionPurpose, NewConnection};
use aimg_edge::EdgeConfig;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const VIEWER: &str = "viewer@alpha.org";
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a handshake and reads the head of the answer.
async fn shake(rig: &Rig, path: &str, headers: &str, after: &[u8]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(&[head.as_bytes(), after].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap();
        let Ok(byte) = byte else { break };
        answer.push(byte);
    }
    (stream, String::from_utf8(answer).unwrap().to_lowercase())
}

async fn taken(rig: &Rig) -> NewConnection {
    let mut connections = rig.connections.lock().await;
    tokio::time::timeout(PATIENCE, connections.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_tree_gets_the_bare_socket_with_caller_and_what_was_read() {
    let rig = Rig::start().await;
    let token = rig.token(VIEWER).await;
    let (mut client, head) = shake(&rig, "/ws", &format!("authorization: Bearer {token}\r\n"), b"early").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "nothing was offered");
    let mut connection = taken(&rig).await;
    assert_eq!((connection.caller.email.as_str(), connection.caller.tenant), (VIEWER, rig.a));
    assert_eq!((connection.purpose, connection.peer), (ConnectionPurpose::Topics, client.local_addr().unwrap()));
    assert_eq!(connection.expires_in_ms, Some(600_000));
    let mut early = connection.leftover.to_vec();
    while early.len() < 5 {
        early.push(connection.stream.read_u8().await.unwrap());
    }
    assert_eq!(early, b"early");
    connection.stream.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    client.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
}

#[tokio::test]
async fn a_subprotocol_carries_the_token_and_is_echoed() {
    let rig = Rig::start().await;
    let token = rig.token(VIEWER).await;
    let offered = format!("sec-websocket-protocol: json, bearer.{token}\r\n");
    let (_client, head) = shake(&rig, "/ws/", &offered, b"").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains(&format!("sec-websocket-protocol: bearer.{}", token.to_lowercase())));
    assert_eq!(taken(&rig).await.caller.email, VIEWER);
}

#[tokio::test]
async fn a_ticket_opens_once_and_not_for_long() {
    let rig = Rig::start().await;
    let buy = || async {
        let (status, bought) = rig.post("super_admin@alpha.org", "/api/v1/auth/ws-ticket?tenant=beta", json!({})).await;
        assert_eq!((status, bought["expires_in"].as_u64()), (200, Some(30)));
        format!("/ws?ticket={}", bought["ticket"].as_str().unwrap())
    };
    let path = buy().await;
    let (_client, head) = shake(&rig, &path, "", b"").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert_eq!(taken(&rig).await.caller.tenant, rig.b);
    assert!(shake(&rig, &path, "", b"").await.1.starts_with("http/1.1 401"));
    let late = buy().await;
    rig.clock.advance(Duration::from_secs(31));
    assert!(shake(&rig, &late, "", b"").await.1.starts_with("http/1.1 401"));
    let on_rest = answer(rig.request(Method::GET, "/api/v1/users?ticket=x")).await;
    assert_eq!(on_rest.0, 401, "tickets are for sockets");
}

#[tokio::test]
async fn audio_is_of_a_call_of_the_tenant() {
    let rig = Rig::start().await;
    let session = live(rig.a, 1);
    rig.platform.live.lock().insert(session.id, session.clone());
    let path = format!("/ws/audio/stream/{}", session.id);
    let bearer = |token: String| format!("authorization: Bearer {token}\r\n");
    let (_client, head) = shake(&rig, &path, &bearer(rig.token(VIEWER).await), b"").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    let expected = ConnectionPurpose::Audio {
        call: session.id,
        tenant: rig.a,
    };
    assert_eq!(taken(&rig).await.purpose, expected);
    let other = bearer(rig.token("viewer@beta.org").await);
    assert!(shake(&rig, &path, &other, b"").await.1.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn a_handshake_without_credential_or_upgrade_is_refused() {
    let rig = Rig::start().await;
    assert!(shake(&rig, "/ws", "", b"").await.1.starts_with("http/1.1 401"));
    assert!(shake(&rig, "/ws", "authorization: Bearer x.y.z\r\n", b"").await.1.starts_with("http/1.1 401"));
    let plain = rig.by(VIEWER, Method::GET, "/ws").await.send().await.unwrap();
    assert_eq!((plain.status().as_u16(), plain.headers()["upgrade"].to_str().unwrap()), (426, "websocket"));
}

#[tokio::test]
async fn sockets_are_counted_by_user_and_freed_when_they_end() {
    let rig = Rig::with(EdgeConfig {
        max_sockets_per_user: 1,
        ..EdgeConfig::default()
    })
    .await;
    let bearer = format!("authorization: Bearer {}\r\n", rig.token(VIEWER).await);
    let (_first, head) = shake(&rig, "/ws", &bearer, b"").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    let held = taken(&rig).await;
    assert!(shake(&rig, "/ws", &bearer, b"").await.1.starts_with("http/1.1 429"));
    let other = format!("authorization: Bearer {}\r\n", rig.token("operator@alpha.org").await);
    assert!(shake(&rig, "/ws", &other, b"").await.1.starts_with("http/1.1 101"));
    drop(held);
    let (_again, head) = shake(&rig, "/ws", &bearer, b"").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
}

#[tokio::test]
async fn a_ticket_ends_with_the_account() {
    let rig = Rig::start().await;
    let signed = rig.sign_in(VIEWER, PASSWORD).await.1;
    let buy = rig
        .request(Method::POST, "/api/v1/auth/ws-ticket")
        .bearer_auth(signed["access"].as_str().unwrap());
    let ticket = answer(buy).await.1["ticket"].as_str().unwrap().to_owned();
    let id = rig.stored_user(VIEWER).await.id;
    assert_eq!(
        rig.post("tenant_admin@alpha.org", &format!("/api/v1/users/{id}/disable"), json!({})).await.0,
        200
    );
    assert!(shake(&rig, &format!("/ws?ticket={ticket}"), "", b"").await.1.starts_with("http/1.1 401"));
}
