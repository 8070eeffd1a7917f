//! Making channels and bridges, and moving channels between them.

use super::bridge::Bridge;
use super::channel::{Channel, Kind, State};
use super::{Switch, Timer};
use crate::script::Party;
use std::collections::BTreeMap;
use std::time::Duration;

/// RTCP goes out every five seconds.
pub(super) const RTCP_EVERY: Duration = Duration::from_secs(5);

/// What differs between new channels.
pub(crate) struct Making {
    pub(crate) id: Option<String>,
    pub(crate) linkedid: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) caller: Party,
    pub(crate) context: String,
    pub(crate) exten: String,
}

impl Switch {
    /// As Asterisk checks it: an id is taken when any channel's id begins with it.
    pub(crate) fn id_taken(&self, id: &str) -> bool {
        self.channels.range(id.to_owned()..).next().is_some_and(|(found, _)| found.starts_with(id)) || self.names.contains_key(id)
    }

    /// Of the two halves of a channel to be made.
    pub(crate) fn ids_clash(&self, id: Option<&str>, other: Option<&str>) -> bool {
        let derived = id.map(|id| format!("{id};2"));
        [id, other].into_iter().flatten().any(|id| self.id_taken(id)) || other.is_some_and(|other| id == Some(other) || derived.as_deref() == Some(other))
    }

    pub(crate) fn uniqueid(&mut self) -> String {
        loop {
            let serial = self.fresh();
            let id = format!("{}-{}.{serial}", self.config.system_name, self.now.epoch_secs());
            // A request may have chosen an id of this form.
            if !self.channels.contains_key(&id) {
                return id;
            }
        }
    }

    pub(crate) fn pjsip_name(&mut self, endpoint: &str) -> String {
        self.pjsip_serial += 1;
        format!("PJSIP/{endpoint}-{:08x}", self.pjsip_serial - 1)
    }

    pub(crate) fn local_name(&mut self, target: &str) -> String {
        self.local_serial += 1;
        format!("Local/{target}-{:08x}", self.local_serial - 1)
    }

    pub(crate) fn snoop_name(&mut self, of: &str) -> String {
        self.snoop_serial += 1;
        format!("Snoop/{of}-{:08x}", self.snoop_serial - 1)
    }

    pub(crate) fn full(&self) -> bool {
        self.channels.len() >= self.config.channels_max
    }

    pub(crate) fn make(&mut self, making: Making) -> String {
        let id = making.id.unwrap_or_else(|| self.uniqueid());
        let born = self.fresh_birth();
        let channel = Channel {
            linkedid: making.linkedid.unwrap_or_else(|| id.clone()),
            name: making.name,
            state: making.state,
            answered: (making.state == State::Up).then_some(self.now),
            caller: making.caller,
            connected: Party::new("", ""),
            account: String::new(),
            context: making.context,
            exten: making.exten,
            priority: 1,
            app: String::new(),
            app_data: String::new(),
            created: self.now,
            kind: making.kind,
            bridge: None,
            stasis: None,
            stasis_next: None,
            watchers: Vec::new(),
            made_by_ari: false,
            vars: BTreeMap::new(),
            cause: 16,
            tech_cause: None,
            protocol_id: String::new(),
            cdr: true,
            cdr_peer: String::new(),
            muted_in: false,
            muted_out: false,
            held: false,
            silent: false,
            snoops: Vec::new(),
            rtp_port: 20_000 + u16::try_from(self.rng.below(5_000)).unwrap_or(0) * 2,
            born,
            id: id.clone(),
        };
        self.names.insert(channel.name.clone(), id.clone());
        self.channels.insert(id.clone(), channel);
        id
    }

    fn fresh_birth(&mut self) -> u64 {
        self.timer_serial += 1;
        self.timer_serial
    }

    pub(crate) fn make_bridge(&mut self, id: String, name: String, kind: &'static str, watchers: Vec<String>) {
        let stasis = kind == "stasis";
        let bridge = Bridge {
            id: id.clone(),
            name,
            kind,
            technology: "simple_bridge",
            creator: if stasis { "Stasis" } else { "" },
            video_mode: if stasis { "talker" } else { "none" },
            members: Vec::new(),
            created: self.now,
            watchers,
        };
        self.bridges.insert(id.clone(), bridge);
        self.say_bridge("BridgeCreate", &id);
    }

