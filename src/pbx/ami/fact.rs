//! AMI events as facts, from every version we know.

use super::message::Message;
use crate::fact::{Bridge, Changed, Channel, ChannelSnapshot, ChannelState, DialStatus, Fact, RtcpReport, Told};
use aimg_domain::Timestamp;

/// The fact an event tells, at Asterisk's own time or else `now`. `None` for what we do not follow.
pub fn told(message: &Message, now: Timestamp) -> Option<Told> {
    let fact = fact(message)?;
    Some(Told {
        at: timestamp(message).unwrap_or(now),
        fact,
    })
}

/// The `Timestamp` header: seconds since the epoch, with a fraction.
pub fn timestamp(message: &Message) -> Option<Timestamp> {
    let (seconds, fraction) = message.get("Timestamp")?.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let millis: i64 = fraction.get(..3)?.parse().ok()?;
    Some(Timestamp(seconds.checked_mul(1000)?.checked_add(millis)?))
}

fn fact(message: &Message) -> Option<Fact> {
    let of = |prefix| channel(message, prefix);
    let subject = || of("");
    Some(match message.event()? {
        "Newchannel" => Fact::NewChannel(subject()?),
        "Newstate" => changed(message, Changed::State)?,
        "NewCallerid" => changed(message, Changed::CallerId)?,
        "NewConnectedLine" => changed(message, Changed::ConnectedLine)?,
        "Newexten" => changed(message, Changed::Extension)?,
        "NewAccountCode" => changed(message, Changed::Account)?,
        "Rename" => Fact::ChannelRenamed {
            uniqueid: text(message, "Uniqueid")?,
            name: text(message, "Newname")?,
        },
        "DialBegin" => Fact::DialBegin {
            from: subject(),
            to: of("Dest")?,
            dial_string: text(message, "DialString"),
        },
        "DialEnd" => Fact::DialEnd {
            from: subject(),
            to: of("Dest")?,
            status: dial_status(message.get("DialStatus").unwrap_or_default()),
        },
        "BridgeEnter" => Fact::BridgeEntered {
            bridge: bridge(message)?,
            channel: subject()?,
        },
        "BridgeLeave" => Fact::BridgeLeft {
            bridge: bridge(message)?,
            channel: subject()?,
        },
        "Hold" => Fact::Held { channel: subject()? },
        "Unhold" => Fact::Unheld { channel: subject()? },
        "DTMFEnd" => dtmf(message)?,
        // Not `SoftHangupRequest`: that is Asterisk's own doing at every dialplan end, its `Cause` a mask of flags.
        "HangupRequest" => Fact::HangupRequested {
            channel: subject()?,
            cause: number(message, "Cause"),
        },
        "Hangup" => Fact::HungUp {
            channel: subject()?,
            cause: number(message, "Cause").unwrap_or(0),
            cause_text: text(message, "Cause-txt").unwrap_or_default(),
        },
        "RTCPSent" => rtcp(message, true)?,
        "RTCPReceived" => rtcp(message, false)?,
        "Cdr" => Fact::Cdr {
            uniqueid: text(message, "UniqueID")?,
            disposition: text(message, "Disposition").unwrap_or_default(),
            duration_s: number(message, "Duration").unwrap_or(0),
            billsec: number(message, "BillableSeconds").unwrap_or(0),
        },
        _ => return moved(message).or_else(|| queued(message)),
    })
}

/// Transfers, parking and other moves.
fn moved(message: &Message) -> Option<Fact> {
    let of = |prefix| channel(message, prefix);
    let succeeded = || message.get("Result").is_none_or(|result| result.eq_ignore_ascii_case("success"));
    Some(match message.event()? {
        "BlindTransfer" if succeeded() => Fact::BlindTransferred {
            transferer: of("Transferer")?,
            transferee: of("Transferee"),
            exten: text(message, "Extension").unwrap_or_default(),
            context: text(message, "Context").unwrap_or_default(),
        },
        "AttendedTransfer" if succeeded() => Fact::AttendedTransferred {
            transferer: of("OrigTransferer")?,
            target: of("TransferTarget"),
        },
        "ParkedCall" => Fact::Parked {
            channel: of("Parkee")?,
            parker: text(message, "ParkerDialString").or_else(|| text(message, "ParkerChannel")),
            space: text(message, "ParkingSpace"),
        },
        "UnParkedCall" => Fact::Unparked {
            channel: of("Parkee")?,
            retriever: of("Retriever")?,
        },
        // Its `Success` says `No` on both versions though the pair was optimised away.
        "LocalOptimizationEnd" => Fact::LocalOptimized {
            one: of("LocalOne")?,
            two: of("LocalTwo")?,
        },
        "ConfbridgeMute" => Fact::Muted {
            uniqueid: text(message, "Uniqueid")?,
            on: true,
        },
        "ConfbridgeUnmute" => Fact::Muted {
            uniqueid: text(message, "Uniqueid")?,
            on: false,
        },
        _ => return None,
    })
}

fn queued(message: &Message) -> Option<Fact> {
    let event = message.event()?;
    if !event.starts_with("Queue") && event != "AgentConnect" {
        return None;
    }
    let channel = channel(message, "")?;
    let queue = text(message, "Queue")?;
    let waited_s = || number(message, "HoldTime").unwrap_or(0);
    Some(match event {
        "QueueCallerJoin" => Fact::QueueJoined { channel, queue },
        "QueueCallerLeave" => Fact::QueueLeft { channel, queue },
        "QueueCallerAbandon" => Fact::QueueAbandoned {
            channel,
            queue,
            waited_s: waited_s(),
        },
        "AgentConnect" => Fact::QueueAnswered {
            channel,
            queue,
            agent: text(message, "MemberName").or_else(|| text(message, "Interface")),
            waited_s: waited_s(),
        },
        _ => return None,
    })
}

