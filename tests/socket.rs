//! Clients of the websockets: events, and live audio.

use crate::api::Api;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

const ANSWER: Duration = Duration::from_secs(10);

async fn connect(api: &Api, path: &str) -> Result<Stream, String> {
    let url = format!("{}{path}", api.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    let bearer = format!("Bearer {}", api.token).parse().map_err(|_| "the token does not fit a header")?;
    request.headers_mut().insert("authorization", bearer);
    let (stream, _) = connect_async(request).await.map_err(|error| format!("{path}: {error}"))?;
    Ok(stream)
}

/// `/ws`: subscriptions, and what they brought so far.
pub struct EventSocket {
    stream: Stream,
    commands: u64,
    pub events: Vec<Value>,
}

impl EventSocket {
    pub async fn connect(api: &Api) -> EventSocket {
        EventSocket {
            stream: connect(api, "/ws").await.expect("the websocket is open"),
            commands: 0,
            events: Vec::new(),
        }
    }

    /// A connection that follows all calls of the caller's tenant.
    pub async fn of_calls(api: &Api) -> EventSocket {
        let mut socket = EventSocket::connect(api).await;
        let topic = format!("tenant:{}:calls", api.tenant().await);
        socket.command(json!({ "subscribe": { "topic": topic } })).await;
        socket
    }

    /// A connection that follows a topic; with a position it goes on behind it, and what was missed is among the events.
    pub async fn of_topic(api: &Api, topic: &str, recover: Option<(u64, u64)>) -> EventSocket {
        let mut socket = EventSocket::connect(api).await;
        socket.subscribe(topic, recover).await;
        socket
    }

    pub async fn subscribe(&mut self, topic: &str, recover: Option<(u64, u64)>) -> Value {
        let mut subscribe = json!({ "topic": topic });
        if let Some((epoch, offset)) = recover {
            subscribe["recover"] = json!({ "epoch": epoch, "offset": offset });
        }
        let answer = self.command(json!({ "subscribe": subscribe })).await;
        let publications = answer["publications"].as_array().cloned().unwrap_or_default();
        self.events.extend(publications);
        answer
    }

    /// Position of the last event that came.
    pub fn position(&self) -> Option<(u64, u64)> {
        let last = self.events.last()?;
        Some((last["epoch"].as_u64()?, last["offset"].as_u64()?))
    }

    /// Sends a command and gives its answer; events that come before it are kept.
    pub async fn command(&mut self, command: Value) -> Value {
        let answer = self.ask(command.clone()).await;
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer
    }

    /// As `command`, also when it is refused.
    pub async fn ask(&mut self, mut command: Value) -> Value {
        self.commands += 1;
        command["id"] = json!(self.commands);
        self.stream.send(Message::text(command.to_string())).await.expect("the command is sent");
        let until = Instant::now() + ANSWER;
        loop {
            let message = self.next(until).await.unwrap_or_else(|why| panic!("no answer to {command}: {why}"));
            if message["id"] == json!(self.commands) && message.get("event").is_none() {
                return message;
            }
        }
    }

    /// The next message; events are also kept.
    async fn next(&mut self, until: Instant) -> Result<Value, String> {
        loop {
            let message = timeout_at(until, self.stream.next()).await.map_err(|_| "the deadline has passed".to_owned())?;
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}")),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the connection is over".into()),
            };
            let value: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
            if value.get("event").is_some() {
                self.events.push(value.clone());
            }
            return Ok(value);
        }
    }

    /// Reads until `wanted` holds for an event, new or already there.
    pub async fn until(&mut self, deadline: Duration, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(found) = self.events.iter().find(|event| wanted(event)) {
            return found.clone();
        }
        let until = Instant::now() + deadline;
        loop {
            match self.next(until).await {
                Ok(message) if message.get("event").is_some() && wanted(&message) => return message,
                Ok(_) => {}
                Err(why) => panic!("{what} did not come ({why}); seen: {:?}", self.names()),
            }
        }
    }

    /// Reads until there are this many events in all.
    pub async fn gather(&mut self, count: usize, deadline: Duration) {
        let until = Instant::now() + deadline;
        while self.events.len() < count {
            let seen = self.events.len();
            self.next(until).await.unwrap_or_else(|why| panic!("only {seen} of {count} events: {why}"));
        }
    }

    /// Reads on until the connection ends: the code of the close frame, or nothing if there was none.
    pub async fn closed(&mut self, deadline: Duration) -> Option<u16> {
        closed(&mut self.stream, deadline).await.map(|(code, _)| code)
    }

    /// Keeps what comes until the connection breaks.
    pub async fn drain(&mut self, deadline: Duration) {
        let until = Instant::now() + deadline;
        while self.next(until).await.is_ok() {}
    }

    pub fn names(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| event["event"].as_str()).collect()
    }

    /// The names of one call's events, in the order they came.
    pub fn names_of(&self, call: &str) -> Vec<&str> {
        let of_call = self.events.iter().filter(|event| event["call_id"] == call);
        of_call.filter_map(|event| event["event"].as_str()).collect()
    }

    /// Asserts that nothing is missing, doubled or out of order: positions rise, each event names the one before it, and each
    /// call counts its own without a hole.
    pub fn assert_whole(&self) {
        let position = |event: &Value| (event["epoch"].as_u64().expect("an epoch"), event["offset"].as_u64().expect("an offset"));
        for pair in self.events.windows(2) {
            assert!(position(&pair[0]) < position(&pair[1]), "not in order: {} then {}", pair[0], pair[1]);
            let before = (pair[1]["prev"]["epoch"].as_u64(), pair[1]["prev"]["offset"].as_u64());
            let last = position(&pair[0]);
            assert_eq!(before, (Some(last.0), Some(last.1)), "{} does not follow {}", pair[1], pair[0]);
        }
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &self.events {
            let (Some(call), Some(seq)) = (event["call_id"].as_str(), event["seq"].as_u64()) else {
                continue;
            };
            if let Some(before) = counts.insert(call, seq) {
                assert_eq!(seq, before + 1, "a hole in call {call} before {event}");
            }
        }
    }
}

