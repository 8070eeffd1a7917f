//! What kind of thing a channel is, told from its name and id.

use aimg_pbx::fact::{Channel, Fact};
use aimg_pbx::object::ObjectId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// A phone, a trunk, a bot: somebody takes part through it.
    Party,
    /// Half of a Local pair: it ties legs together and is never a party.
    Local,
    /// A snoop, external media, or what an application of Asterisk made for itself: not of the call at all.
    Tool,
    /// Another tenant's: only that it exists is known.
    Far,
}

/// Technologies that listen, play or record, and never carry a person.
const TOOLS: [&str; 6] = ["Snoop/", "UnicastRTP/", "Recorder/", "Announcer/", "CBAnn/", "CBRec/"];

impl ChannelKind {
    pub fn of(uniqueid: &str, name: &str) -> ChannelKind {
        if ObjectId::is_ours(uniqueid) || TOOLS.iter().any(|tool| name.starts_with(tool)) {
            ChannelKind::Tool
        } else {
            ChannelKind::of_name(name)
        }
    }

    /// As `of`, for a channel that we asked the PBX to make as a party.
    pub fn of_name(name: &str) -> ChannelKind {
        if name.is_empty() {
            ChannelKind::Far
        } else if name.starts_with("Local/") {
            ChannelKind::Local
        } else if TOOLS.iter().any(|tool| name.starts_with(tool)) {
            ChannelKind::Tool
        } else {
            ChannelKind::Party
        }
    }
}

/// `PJSIP/1001` of `PJSIP/1001-0000000e`; the name itself where it ends in no number of that kind.
pub fn endpoint_of(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((endpoint, number)) if !endpoint.is_empty() && !number.is_empty() => endpoint,
        _ => name,
    }
}

/// The channel as another tenant may know it: that it is there and in which state.
pub fn masked(channel: &Channel) -> Channel {
    Channel {
        uniqueid: channel.uniqueid.clone(),
        linkedid: channel.linkedid.clone(),
        state: channel.state,
        ..Channel::default()
    }
}

/// Every channel that a fact describes.
pub fn channels_of(fact: &Fact) -> Vec<&Channel> {
    match fact {
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
        | Fact::Rtcp { channel, .. } => vec![channel],
        Fact::DialBegin { from, to, .. } | Fact::DialEnd { from, to, .. } => from.iter().chain([to]).collect(),
        Fact::BlindTransferred {
            transferer, transferee: other, ..
        }
        | Fact::AttendedTransferred { transferer, target: other } => [transferer].into_iter().chain(other).collect(),
        Fact::Unparked { channel, retriever } => vec![channel, retriever],
        Fact::LocalOptimized { one, two } => vec![one, two],
        Fact::ChannelRenamed { .. } | Fact::Muted { .. } | Fact::Cdr { .. } | Fact::Stasis { .. } => Vec::new(),
    }
}

/// The fact with every channel masked that `shown` does not allow; `None` if it allows none.
pub fn mask_fact(fact: &Fact, shown: impl Fn(&str) -> bool) -> Option<Fact> {
    let ids = fact.uniqueids();
    if ids.iter().all(|id| shown(id)) {
        return Some(fact.clone());
    }
    if !ids.iter().any(|id| shown(id)) {
        return None;
    }
    let mask = |channel: &Channel| if shown(&channel.uniqueid) { channel.clone() } else { masked(channel) };
    Some(match fact {
        Fact::DialBegin { from, to, .. } => Fact::DialBegin {
            from: from.as_ref().map(mask),
            to: mask(to),
            dial_string: None,
        },
        Fact::DialEnd { from, to, status } => Fact::DialEnd {
            from: from.as_ref().map(mask),
            to: mask(to),
            status: *status,
        },
        Fact::BlindTransferred {
            transferer,
            transferee,
            exten,
            context,
        } => Fact::BlindTransferred {
            transferer: mask(transferer),
            transferee: transferee.as_ref().map(mask),
            exten: exten.clone(),
            context: context.clone(),
        },
        Fact::AttendedTransferred { transferer, target } => Fact::AttendedTransferred {
            transferer: mask(transferer),
            target: target.as_ref().map(mask),
        },
        Fact::Unparked { channel, retriever } => Fact::Unparked {
            channel: mask(channel),
            retriever: mask(retriever),
        },
        Fact::LocalOptimized { one, two } => Fact::LocalOptimized {
            one: mask(one),
            two: mask(two),
        },
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_from_id_and_name() {
        for (id, name, kind) in [
            ("t22-1795381608.1", "PJSIP/1001-00000001", ChannelKind::Party),
            ("t22-1795381608.2", "Local/610@lab-00000044;1", ChannelKind::Local),
            ("x", "Snoop/t22-1795381608.1-00000000", ChannelKind::Tool),
            ("x", "UnicastRTP/127.0.0.1:41904-0x7f3f040058e0", ChannelKind::Tool),
            ("aimgx.c.p.1.0.tap", "PJSIP/1001-00000001", ChannelKind::Tool),
            ("x", "", ChannelKind::Far),
        ] {
            assert_eq!(ChannelKind::of(id, name), kind, "{id} {name}");
        }
    }

    #[test]
    fn an_endpoint_is_the_name_without_its_number() {
        assert_eq!(endpoint_of("PJSIP/trunk-berlin-0000000e"), "PJSIP/trunk-berlin");
        assert_eq!(endpoint_of("DAHDI/1"), "DAHDI/1");
    }
}
