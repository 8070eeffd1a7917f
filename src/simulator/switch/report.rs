//! What Asterisk reports besides: CDR rows, RTCP, key presses.

use super::channel::{Kind, State};
use super::make::RTCP_EVERY;
use super::{Switch, Timer};
use crate::ami::class::{CDR, REPORTING};
use crate::ami::event::Event;
use crate::config::Style;
use crate::rng::mix;
use crate::script::CallId;
use crate::switch::json::Json;
use std::time::Duration;

const DIGIT_HELD: Duration = Duration::from_millis(140);

impl Switch {
    /// The row of a channel, unless `CDR_PROP(disable)` was set on it.
    pub(super) fn cdr_event(&self, id: &str) -> Option<Event> {
        let channel = self.channels.get(id).filter(|channel| channel.cdr)?;
        let call = channel.party().and_then(|(call, _)| self.calls.get(&call));
        let disposition = call.map_or("ANSWERED", |call| call.disposition);
        let answered = if disposition == "ANSWERED" { channel.answered } else { None };
        // The external channel's own row ends when it entered its bridge; the snoop's goes on in its stead.
        let end = if matches!(channel.kind, Kind::External { .. }) {
            channel.created
        } else {
            self.now
        };
        let (app, data) = match &channel.app {
            app if app == "AppDial2" => (app.as_str(), "(Outgoing Line)"),
            app => (app.as_str(), channel.app_data.as_str()),
        };
        let event = Event::new("Cdr", CDR)
            .put("AccountCode", &channel.account)
            .put("Source", &channel.caller.number)
            .put("Destination", &channel.exten)
            .put("DestinationContext", &channel.context)
            .put("CallerID", format!("\"{}\" <{}>", channel.caller.name, channel.caller.number))
            .put("Channel", &channel.name)
            .put("DestinationChannel", &channel.cdr_peer)
            .put("LastApplication", app)
            .put("LastData", data)
            .put("StartTime", channel.created.cdr())
            .put("AnswerTime", answered.map(|time| time.cdr()).unwrap_or_default())
            .put("EndTime", end.cdr())
            .put("Duration", end.since(channel.created).as_secs())
            .put("BillableSeconds", answered.map_or(0, |time| end.since(time).as_secs()))
            .put("Disposition", disposition)
            .put("AMAFlags", "DOCUMENTATION")
            .put("UniqueID", &channel.id)
            .put("UserField", "");
        Some(event)
    }

    /// RTCP of a leg, as sent and as received, and the next in five seconds.
    pub(super) fn rtcp(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id).filter(|channel| channel.state == State::Up) else {
            return;
        };
        let Some((call, _)) = channel.party() else { return };
        let Some(script) = self.calls.get(&call).map(|found| &found.script) else {
            return;
        };
        let packets = self.now.since(channel.answered.unwrap_or(self.now)).as_millis() as u64 / 20;
        let lost = (packets as f64 * script.rtcp_loss).round() as u64;
        let jitter = (script.rtcp_jitter_ms * 8.0).round() as u64;
        let fraction = (script.rtcp_loss * 256.0).round() as u64;
        let (ours, theirs) = (mix(channel.born) & 0xffff_ffff, mix(channel.born ^ 0x5eed) & 0xffff_ffff);
        let (local, remote) = (u32::from(channel.rtp_port) + 1, 10_001 + (mix(channel.born ^ 1) % 20_000) * 2);
        let rtt = 0.004 + script.rtcp_jitter_ms / 1000.0;
        let mes = if self.config.style == Style::Asterisk22 {
            Some(format!("{:.1}", 88.1 - script.rtcp_loss * 300.0))
        } else {
            None
        };
        let mut reports = Vec::with_capacity(2);
        for sent in [true, false] {
            let mut event = Event::new(if sent { "RTCPSent" } else { "RTCPReceived" }, REPORTING).channel("", channel);
            let (here, there) = (format!("127.0.0.1:{local}"), format!("127.0.0.1:{remote}"));
            event = if sent {
                event.put("To", there).put("From", here)
            } else {
                event.put("To", here).put("From", there).put("RTT", format!("{rtt:.4}"))
            };
            if let Some(mes) = &mes {
                event = event.put("MES", mes);
            }
            let (source, reported) = if sent { (ours, theirs) } else { (theirs, ours) };
            event = event
                .put("SSRC", format!("0x{source:08x}"))
                .put("PT", "200(SR)")
                .put("ReportCount", 1)
                .put("SentNTP", self.now.ami())
                .put("SentRTP", packets * 160)
                .put("SentPackets", packets)
                .put("SentOctets", packets * 160)
                .put("Report0SourceSSRC", format!("0x{reported:08x}"))
                .put("Report0FractionLost", fraction)
                .put("Report0CumulativeLost", lost)
                .put("Report0HighestSequence", packets & 0xffff)
                .put("Report0SequenceNumberCycles", packets >> 16)
                .put("Report0IAJitter", jitter)
                .put("Report0LSR", 0)
                .put("Report0DLSR", "0.0000");
            reports.push(event);
        }
        for event in reports {
            self.emit(event);
        }
        let born = self.channels.get(id).map_or(0, |channel| channel.born);
        self.after(RTCP_EVERY, Timer::Rtcp { channel: id.to_owned(), born });
    }

    pub(super) fn press(&mut self, call: CallId, digit: char) {
        if let Some(id) = self.calls.get(&call).map(|found| found.caller.clone()) {
            self.digit_down(&id, digit, true, DIGIT_HELD);
        }
    }

    /// `received`: pressed by the party of this channel; else played to it.
    pub(crate) fn digit_down(&mut self, id: &str, digit: char, received: bool, held: Duration) {
        let Some(born) = self.channels.get(id).map(|channel| channel.born) else {
            return;
        };
        let text = digit.to_string();
        self.say_channel("DTMFBegin", id, &[("Digit", &text), ("Direction", if received { "Received" } else { "Sent" })]);
        let held_ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        self.after(
            held,
            Timer::DigitUp {
                channel: id.to_owned(),
                born,
                digit,
                received,
                held_ms,
            },
        );
        if let Some(other) = self.hears_digits_of(id).filter(|_| received) {
            self.digit_down(&other, digit, false, held);
        }
    }

    pub(super) fn digit_up(&mut self, id: &str, digit: char, received: bool, held_ms: u64) {
        let (text, held) = (digit.to_string(), held_ms.to_string());
        self.say_channel(
            "DTMFEnd",
            id,
            &[
                ("Digit", &text),
                ("DurationMs", &held),
                ("Direction", if received { "Received" } else { "Sent" }),
            ],
        );
        if received {
            let message = self
                .message(Json::object(), "ChannelDtmfReceived")
                .text("digit", &text)
                .number("duration_ms", held_ms);
            self.tell_channel(id, message);
        }
    }

    /// To whom a pressed key is passed on: the other leg, or the caller itself in an echo.
    fn hears_digits_of(&self, id: &str) -> Option<String> {
        let channel = self.channels.get(id)?;
        if channel.app == "Echo" && channel.bridge.is_none() {
            return Some(id.to_owned());
        }
        let bridge = self.bridges.get(channel.bridge.as_ref()?).filter(|bridge| bridge.kind == "basic")?;
        bridge.members.iter().find(|member| *member != id).cloned()
    }
}
