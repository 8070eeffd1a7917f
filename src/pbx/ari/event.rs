//! Events of our Stasis applications, as 16 and 22 send them. Unknown types and fields are no error.

use super::answer::AriChannel;
use super::time;
use crate::fact::{Fact, Told};
use aimg_domain::Timestamp;
use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AriEvent {
    #[serde(default)]
    pub application: String,
    #[serde(default, deserialize_with = "time::lenient")]
    pub timestamp: Option<Timestamp>,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type")]
pub enum What {
    StasisStart {
        channel: AriChannel,
        #[serde(default)]
        args: Vec<String>,
        /// What it took the place of, where it did.
        #[serde(default)]
        replace_channel: Option<Box<AriChannel>>,
    },
    StasisEnd {
        channel: AriChannel,
    },
    ChannelStateChange {
        channel: AriChannel,
    },
    ChannelDestroyed {
        channel: AriChannel,
        #[serde(default)]
        cause: u16,
        #[serde(default)]
        cause_txt: String,
    },
    ChannelDtmfReceived {
        channel: AriChannel,
        digit: String,
        #[serde(default)]
        duration_ms: u32,
    },
    ChannelHangupRequest {
        channel: AriChannel,
        #[serde(default)]
        cause: Option<u16>,
        #[serde(default)]
        soft: bool,
    },
    ChannelEnteredBridge {
        #[serde(default)]
        channel: Option<AriChannel>,
        bridge: super::answer::AriBridge,
    },
    ChannelLeftBridge {
        channel: AriChannel,
        bridge: super::answer::AriBridge,
    },
    BridgeDestroyed {
        bridge: super::answer::AriBridge,
    },
    ChannelHold {
        channel: AriChannel,
    },
    ChannelUnhold {
        channel: AriChannel,
    },
    PlaybackStarted {
        playback: Playback,
    },
    PlaybackFinished {
        playback: Playback,
    },
    /// Another connection took the application: this one hears no more.
    ApplicationReplaced,
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Playback {
    pub id: String,
    #[serde(default)]
    pub media_uri: String,
    /// `channel:<id>` or `bridge:<id>`
    #[serde(default)]
    pub target_uri: String,
    /// `queued`, `playing`, `continuing`, `done`, `failed`
    #[serde(default)]
    pub state: String,
}

impl AriEvent {
    /// `None` for what is no event at all (not JSON, no `type`, a known type without what it must hold).
    pub fn parse(text: &str) -> Option<AriEvent> {
        serde_json::from_str(text).ok()
    }

    /// The channel the event is about.
    pub fn channel(&self) -> Option<&AriChannel> {
        match &self.what {
            What::StasisStart { channel, .. }
            | What::StasisEnd { channel }
            | What::ChannelStateChange { channel }
            | What::ChannelDestroyed { channel, .. }
            | What::ChannelDtmfReceived { channel, .. }
            | What::ChannelHangupRequest { channel, .. }
            | What::ChannelLeftBridge { channel, .. }
            | What::ChannelHold { channel }
            | What::ChannelUnhold { channel } => Some(channel),
            What::ChannelEnteredBridge { channel, .. } => channel.as_ref(),
            _ => None,
        }
    }

    /// Stasis membership, the one thing about a call that only ARI tells.
    pub fn told(&self, now: Timestamp) -> Option<Told> {
        let (channel, entered, args) = match &self.what {
            What::StasisStart { channel, args, .. } => (channel, true, args.clone()),
            What::StasisEnd { channel } => (channel, false, Vec::new()),
            _ => return None,
        };
        Some(Told {
            at: self.timestamp.unwrap_or(now),
            fact: Fact::Stasis {
                uniqueid: channel.id.clone(),
                entered,
                args,
            },
        })
    }
}
