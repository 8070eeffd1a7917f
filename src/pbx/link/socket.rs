//! The event websocket of one Stasis application. Asterisk never pings: we do, and silence is death.

use crate::ari::Endpoint;
use crate::config::Deadlines;
use crate::error::PbxError;
use crate::supply::{self, Stream};
use aimg_domain::pbx::AriAccess;
use aimg_pbx::ari::AriEvent;
use aimg_pbx::ari::answer::refusal_text;
use aimg_pbx::ari::request::events_target;
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// An event is a few kilobytes.
const MESSAGE_MAX: usize = 1024 * 1024;

/// Why a websocket ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketEnd {
    #[error("the PBX closed the event websocket")]
    Closed,
    #[error("event websocket lost: {0}")]
    Lost(String),
    #[error("event websocket silent for {0:?} in spite of a ping")]
    Silent(Duration),
}

pub struct AriSocket {
    stream: WebSocketStream<Box<dyn Stream>>,
    ping_every: Duration,
    ping_within: Duration,
    last_heard: Instant,
    pinged_at: Option<Instant>,
    unread: u64,
}

impl std::fmt::Debug for AriSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AriSocket")
    }
}

impl AriSocket {
    /// Opens it for `app` alone (no `subscribeAll`). The newest connection of an application wins.
    pub async fn connect(access: &AriAccess, app: &str, deadlines: &Deadlines) -> Result<AriSocket, PbxError> {
        let endpoint = Endpoint::new(access)?;
        let tcp = supply::open(&endpoint.host, endpoint.port, endpoint.tls, deadlines.connect).await?;
        let url = format!("ws://{}{}{}", endpoint.authority(), endpoint.path, events_target(app));
        let mut request = url.into_client_request().map_err(|error| PbxError::Invalid(error.to_string()))?;
        request.headers_mut().insert(AUTHORIZATION, endpoint.authorization.clone());
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let handshake = tokio_tungstenite::client_async_with_config(request, tcp, Some(config));
        match timeout(deadlines.login, handshake).await {
            Ok(Ok((stream, _))) => Ok(AriSocket {
                stream,
                ping_every: deadlines.ping_every,
                ping_within: deadlines.ping_within,
                last_heard: Instant::now(),
                pinged_at: None,
                unread: 0,
            }),
            Ok(Err(Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err(PbxError::from_status(response.status().as_u16(), refusal_text(body)))
            }
            Ok(Err(error)) => Err(PbxError::Unreachable(error.to_string())),
            Err(_) => Err(PbxError::Timeout {
                what: "event websocket".into(),
            }),
        }
    }

    /// The next event. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Result<AriEvent, SocketEnd> {
        loop {
            let due = match self.pinged_at {
                Some(at) => at + self.ping_within,
                None => self.last_heard + self.ping_every,
            };
            tokio::select! {
                message = self.stream.next() => {
                    self.last_heard = Instant::now();
                    self.pinged_at = None;
                    match message {
                        Some(Ok(Message::Text(text))) => match AriEvent::parse(&text) {
                            Some(event) => return Ok(event),
                            None => self.unread += 1,
                        },
                        Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) | None => return Err(SocketEnd::Closed),
                        Some(Err(error)) => return Err(SocketEnd::Lost(error.to_string())),
                        Some(Ok(_)) => {}
                    }
                }
                () = sleep_until(due) => self.ping().await?,
            }
        }
    }

    /// Messages that were no event we could read.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Says goodbye; at most 100 ms.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_millis(100), self.stream.close(None)).await;
    }

    async fn ping(&mut self) -> Result<(), SocketEnd> {
        if self.pinged_at.is_some() {
            return Err(SocketEnd::Silent(self.last_heard.elapsed()));
        }
        self.pinged_at = Some(Instant::now());
        match timeout(self.ping_within, self.stream.send(Message::Ping(bytes::Bytes::new()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SocketEnd::Lost(error.to_string())),
            Err(_) => Err(SocketEnd::Silent(self.last_heard.elapsed())),
        }
    }
}
