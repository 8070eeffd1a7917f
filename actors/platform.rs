//! What the edge may ask of the tree. The one implementation is the tree itself (`root`); tests of the edge bring
//! their own.

use aimg_domain::actor::ActorInfo;
use aimg_domain::{CallId, Caller, Fault, TenantId, TrackId, UserId};
use aimg_media_pump::FrameReader;
use aimg_wire::request::{Asked, CallReply, CallRequest, TenantReply, TenantRequest};
use async_trait::async_trait;
use serde::Serialize;
use std::sync::Arc;
use tokio::net::TcpStream;

#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Asks a tenant, wherever it lives. Never takes longer than `asked.remaining_ms`.
    async fn tenant(&self, asked: Asked<TenantRequest>) -> Result<TenantReply, Fault>;

    /// Asks a live call. `NotFound` when no such call is live: ended ones are read from the store.
    async fn call(&self, call: CallId, asked: Asked<CallRequest>) -> Result<CallReply, Fault>;

    /// Hear a live call. A tap is made if there is none yet; it stays as long as the lease is held.
    async fn listen(&self, call: CallId, asked: Asked<ListenPurpose>) -> Result<LiveAudio, Fault>;

    /// Hands over an upgraded websocket: from here on a Connection actor and a lane own it.
    async fn connect(&self, connection: NewConnection) -> Result<(), Fault>;

    /// What a user may do has changed (`None`: nothing any more). Returns when nothing is sent to the user's sockets that
    /// is not allowed now.
    async fn policy_changed(&self, user: UserId, caller: Option<Caller>) -> Result<(), Fault>;

    /// Every actor of this node.
    fn tree(&self) -> Vec<ActorInfo>;

    /// Restart one actor by its public id, `by` in the restart's cause.
    fn restart_actor(&self, id: &str, by: &Caller) -> Result<(), Fault>;

    /// Whether this node can serve, and what is missing.
    fn readiness(&self) -> Readiness;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenPurpose {
    Listen,
}

/// Live audio of a call. Not serialisable: a listener on another node is told where to go.
pub struct LiveAudio {
    pub tracks: Vec<LiveTrack>,
    /// Dropping it gives the tap back.
    pub lease: Arc<dyn Send + Sync>,
}

pub struct LiveTrack {
    pub track: TrackId,
    /// Samples a second.
    pub sample_rate: u32,
    pub reader: FrameReader,
}

/// A socket after its websocket handshake (101 is already sent).
pub struct NewConnection {
    pub stream: TcpStream,
    /// Bytes that hyper had read already.
    pub leftover: bytes::Bytes,
    pub caller: Caller,
    pub peer: std::net::SocketAddr,
    pub purpose: ConnectionPurpose,
    /// When the credential that opened it ends, milliseconds from now.
    pub expires_in_ms: Option<u64>,
    /// A place among the edge's open sockets: held as long as the socket lives, dropping it frees the place.
    pub slot: Option<Arc<dyn Send + Sync>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionPurpose {
    /// `/ws`: one connection, many topics.
    Topics,
    /// `/ws/audio/stream/{call}`: live PCM16 of a call's tracks.
    Audio { call: CallId, tenant: TenantId },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    pub ready: bool,
    /// What is missing, in words.
    pub missing: Vec<String>,
    pub checks: Vec<ReadinessCheck>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessCheck {
    pub name: String,
    pub ok: bool,
    pub detail: String,
}