/// Code and reason of the close frame.
async fn closed(stream: &mut Stream, deadline: Duration) -> Option<(u16, String)> {
    let until = Instant::now() + deadline;
    loop {
        match timeout_at(until, stream.next()).await.expect("the connection is closed in time") {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| (frame.code.into(), frame.reason.to_string())),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

/// `/ws/audio/stream/{call}`: what each track brought, placed by media time.
pub struct AudioSocket {
    stream: Stream,
    tracks: Vec<Track>,
}

#[derive(Debug, Default)]
pub struct Track {
    pub name: String,
    /// In Hz.
    pub rate: u32,
    /// From the first frame that came; silence where nothing was sent or a packet was lost.
    pub samples: Vec<i16>,
    /// Samples of pieces marked as lost packets.
    pub lost: u64,
    pub pieces: Vec<Piece>,
    first: Option<u64>,
}

/// The header of a frame as it came.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub sequence: u32,
    pub media_time: u64,
    pub samples: u64,
    pub flags: u8,
}

const HEADER: usize = 24;
const GAP: u8 = 1;

impl AudioSocket {
    /// Asks until the audio can be had: a tap may still be in the making.
    pub async fn open(api: &Api, call: &str) -> AudioSocket {
        let path = format!("/ws/audio/stream/{call}");
        crate::eventually(Duration::from_secs(30), "the audio can be had", || AudioSocket::announced_at(api, &path)).await
    }

    /// Asks once, whatever comes: for what is to be refused.
    pub async fn ask(api: &Api, call: &str) -> AudioSocket {
        let path = format!("/ws/audio/stream/{call}");
        AudioSocket {
            stream: connect(api, &path).await.expect("the handshake"),
            tracks: Vec::new(),
        }
    }

    async fn announced_at(api: &Api, path: &str) -> Result<AudioSocket, String> {
        let mut socket = AudioSocket {
            stream: connect(api, path).await?,
            tracks: Vec::new(),
        };
        match socket.stream.next().await {
            Some(Ok(Message::Text(text))) => socket.announced(&text),
            other => return Err(format!("{other:?}")),
        }
        Ok(socket)
    }

    /// Reads on until the connection ends: code and reason of the close frame.
    pub async fn closed(&mut self, deadline: Duration) -> Option<(u16, String)> {
        closed(&mut self.stream, deadline).await
    }

    /// Says goodbye as a client does.
    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        let _ = closed(&mut self.stream, ANSWER).await;
    }

    /// Listens until each of these tracks has brought `ms` milliseconds.
    pub async fn listen(&mut self, tracks: &[&str], ms: u64, deadline: Duration) {
        let until = Instant::now() + deadline;
        while !tracks.iter().all(|name| self.has(name, ms)) {
            let message = timeout_at(until, self.stream.next())
                .await
                .unwrap_or_else(|_| panic!("too little audio: {}", self.progress()));
            match message {
                Some(Ok(Message::Text(text))) => self.announced(&text),
                Some(Ok(Message::Binary(bytes))) => self.frame(&bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the audio ended: {other:?}; {}", self.progress()),
            }
        }
    }

    fn has(&self, name: &str, ms: u64) -> bool {
        let found = self.tracks.iter().find(|track| track.name == name);
        found.is_some_and(|track| track.samples.len() as u64 * 1000 >= ms * u64::from(track.rate))
    }

    fn progress(&self) -> String {
        let each = self.tracks.iter().map(|track| format!("{}: {} samples", track.name, track.samples.len()));
        each.collect::<Vec<_>>().join(", ")
    }

    fn announced(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        for track in message["audio"]["tracks"].as_array().into_iter().flatten() {
            let index = track["index"].as_u64().expect("an index") as usize;
            if self.tracks.len() <= index {
                self.tracks.resize_with(index + 1, Track::default);
            }
            assert_eq!(track["encoding"], "pcm16le");
            track["track"].as_str().expect("a name").clone_into(&mut self.tracks[index].name);
            self.tracks[index].rate = track["sample_rate"].as_u64().expect("a rate") as u32;
        }
    }

    fn frame(&mut self, bytes: &[u8]) {
        assert!(
            bytes.len() >= HEADER && bytes[0] == 1,
            "a frame of this version: {:?}",
            &bytes[..bytes.len().min(HEADER)]
        );
        let track = self.tracks.get_mut(usize::from(bytes[1])).expect("an announced track");
        let flags = bytes[2];
        let media_time = u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes"));
        let length = u32::from_le_bytes(bytes[20..24].try_into().expect("four bytes")) as usize;
        track.pieces.push(Piece {
            sequence: u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")),
            media_time,
            samples: length as u64,
            flags,
        });
        let first = *track.first.get_or_insert(media_time);
        let at = usize::try_from(media_time.saturating_sub(first)).expect("it fits");
        let end = at + length;
        assert!(end < 100 * track.rate as usize, "media time jumps: {media_time} after {first}");
        if track.samples.len() < end {
            track.samples.resize(end, 0);
        }
        if flags & GAP != 0 {
            track.lost += length as u64;
        }
        for (n, pair) in bytes[HEADER..].chunks_exact(2).take(length).enumerate() {
            track.samples[at + n] = i16::from_le_bytes([pair[0], pair[1]]);
        }
    }

    pub fn track(&self, name: &str) -> &Track {
        self.tracks
            .iter()
            .find(|track| track.name == name)
            .unwrap_or_else(|| panic!("no track {name}: {}", self.progress()))
    }
}
