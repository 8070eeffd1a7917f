//! Who hears whom, and so what each external channel sends.

use super::Switch;
use super::channel::{Channel, Kind, Spy, State};
use crate::audio::voice::Feed;
use crate::rtp::MediaCommand;
use crate::script::Side;

/// An echo comes back a fifth of a second late.
const ECHO_DELAY_SAMPLES: u64 = 3200;

impl Switch {
    /// What this channel's party says, if it can be heard.
    fn says(&self, channel: &Channel) -> Option<Feed> {
        let (call, side) = channel.party()?;
        let audible = channel.state == State::Up && !channel.silent && !channel.muted_in && !channel.held;
        let voices = self.calls.get(&call)?.voices;
        audible.then(|| Feed {
            voice: voices[usize::from(side == Side::Callee)],
            delay: 0,
        })
    }

    /// What this channel's party hears.
    fn hears(&self, channel: &Channel) -> Vec<Feed> {
        if channel.muted_out || channel.state != State::Up {
            return Vec::new();
        }
        if let Some(bridge) = channel.bridge.as_ref().and_then(|id| self.bridges.get(id)) {
            let others = bridge
                .members
                .iter()
                .filter(|member| **member != channel.id)
                .filter_map(|member| self.channels.get(member));
            return others.filter_map(|other| self.says(other)).collect();
        }
        match (channel.app.as_str(), channel.party()) {
            ("Echo", _) => self
                .says(channel)
                .map(|feed| Feed {
                    delay: ECHO_DELAY_SAMPLES,
                    ..feed
                })
                .into_iter()
                .collect(),
            // Prompts are spoken in the callee's voice: it is the callee here.
            ("BackGround" | "WaitExten", Some((call, _))) => self
                .calls
                .get(&call)
                .map(|call| Feed {
                    voice: call.voices[1],
                    delay: 0,
                })
                .into_iter()
                .collect(),
            _ if self.playbacks.values().any(|playback| playback.channel == channel.id) => channel
                .party()
                .and_then(|(call, _)| self.calls.get(&call))
                .map(|call| Feed {
                    voice: call.voices[1],
                    delay: 0,
                })
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What a member gives to its bridge.
    fn gives(&self, member: &Channel) -> Vec<Feed> {
        let Kind::Snoop { of, spy } = &member.kind else {
            return self.says(member).into_iter().collect();
        };
        let Some(spied) = self.channels.get(of) else { return Vec::new() };
        let mut feeds = Vec::new();
        if matches!(spy, Spy::In | Spy::Both) {
            feeds.extend(self.says(spied));
        }
        if matches!(spy, Spy::Out | Spy::Both) {
            feeds.extend(self.hears(spied));
        }
        feeds
    }

    /// Something about this channel changed: so may what is sent of it, of its peers, and of those that spy on either.
    pub(crate) fn touch(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id) else { return };
        let mut bridges: Vec<String> = channel.bridge.iter().cloned().collect();
        let members = channel
            .bridge
            .as_ref()
            .and_then(|bridge| self.bridges.get(bridge))
            .map(|bridge| bridge.members.clone())
            .unwrap_or_default();
        for member in members.iter().map(String::as_str).chain(std::iter::once(id)) {
            let snoops = self.channels.get(member).map(|channel| channel.snoops.as_slice()).unwrap_or_default();
            bridges.extend(snoops.iter().filter_map(|snoop| self.channels.get(snoop)?.bridge.clone()));
        }
        for bridge in bridges {
            self.refeed(&bridge);
        }
    }

    pub(crate) fn touch_bridge(&mut self, id: &str) {
        let members = self.bridges.get(id).map(|bridge| bridge.members.clone()).unwrap_or_default();
        for member in members {
            self.touch(&member);
        }
    }

    fn refeed(&mut self, bridge: &str) {
        let Some(found) = self.bridges.get(bridge) else { return };
        let members: Vec<&Channel> = found.members.iter().filter_map(|member| self.channels.get(member)).collect();
        let mut commands = Vec::new();
        for external in members.iter().filter(|member| matches!(member.kind, Kind::External { .. })) {
            let feeds = members
                .iter()
                .filter(|other| other.id != external.id)
                .flat_map(|other| self.gives(other))
                .collect();
            commands.push(MediaCommand::Feed {
                id: external.id.clone(),
                feeds,
                at: self.now,
            });
        }
        self.media.extend(commands);
    }

    /// It left every bridge: it has nothing to send.
    pub(crate) fn starve(&mut self, id: &str) {
        self.media.push(MediaCommand::Feed {
            id: id.to_owned(),
            feeds: Vec::new(),
            at: self.now,
        });
    }
}