    /// Into a bridge, out of any other first.
    pub(crate) fn enter(&mut self, bridge: &str, id: &str) {
        self.leave(id);
        let Some(found) = self.bridges.get_mut(bridge) else { return };
        let Some(channel) = self.channels.get_mut(id) else { return };
        found.members.push(id.to_owned());
        for watcher in &channel.watchers {
            if !found.watchers.contains(watcher) {
                found.watchers.push(watcher.clone());
            }
        }
        channel.bridge = Some(bridge.to_owned());
        let first = found.members.first().cloned().unwrap_or_default();
        self.join_linkedid(&first, id);
        self.say_membership("BridgeEnter", "ChannelEnteredBridge", bridge, id);
        self.name_peers(bridge);
        self.touch(id);
    }

    /// Whoever joins takes the linkedid of whom it meets.
    fn join_linkedid(&mut self, first: &str, joining: &str) {
        let Some(linkedid) = self.channels.get(first).map(|channel| channel.linkedid.clone()) else {
            return;
        };
        if let Some(channel) = self.channels.get_mut(joining) {
            channel.linkedid = linkedid;
        }
    }

    /// BRIDGEPEER on both sides of a bridge of two.
    fn name_peers(&mut self, bridge: &str) {
        let Some([first, second]) = self.bridges.get(bridge).and_then(|found| <[String; 2]>::try_from(found.members.clone()).ok()) else {
            return;
        };
        let name = |switch: &Switch, id: &str| switch.channels.get(id).map(|channel| channel.name.clone()).unwrap_or_default();
        let (first_name, second_name) = (name(self, &first), name(self, &second));
        self.varset(&first, "BRIDGEPEER", &second_name);
        self.varset(&second, "BRIDGEPEER", &first_name);
        self.update_connected(&first, &second);
    }

    /// A channel of ours that meets a real party learns its number.
    fn update_connected(&mut self, first: &str, second: &str) {
        let Some(party) = self
            .channels
            .get(first)
            .filter(|channel| channel.party().is_some())
            .map(|channel| channel.caller.clone())
        else {
            return;
        };
        if let Some(channel) = self.channels.get_mut(second)
            && matches!(channel.kind, Kind::External { .. })
        {
            channel.connected = party;
            self.new_connected(second);
        }
    }

    /// Out of its bridge, if it is in one.
    pub(crate) fn leave(&mut self, id: &str) {
        let Some(bridge) = self.channels.get_mut(id).and_then(|channel| channel.bridge.take()) else {
            return;
        };
        self.touch_bridge(&bridge);
        if let Some(found) = self.bridges.get_mut(&bridge) {
            found.members.retain(|member| member != id);
        }
        self.varset(id, "BRIDGEPEER", "");
        self.say_membership("BridgeLeave", "ChannelLeftBridge", &bridge, id);
        self.touch_bridge(&bridge);
        self.touch(id);
        if self.channels.get(id).is_some_and(|channel| matches!(channel.kind, Kind::External { .. })) {
            self.starve(id);
        }
    }

    pub(crate) fn destroy_bridge(&mut self, id: &str) {
        let members = self.bridges.get(id).map(|bridge| bridge.members.clone()).unwrap_or_default();
        for member in members {
            self.leave(&member);
        }
        self.say_bridge("BridgeDestroy", id);
        if let Some(bridge) = self.bridges.remove(id) {
            let message = self.message(super::json::Json::object(), "BridgeDestroyed").object_at("bridge", bridge.json());
            self.tell(&bridge.watchers, &message);
        }
    }

    pub(crate) fn start_rtcp(&mut self, id: &str) {
        let Some(born) = self.channels.get(id).map(|channel| channel.born) else {
            return;
        };
        self.after(RTCP_EVERY, Timer::Rtcp { channel: id.to_owned(), born });
    }
}
