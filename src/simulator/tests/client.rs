//! A plain AMI, ARI and RTP client: no parser of the gateway's, so that neither hides the other's mistakes.

use aimg_simulator::SimHandle;
use futures_util::StreamExt as _;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Nothing in these tests takes longer, unless it is broken.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen in time"))
}

/// Polls until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A message: headers in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet(pub Vec<(String, String)>);

impl Packet {
    pub fn parse(text: &str) -> Self {
        let headers = text
            .split("\r\n")
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")));
        Self(headers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn event(&self) -> &str {
        self.get("Event")
    }

    pub fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).collect()
    }
}

pub struct Ami {
    stream: TcpStream,
    buffer: Vec<u8>,
    events: VecDeque<Packet>,
    pub banner: String,
}

impl Ami {
    pub async fn connect(sim: &SimHandle) -> Self {
        let stream = TcpStream::connect(sim.ami_addr).await.unwrap();
        let mut ami = Self {
            stream,
            buffer: Vec::new(),
            events: VecDeque::new(),
            banner: String::new(),
        };
        ami.banner = within("the banner", ami.until_mark("\r\n")).await.unwrap();
        ami
    }

    pub async fn login(sim: &SimHandle) -> Self {
        let mut ami = Self::connect(sim).await;
        let response = ami.action("Action: Login\r\nUsername: ami\r\nSecret: amipass\r\nActionID: 1\r\n").await;
        assert_eq!(response.get("Response"), "Success");
        ami
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn until_mark(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let text = self.buffer.drain(..at + mark.len()).collect::<Vec<u8>>();
                return Some(String::from_utf8(text).unwrap());
            }
            let mut chunk = [0u8; 16384];
            match self.stream.read(&mut chunk).await {
                Ok(read) if read > 0 => self.buffer.extend(&chunk[..read]),
                _ => return None,
            }
        }
    }

    /// The next packet of any kind; `None` at the end of the line.
    pub async fn packet(&mut self) -> Option<Packet> {
        within("a packet", self.until_mark("\r\n\r\n")).await.map(|text| Packet::parse(&text))
    }

    /// Sends an action and reads its response; events meanwhile are kept.
    pub async fn action(&mut self, action: &str) -> Packet {
        self.send(&format!("{action}\r\n")).await;
        loop {
            let packet = self.packet().await.expect("a response");
            if packet.event().is_empty() {
                return packet;
            }
            self.events.push_back(packet);
        }
    }

    pub async fn event(&mut self) -> Packet {
        match self.events.pop_front() {
            Some(event) => event,
            None => self.packet().await.expect("an event"),
        }
    }

    /// Events up to and with the first that `last` accepts.
    pub async fn events_until(&mut self, mut last: impl FnMut(&Packet) -> bool) -> Vec<Packet> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let found = last(&event);
            events.push(event);
            if found {
                return events;
            }
        }
    }
}

/// One HTTP exchange: status and body.
pub async fn http(sim: &SimHandle, method: &str, path: &str, body: &str) -> (u16, Value) {
    http_as(sim, "ari:aripass", method, path, body).await
}

pub async fn http_as(sim: &SimHandle, user: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(user);
    let mut stream = TcpStream::connect(sim.ari_addr).await.unwrap();
    let request = format!(
        "{method} /ari/{path} HTTP/1.1\r\nHost: sim\r\nAuthorization: Basic {basic}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    within("a reply", stream.read_to_string(&mut text)).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

pub struct Events {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Raw, so that the order of keys can be looked at.
    pub seen: Vec<String>,
}

impl Events {
    pub async fn connect(sim: &SimHandle, app: &str) -> Self {
        let (socket, _) = connect_async(format!("ws://{}/ari/events?app={app}&api_key=ari:aripass", sim.ari_addr))
            .await
            .unwrap();
        let app = app.to_owned();
        let before = sim.stats().apps_connected;
        // The upgrade is answered before the application is registered.
        within("the registration", async {
            loop {
                if http(sim, "GET", &format!("applications/{app}"), "").await.0 == 200 || sim.stats().apps_connected > before {
                    return;
                }
            }
        })
        .await;
        Self { socket, seen: Vec::new() }
    }

    /// The next message; `None` when the socket closed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match within("a message", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    self.seen.push(text.to_string());
                    return Some(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    }

    pub async fn until(&mut self, mut last: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await.expect("an open socket");
            if last(&message) {
                return message;
            }
        }
    }

    pub async fn until_type(&mut self, kind: &str, channel: &str) -> Value {
        self.until(|message| message["type"] == kind && message["channel"]["id"] == channel).await
    }
}
