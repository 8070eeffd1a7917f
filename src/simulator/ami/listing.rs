//! The answers that list: status, settings, channels, bridges.

use super::event::Event;
use super::execute::Answering;
use crate::config::Style;
use crate::switch::Switch;
use crate::switch::channel::Kind;
use bytes::Bytes;
use std::fmt::Write as _;

impl Switch {
    pub(super) fn core_status(&self, to: &Answering<'_>) {
        let (date, time) = (self.boot.date(), self.boot.time_of_day());
        let (current, processed) = (self.calls.len().to_string(), self.counts.calls_placed.to_string());
        let mut headers = vec![
            ("CoreStartupDate", date.as_str()),
            ("CoreStartupTime", time.as_str()),
            ("CoreReloadDate", date.as_str()),
            ("CoreReloadTime", time.as_str()),
            ("CoreCurrentCalls", current.as_str()),
        ];
        if self.config.style == Style::Asterisk22 {
            headers.push(("CoreProcessedCalls", processed.as_str()));
        }
        to.success(&headers);
    }

    pub(super) fn core_settings(&self, to: &Answering<'_>) {
        let style = self.config.style;
        let mut headers = vec![
            ("AMIversion", style.ami_version()),
            ("AsteriskVersion", style.asterisk_version()),
            ("SystemName", self.config.system_name.as_str()),
            ("CoreMaxCalls", "0"),
            ("CoreMaxLoadAvg", "0.000000"),
            ("CoreRunUser", ""),
            ("CoreRunGroup", ""),
            ("CoreMaxFilehandles", "0"),
            ("CoreRealTimeEnabled", "No"),
            ("CoreCDRenabled", "Yes"),
            ("CoreHTTPenabled", "No"),
        ];
        if style == Style::Asterisk22 {
            headers.push(("SoundsSearchCustomDir", "No"));
        }
        to.success(&headers);
    }

    pub(super) fn core_show_channels(&self, to: &Answering<'_>) {
        let items = self.channels.values().map(|channel| {
            let seconds = self.now.since(channel.created).as_secs();
            Event::new("CoreShowChannel", 0)
                .channel("", channel)
                .put("Application", &channel.app)
                .put("ApplicationData", &channel.app_data)
                .put("Duration", format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60))
                .put("BridgeId", channel.bridge.as_deref().unwrap_or_default())
        });
        list(to, "Channels will follow", items, "CoreShowChannelsComplete");
    }

    pub(super) fn bridge_list(&self, to: &Answering<'_>) {
        let items = self.bridges.values().map(|bridge| Event::new("BridgeListItem", 0).bridge(bridge));
        list(to, "Bridge listing will follow", items, "BridgeListComplete");
    }

    /// One channel or all. The capture's `Privilege: Call` is kept.
    pub(super) fn status(&self, to: &Answering<'_>) {
        let wanted = to.action.text("Channel");
        let one = self.find(wanted);
        if !wanted.is_empty() && one.is_none() {
            return to.error("No such channel");
        }
        let chosen = self.channels.values().filter(|channel| one.as_ref().is_none_or(|id| channel.id == *id));
        let items = chosen.map(|channel| {
            let kind = if matches!(channel.kind, Kind::Local { .. }) {
                "Local"
            } else {
                channel.tech()
            };
            Event::new("Status", 0)
                .put("Privilege", "Call")
                .channel("", channel)
                .put("Type", kind)
                .put("DNID", "")
                .put("EffectiveConnectedLineNum", super::event::or_unknown(&channel.connected.number))
                .put("EffectiveConnectedLineName", super::event::or_unknown(&channel.connected.name))
                .put("TimeToHangup", 0)
                .put("BridgeID", channel.bridge.as_deref().unwrap_or_default())
                .put("Application", &channel.app)
                .put("Data", &channel.app_data)
                .put("Nativeformats", "(ulaw)")
                .put("Readformat", "ulaw")
                .put("Readtrans", "")
                .put("Writeformat", "ulaw")
                .put("Writetrans", "")
                .put("Callgroup", 0)
                .put("Pickupgroup", 0)
                .put("Seconds", self.now.since(channel.created).as_secs())
        });
        list(to, "Channel status will follow", items, "StatusComplete");
    }
}

/// Start, items and end of a list, each with the action's id. Status puts its id last, the others first.
fn list(to: &Answering<'_>, start: &str, items: impl Iterator<Item = Event>, end: &str) {
    to.success(&[("EventList", "start"), ("Message", start)]);
    let id = to
        .action
        .get("ActionID")
        .filter(|id| !id.is_empty())
        .map(|id| format!("ActionID: {id}\r\n"))
        .unwrap_or_default();
    let mut count = 0;
    for item in items {
        let (first, last) = if item.name == "Status" { ("", id.as_str()) } else { (id.as_str(), "") };
        to.outbox.push(Bytes::from(format!("Event: {}\r\n{first}{}{last}\r\n", item.name, item.body)));
        count += 1;
    }
    let mut text = format!("Event: {end}\r\n{id}EventList: Complete\r\nListItems: {count}\r\n");
    if end == "StatusComplete" {
        let _ = write!(text, "Items: {count}\r\n");
    }
    text.push_str("\r\n");
    to.outbox.push(Bytes::from(text));
}
