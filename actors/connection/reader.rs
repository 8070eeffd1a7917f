//! The read side of a websocket: bytes to commands, as fast as the actor takes them.

use super::actor::ConnectionMessage;
use aimg_actor_kit::Address;
use aimg_domain::Clock;
use aimg_fanout::{LaneSocket, Lanes};
use aimg_wire::close::CloseCode;
use aimg_wire::ws::command::Command;
use aimg_wire::ws::frame::{self, Decoder, Received};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

/// Commands that may wait in the mailbox. With so many the socket is not read on: the client feels it.
const COMMANDS_WAITING: usize = 8;
const READ_BYTES: usize = 8 * 1024;
/// How long a closed client may take to say goodbye itself. Closing before it has would reset the close frame away.
const GOODBYE: Duration = Duration::from_secs(1);

/// Shared by the reader and its actor.
pub struct Reading {
    /// Nanoseconds of the monotonic clock at which anything was read. Any coarser, and a pong that comes within the unit of
    /// its ping counts as silence.
    heard_ns: AtomicU64,
    ended: Notify,
}

impl Reading {
    pub fn new(now: Duration) -> Arc<Reading> {
        let reading = Reading {
            heard_ns: AtomicU64::new(0),
            ended: Notify::new(),
        };
        reading.heard_now(now);
        Arc::new(reading)
    }

    pub fn heard(&self) -> Duration {
        Duration::from_nanos(self.heard_ns.load(Ordering::Relaxed))
    }

    fn heard_now(&self, now: Duration) {
        self.heard_ns.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Nothing more is handed on; what comes is thrown away until the client hangs up.
    pub fn end(&self) {
        self.ended.notify_one();
    }
}

pub struct Reader {
    pub stream: Arc<TcpStream>,
    pub socket: Arc<LaneSocket>,
    pub address: Address<ConnectionMessage>,
    pub clock: Arc<dyn Clock>,
    pub reading: Arc<Reading>,
}

/// Why there is nothing more to read.
enum End {
    Hangup,
    /// The client's own close.
    Goodbye,
    Wrong(CloseCode),
}

impl Reader {
    pub async fn run(self, leftover: Bytes) {
        let (stream, reading) = (self.stream.clone(), self.reading.clone());
        let permits = Arc::new(Semaphore::new(COMMANDS_WAITING));
        let end = tokio::select! {
            end = Box::pin(self.read(leftover, permits)) => end,
            () = reading.ended.notified() => None,
        };
        // The handle is dropped by now: only its actor still holds the socket.
        match end {
            Some(End::Hangup) => {}
            _ => drain(&stream).await,
        }
    }

    /// `None`: the actor is gone.
    async fn read(self, leftover: Bytes, permits: Arc<Semaphore>) -> Option<End> {
        let mut decoder = Decoder::default();
        decoder.feed(&leftover);
        drop(leftover);
        let end = loop {
            match self.take(&mut decoder, &permits).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(end) => break end,
            }
            if self.stream.readable().await.is_err() || !fill(&self.stream, &mut decoder) {
                break End::Hangup;
            }
            self.reading.heard_now(self.clock.monotonic());
        };
        let told = match end {
            End::Hangup => None,
            End::Goodbye => Some(CloseCode::Done),
            End::Wrong(code) => Some(code),
        };
        let told = self.address.cast(ConnectionMessage::ReadEnded(told));
        told.is_ok().then_some(end)
    }

    /// Hands on all that is decoded. False: the actor is gone.
    async fn take(&self, decoder: &mut Decoder, permits: &Arc<Semaphore>) -> Result<bool, End> {
        loop {
            let received = decoder.next().map_err(|violation| End::Wrong(violation.close()))?;
            match received {
                None => return Ok(true),
                Some(Received::Text(text)) => {
                    let Ok(permit) = permits.clone().acquire_owned().await else {
                        return Ok(false);
                    };
                    if self.address.cast(ConnectionMessage::Command(Command::parse(&text), permit)).is_err() {
                        return Ok(false);
                    }
                }
                Some(Received::Ping(payload)) => self.socket.send(frame::pong(&payload)),
                Some(Received::Pong(_)) => {}
                Some(Received::Binary(_)) => return Err(End::Wrong(CloseCode::Protocol)),
                Some(Received::Close { .. }) => return Err(End::Goodbye),
            }
        }
    }
}

/// One read. The buffer lives on the stack only for this: an idle connection has none.
fn fill(stream: &TcpStream, decoder: &mut Decoder) -> bool {
    let mut buffer = [0; READ_BYTES];
    match stream.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(read) => {
            decoder.feed(&buffer[..read]);
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

async fn drain(stream: &TcpStream) {
    let until_hangup = async {
        let mut ignored = Decoder::new(0);
        // A violation, once there, keeps the decoder from storing anything.
        while stream.readable().await.is_ok() && fill(stream, &mut ignored) {
            let _ = ignored.next();
        }
    };
    let _ = tokio::time::timeout(GOODBYE, until_hangup).await;
}

/// Says why it is not let in.
pub fn refuse(lanes: &Lanes, stream: TcpStream, code: CloseCode) {
    let stream = Arc::new(stream);
    let socket = lanes.register(stream.clone(), Arc::new(|_| ()));
    socket.close(code, code.reason());
    tokio::spawn(async move { drain(&stream).await });
}