fn changed(message: &Message, what: Changed) -> Option<Fact> {
    let channel = channel(message, "")?;
    Some(Fact::ChannelChanged { channel, what })
}

/// A digit that the party sent; what we or a bridge play to it is not told.
fn dtmf(message: &Message) -> Option<Fact> {
    if message.get("Direction").is_some_and(|direction| !direction.eq_ignore_ascii_case("received")) {
        return None;
    }
    Some(Fact::Dtmf {
        channel: channel(message, "")?,
        digit: message.get("Digit")?.chars().next()?,
        duration_ms: number(message, "DurationMs").unwrap_or(0),
    })
}

/// The first report block; a report without one says nothing of loss or jitter.
fn rtcp(message: &Message, sent: bool) -> Option<Fact> {
    if number::<u32>(message, "ReportCount")? == 0 {
        return None;
    }
    let rtt_s: Option<f64> = number(message, "RTT");
    let report = RtcpReport {
        sent,
        fraction_lost: number(message, "Report0FractionLost").unwrap_or(0),
        cumulative_lost: number::<i64>(message, "Report0CumulativeLost").map_or(0, |lost| u32::try_from(lost.max(0)).unwrap_or(u32::MAX)),
        jitter: number(message, "Report0IAJitter").unwrap_or(0),
        // Zero is Asterisk's way to say that the report allowed none.
        rtt_us: rtt_s.filter(|rtt| *rtt > 0.0 && *rtt < 3600.0).map(|rtt| (rtt * 1e6) as u64),
    };
    let channel = channel(message, "")?;
    Some(Fact::Rtcp { channel, report })
}

/// A row of `CoreShowChannels`.
pub fn channel_snapshot(message: &Message) -> Option<ChannelSnapshot> {
    Some(ChannelSnapshot {
        channel: channel(message, "")?,
        bridge: text(message, "BridgeId"),
        application: text(message, "Application"),
        duration_s: duration_s(message.get("Duration").unwrap_or_default()),
    })
}

/// `HH:MM:SS`, where the hours may have more digits.
fn duration_s(text: &str) -> u64 {
    text.split(':')
        .fold(0u64, |sum, part| sum.saturating_mul(60).saturating_add(part.parse().unwrap_or(0)))
}

/// The channel described by headers under `prefix`; `None` without a uniqueid.
fn channel(message: &Message, prefix: &str) -> Option<Channel> {
    let field = |name| message.get_prefixed(prefix, name).and_then(clean);
    let uniqueid = field("Uniqueid")?;
    Some(Channel {
        linkedid: field("Linkedid").unwrap_or_else(|| uniqueid.clone()),
        uniqueid,
        name: field("Channel").unwrap_or_default(),
        state: state(message.get_prefixed(prefix, "ChannelState").unwrap_or_default()),
        caller_number: field("CallerIDNum"),
        caller_name: field("CallerIDName"),
        connected_number: field("ConnectedLineNum"),
        connected_name: field("ConnectedLineName"),
        accountcode: field("AccountCode"),
        context: field("Context"),
        exten: field("Exten"),
    })
}

fn bridge(message: &Message) -> Option<Bridge> {
    Some(Bridge {
        id: text(message, "BridgeUniqueid")?,
        kind: text(message, "BridgeType").unwrap_or_default(),
        members: number(message, "BridgeNumChannels").unwrap_or(0),
    })
}

fn text(message: &Message, name: &str) -> Option<String> {
    message.get(name).and_then(clean)
}

fn clean(value: &str) -> Option<String> {
    (!matches!(value, "" | "<unknown>" | "<null>" | "(null)")).then(|| value.to_owned())
}

fn number<N: std::str::FromStr>(message: &Message, name: &str) -> Option<N> {
    message.get(name)?.trim().parse().ok()
}

fn state(code: &str) -> ChannelState {
    match code {
        "" | "0" => ChannelState::Down,
        "1" => ChannelState::Reserved,
        "2" => ChannelState::OffHook,
        "3" => ChannelState::Dialing,
        "4" => ChannelState::Ring,
        "5" => ChannelState::Ringing,
        "6" => ChannelState::Up,
        "7" => ChannelState::Busy,
        _ => ChannelState::Other,
    }
}

fn dial_status(status: &str) -> DialStatus {
    match status {
        "ANSWER" => DialStatus::Answer,
        "BUSY" => DialStatus::Busy,
        "NOANSWER" => DialStatus::NoAnswer,
        "CANCEL" => DialStatus::Cancel,
        "CONGESTION" => DialStatus::Congestion,
        "CHANUNAVAIL" => DialStatus::ChanUnavail,
        "DONTCALL" => DialStatus::DontCall,
        "TORTURE" => DialStatus::Torture,
        "INVALIDARGS" => DialStatus::Invalid,
        "CONTINUE" => DialStatus::Continue,
        "GOTO" => DialStatus::Goto,
        "ABORT" => DialStatus::Abort,
        _ => DialStatus::Unknown,
    }
}
