//! Sockets on loopback, and a client that reads frames as they are.

use aimg_domain::{Position, TenantId};
use aimg_fanout::{LaneEvent, LaneSocket, Lanes, LanesConfig, Publication};
use aimg_wire::topic::{Source, Topic};
use aimg_wire::ws::frame;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;

pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn lanes(change: impl FnOnce(&mut LanesConfig)) -> Lanes {
    let mut config = LanesConfig::new(tokio::runtime::Handle::current());
    config.lanes = 2;
    change(&mut config);
    Lanes::start(config).unwrap()
}

pub fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

pub fn topic() -> Topic {
    Topic::TenantCalls(tenant())
}

pub fn at(offset: u64) -> Position {
    Position { epoch: 1, offset }
}

pub fn event(offset: u64) -> Publication {
    let name = if offset.is_multiple_of(2) { "even" } else { "odd" };
    Publication {
        topic: topic(),
        source: Source::Tenant(tenant()),
        position: at(offset),
        event: name,
        frame: frame::text(&format!("e:{offset}")),
        data: Arc::new(Value::Null),
    }
}

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Pair {
    pub socket: LaneSocket,
    pub client: Client,
    pub events: UnboundedReceiver<LaneEvent>,
}

pub async fn connect(lanes: &Lanes) -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let (tell, events) = unbounded_channel();
    let socket = lanes.register(Arc::new(server), Arc::new(move |event| drop(tell.send(event))));
    Pair {
        socket,
        client: Client {
            stream: client,
            buffer: Vec::new(),
        },
        events,
    }
}

impl Client {
    /// Opcode and payload; `None` at the end of the stream (or after a reset).
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, begin, end)) = self.whole() {
                let payload = self.buffer[begin..end].to_vec();
                self.buffer.drain(..end);
                return Some((opcode, payload));
            }
            let mut chunk = vec![0; 64 * 1024];
            let read = tokio::time::timeout(DEADLINE, self.stream.read(&mut chunk))
                .await
                .expect("nothing came in time");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
            }
        }
    }

    fn whole(&self) -> Option<(u8, usize, usize)> {
        let [first, short, ..] = *self.buffer.as_slice() else { return None };
        let (length, begin) = match short {
            126 => (usize::from(u16::from_be_bytes(*self.buffer[2..].first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*self.buffer[2..].first_chunk()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        let end = begin + length;
        (self.buffer.len() >= end).then_some((first & 0x0f, begin, end))
    }

    pub async fn text(&mut self) -> String {
        let (opcode, payload) = self.next().await.expect("the stream ended");
        assert_eq!(opcode, 1, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// Texts up to `last`, without it.
    pub async fn until(&mut self, last: &str) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let text = self.text().await;
            if text == last {
                return texts;
            }
            texts.push(text);
        }
    }

    /// The code of the close frame that comes, whatever comes before it.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            let (opcode, payload) = self.next().await.expect("the stream ended without a close frame");
            if opcode == 8 {
                return u16::from_be_bytes(*payload.first_chunk().unwrap());
            }
        }
    }
}
