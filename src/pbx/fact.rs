//! What Asterisk tells of channels, in our words: the only thing that the call directory and the call's state
//! machine read. AMI events are translated to facts (`ami::fact`); ARI adds Stasis membership.
//!
//! AMI and ARI have no mutual order. AMI alone creates channels, changes their state and ends them.

use aimg_domain::Timestamp;

/// A channel as an event describes it. Empty texts of Asterisk (and `<unknown>`) are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    pub uniqueid: String,
    pub linkedid: String,
    /// `PJSIP/1001-0000000e`
    pub name: String,
    pub state: ChannelState,
    pub caller_number: Option<String>,
    pub caller_name: Option<String>,
    pub connected_number: Option<String>,
    pub connected_name: Option<String>,
    pub accountcode: Option<String>,
    pub context: Option<String>,
    pub exten: Option<String>,
}

/// Asterisk's `ChannelState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelState {
    #[default]
    Down,
    Reserved,
    OffHook,
    Dialing,
    /// It is calling us (`Ring`).
    Ring,
    /// We are calling it (`Ringing`).
    Ringing,
    Up,
    Busy,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    NewChannel(Channel),
    /// `Newstate`, and what else carries a changed channel without a meaning of its own (`NewCallerid`,
    /// `NewConnectedLine`, `Newexten`, `NewAccountCode`).
    ChannelChanged {
        channel: Channel,
        what: Changed,
    },
    ChannelRenamed {
        uniqueid: String,
        name: String,
    },
    DialBegin {
        from: Option<Channel>,
        to: Channel,
        dial_string: Option<String>,
    },
    DialEnd {
        from: Option<Channel>,
        to: Channel,
        status: DialStatus,
    },
    BridgeEntered {
        bridge: Bridge,
        channel: Channel,
    },
    BridgeLeft {
        bridge: Bridge,
        channel: Channel,
    },
    Held {
        channel: Channel,
    },
    Unheld {
        channel: Channel,
    },
    /// `DTMFEnd` received from the party.
    Dtmf {
        channel: Channel,
        digit: char,
        duration_ms: u32,
    },
    /// Somebody asked for the end; `None` where 22 sends no cause.
    HangupRequested {
        channel: Channel,
        cause: Option<u16>,
    },
    HungUp {
        channel: Channel,
        cause: u16,
        cause_text: String,
    },
    BlindTransferred {
        transferer: Channel,
        transferee: Option<Channel>,
        exten: String,
        context: String,
    },
    AttendedTransferred {
        transferer: Channel,
        target: Option<Channel>,
    },
    Parked {
        channel: Channel,
        parker: Option<String>,
        space: Option<String>,
    },
    Unparked {
        channel: Channel,
        retriever: Channel,
    },
    QueueJoined {
        channel: Channel,
        queue: String,
    },
    QueueLeft {
        channel: Channel,
        queue: String,
    },
    QueueAbandoned {
        channel: Channel,
        queue: String,
        waited_s: u64,
    },
    QueueAnswered {
        channel: Channel,
        queue: String,
        agent: Option<String>,
        waited_s: u64,
    },
    LocalOptimized {
        one: Channel,
        two: Channel,
    },
    Muted {
        uniqueid: String,
        on: bool,
    },
    /// One report of Asterisk's own RTCP. Fractions and milliseconds as reported.
    Rtcp {
        channel: Channel,
        report: RtcpReport,
    },
    /// `Cdr` event of the PBX, kept for comparison only.
    Cdr {
        uniqueid: String,
        disposition: String,
        duration_s: u64,
        billsec: u64,
    },
    /// ARI: the channel is in our stable application (`entered`), or left it.
    Stasis {
        uniqueid: String,
        entered: bool,
        args: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    State,
    CallerId,
    ConnectedLine,
    Extension,
    Account,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialStatus {
    Answer,
    Busy,
    NoAnswer,
    Cancel,
    Congestion,
    ChanUnavail,
    DontCall,
    Torture,
    Invalid,
    Continue,
    Goto,
    Abort,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    pub id: String,
    /// `basic`, `base`, `parking`, `stasis`, …
    pub kind: String,
    pub members: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtcpReport {
    pub sent: bool,
    /// 1/256.
    pub fraction_lost: u8,
    pub cumulative_lost: u32,
    pub jitter: u32,
    /// Microseconds, where the report allows it.
    pub rtt_us: Option<u64>,
}

/// A fact with the time it is true of: Asterisk's own (`Timestamp` header) where given, else ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: Timestamp,
    pub fact: Fact,
}

/// The PBX's truth at one moment (`CoreShowChannels`), for comparison after a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub channels: Vec<ChannelSnapshot>,
    /// uniqueids in our stable Stasis application (ARI); `None` when ARI could not be asked.
    pub in_stasis: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSnapshot {
    pub channel: Channel,
    pub bridge: Option<String>,
    pub application: Option<String>,
    pub duration_s: u64,
}

impl Fact {
    /// uniqueids of every channel the fact speaks of, the subject first.
    pub fn uniqueids(&self) -> smallvec::SmallVec<[&str; 2]> {
        use smallvec::smallvec;
        match self {
            Fact::NewChannel(channel)
            | Fact::ChannelChanged { channel, .. }
            | Fact::BridgeEntered { channel, .. }
            | Fact::BridgeLeft { channel, .. }
            | Fact::Held { channel }
            | Fact::Unheld { channel }
            | Fact::Dtmf { channel, .. }
            | Fact::HangupRequested { channel, .. }
            | Fact::HungUp { channel, .. }
            | Fact::Parked { channel, .. }
            | Fact::QueueJoined { channel, .. }
            | Fact::QueueLeft { channel, .. }
            | Fact::QueueAbandoned { channel, .. }
            | Fact::QueueAnswered { channel, .. }
            | Fact::Rtcp { channel, .. } => smallvec![channel.uniqueid.as_str()],
            Fact::DialBegin { from, to, .. } | Fact::DialEnd { from, to, .. } => match from {
                Some(from) => smallvec![from.uniqueid.as_str(), to.uniqueid.as_str()],
                None => smallvec![to.uniqueid.as_str()],
            },
            Fact::BlindTransferred {
                transferer, transferee: other, ..
            }
            | Fact::AttendedTransferred { transferer, target: other } => match other {
                Some(other) => smallvec![transferer.uniqueid.as_str(), other.uniqueid.as_str()],
                None => smallvec![transferer.uniqueid.as_str()],
            },
            Fact::Unparked { channel, retriever } => smallvec![channel.uniqueid.as_str(), retriever.uniqueid.as_str()],
            Fact::LocalOptimized { one, two } => smallvec![one.uniqueid.as_str(), two.uniqueid.as_str()],
            Fact::ChannelRenamed { uniqueid, .. } | Fact::Muted { uniqueid, .. } | Fact::Cdr { uniqueid, .. } | Fact::Stasis { uniqueid, .. } => {
                smallvec![uniqueid.as_str()]
            }
        }
    }
}
