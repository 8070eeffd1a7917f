//! What a tap is told, asks for and says.

use crate::calls::session::TapMode;
use aimg_domain::call::LegRole;
use aimg_domain::pbx::TapFormat;
use aimg_domain::{CallId, PbxId, Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A living leg that a tap may sit on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapLeg {
    pub uniqueid: String,
    pub channel: String,
    pub role: LegRole,
    pub up: bool,
    pub since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// Names the installation, see `ObjectId`.
    pub cluster: String,
    pub pbx: PbxId,
    /// Under which this node owns the PBX now: new objects carry it.
    pub epoch: u64,
    pub call: CallId,
    pub format: TapFormat,
    pub mode: TapMode,
}

pub type RequestId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapInput {
    Start {
        legs: Vec<TapLeg>,
    },
    /// The call's living legs changed.
    Legs(Vec<TapLeg>),
    /// Our end of a track: where external media shall send to.
    StreamOpened {
        track: TrackId,
        local: SocketAddr,
    },
    StreamRefused {
        track: TrackId,
        why: String,
    },
    Reply {
        request: RequestId,
        result: Result<TapReply, TapFailure>,
    },
    /// StasisStart of a channel of ours in the tap application.
    Entered {
        channel: String,
    },
    /// StasisEnd, ChannelDestroyed or BridgeDestroyed of an object of ours.
    Gone {
        object: String,
    },
    /// ARI is lost: open requests get no reply any more, nothing can be asked.
    LinkDown,
    /// ARI is back: our objects of this call that exist, channels and bridges.
    Exists {
        objects: Vec<String>,
    },
    /// The call ended, or nobody wants to hear it any more.
    Stop,
    Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapReply {
    Done,
    /// Of external media: from where its packets will come (`UNICASTRTP_LOCAL_ADDRESS`, `UNICASTRTP_LOCAL_PORT`).
    External {
        from: SocketAddr,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapFailure {
    /// 404.
    NotFound,
    /// Any other refusal, in words.
    Refused(String),
    /// No answer: it may have been done or not.
    Lost,
}

/// ARI, in abstract form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapRequest {
    /// `POST /channels/{channel}/snoop`, `snoopId` = id, whisper none.
    CreateSnoop {
        channel: String,
        id: String,
        spy: Spy,
        app: String,
    },
    /// `POST /channels/{channel}/variable`
    SetVariable {
        channel: String,
        name: &'static str,
        value: &'static str,
    },
    /// `POST /channels/externalMedia`, direction both, encapsulation rtp, transport udp; variables in the body.
    ExternalMedia {
        id: String,
        app: String,
        host: SocketAddr,
        format: TapFormat,
        variables: Vec<(&'static str, &'static str)>,
    },
    /// `POST /bridges/{id}`, type mixing.
    CreateBridge {
        id: String,
    },
    /// `POST /bridges/{bridge}/addChannel`
    AddToBridge {
        bridge: String,
        channels: Vec<String>,
    },
    DeleteChannel {
        id: String,
    },
    DeleteBridge {
        id: String,
    },
}

/// Which direction of the tapped channel: `in` is what it says, `out` what it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spy {
    In,
    Out,
    Both,
}

impl Spy {
    pub fn as_str(self) -> &'static str {
        match self {
            Spy::In => "in",
            Spy::Out => "out",
            Spy::Both => "both",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapEffect {
    /// Open our end. `local`: the same address again if at all possible (the PBX still sends there).
    OpenStream {
        track: TrackId,
        format: TapFormat,
        local: Option<SocketAddr>,
    },
    /// Packets of the track come from here from now on; an earlier address is over.
    ExpectFrom {
        track: TrackId,
        from: SocketAddr,
    },
    Request {
        id: RequestId,
        request: TapRequest,
    },
    /// `Tick` is due then. A later one replaces an earlier one.
    WakeAt(Timestamp),
    /// The state is worth storing: `snapshot` changed in what a restart needs.
    Save,
    /// Audio arrives: making `n` is complete. A recorder begins a new segment for a new `n`.
    Flowing {
        n: u32,
        /// It was made before a restart and goes on.
        adopted: bool,
    },
    /// What was flowing is over; another making follows when there is a leg for it.
    Interrupted {
        n: u32,
        why: String,
    },
    /// There is no tap, and none is tried any more until `Start`.
    Refused {
        why: String,
    },
    CloseStreams,
    /// After `Stop`: nothing that was made is left.
    Ended,
}
