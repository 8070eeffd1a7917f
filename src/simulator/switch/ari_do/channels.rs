//! `/channels/{id}` and what can be done to one.

use super::super::json::Json;
use super::super::{Playback, Switch, Timer};
use crate::ari::request::{Reply, Request};
use crate::switch::channel::State;
use std::time::Duration;

const PROMPT: Duration = Duration::from_millis(2500);

impl Switch {
    pub(super) fn ari_channels(&mut self, method: &str, rest: &[&str], request: &Request) -> Reply {
        match (method, rest) {
            ("GET", []) => Reply::ok(Json::array(self.channels.values().map(|channel| channel.json()))),
            ("POST", []) => self.ari_originate(None, request),
            ("POST", ["externalMedia"]) => self.ari_external(request),
            ("POST", [id]) => self.ari_originate(Some((*id).to_owned()), request),
            (_, [id, ..]) if !self.channels.contains_key(*id) => Reply::error(404, "Channel not found"),
            ("GET", [id]) => self
                .channels
                .get(*id)
                .map_or_else(Reply::internal, |channel| Reply::ok(channel.json().into_text())),
            ("DELETE", [id]) => {
                self.hang_up(id, 32);
                Reply::done()
            }
            ("GET", [id, "variable"]) => self.ari_get_variable(id, request),
            ("POST", [id, "variable"]) => match request.param("variable") {
                None => Reply::error(400, "Variable name is required"),
                Some(variable) => {
                    self.set_variable(id, variable, request.param("value").unwrap_or_default());
                    Reply::done()
                }
            },
            ("POST", [id, "snoop"]) => self.ari_snoop(id, request.param("snoopId").map(str::to_owned), request),
            ("POST", [id, "snoop", snoop]) => self.ari_snoop(id, Some((*snoop).to_owned()), request),
            ("GET", [_, "rtp_statistics"]) => Reply::error(404, "Statistics not found"),
            (_, [id, ..]) if self.channels.get(*id).is_some_and(|channel| channel.stasis.is_none()) => Reply::error(409, "Channel not in Stasis application"),
            (_, [id, verb @ ..]) => self.in_stasis(method, id, verb, request),
            _ => Reply::error(405, "Invalid method"),
        }
    }

    fn ari_get_variable(&self, id: &str, request: &Request) -> Reply {
        let Some(variable) = request.param("variable") else {
            return Reply::error(400, "Variable name is required");
        };
        match self.channels.get(id).and_then(|channel| channel.vars.get(variable)) {
            Some(value) => Reply::ok(Json::object().text("value", value).into_text()),
            None => Reply::error(404, "Provided variable was not found"),
        }
    }

    /// What only a channel in an application can do.
    fn in_stasis(&mut self, method: &str, id: &str, verb: &[&str], request: &Request) -> Reply {
        match (method, verb) {
            ("POST", ["answer"]) => self.ari_answer(id),
            ("POST", ["ring"]) | ("DELETE", ["ring"]) => Reply::done(),
            ("POST", ["hold"]) => self.ari_hold(id, true),
            ("DELETE", ["hold"]) => self.ari_hold(id, false),
            ("POST", ["mute"]) => self.ari_mute(id, request, true),
            ("DELETE", ["mute"]) => self.ari_mute(id, request, false),
            ("POST", ["dtmf"]) => self.ari_dtmf(id, request),
            ("POST", ["continue"]) => self.ari_continue(id, request),
            ("POST", ["move"]) => self.ari_move(id, request),
            ("POST", ["play"]) => {
                let playback = self.rng.uuid();
                self.ari_play(id, playback, request)
            }
            ("POST", ["play", playback]) => self.ari_play(id, (*playback).to_owned(), request),
            _ => Reply::error(404, "Resource not found"),
        }
    }

    fn ari_answer(&mut self, id: &str) -> Reply {
        if self.channels.get(id).is_some_and(|channel| channel.state != State::Up) {
            self.newstate(id, State::Up);
            self.start_rtcp(id);
            if let Some((call, _)) = self.channels.get(id).and_then(|channel| channel.party()) {
                self.answered_in_stasis(call);
            }
            self.touch(id);
        }
        Reply::done()
    }

    fn ari_hold(&mut self, id: &str, held: bool) -> Reply {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.held = held;
        }
        self.say_channel(if held { "Hold" } else { "Unhold" }, id, &[]);
        self.touch(id);
        Reply::done()
    }

    fn ari_mute(&mut self, id: &str, request: &Request, muted: bool) -> Reply {
        let direction = request.param("direction").unwrap_or("both");
        if !matches!(direction, "both" | "in" | "out") {
            return Reply::error(400, "Invalid direction specified");
        }
        if let Some(channel) = self.channels.get_mut(id) {
            if direction != "out" {
                channel.muted_in = muted;
            }
            if direction != "in" {
                channel.muted_out = muted;
            }
        }
        self.touch(id);
        Reply::done()
    }

    fn ari_dtmf(&mut self, id: &str, request: &Request) -> Reply {
        let Some(digits) = request.param("dtmf") else {
            return Reply::error(400, "DTMF is required");
        };
        let held_ms: u64 = request.param("duration").and_then(|text| text.parse().ok()).unwrap_or(100);
        for digit in digits.chars().take(64).filter(|digit| digit.is_ascii_alphanumeric() || "*#".contains(*digit)) {
            self.digit_down(id, digit, false, Duration::from_millis(held_ms.min(10_000)));
        }
        Reply::done()
    }

    /// Back to the dialplan: to an extension if one is named, else it has no more to do there.
    fn ari_continue(&mut self, id: &str, request: &Request) -> Reply {
        self.leave(id);
        self.stasis_end(id);
        self.varset(id, "STASISSTATUS", "SUCCESS");
        let call = self.channels.get(id).and_then(|channel| channel.party()).map(|(call, _)| call);
        let known = request
            .param("extension")
            .filter(|exten| self.config.numbering.extensions.iter().any(|known| known.number == **exten));
        match (known, call) {
            (Some(exten), Some(call)) => {
                let exten = exten.to_owned();
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.context = request.param("context").unwrap_or(&channel.context).to_owned();
                    channel.exten.clone_from(&exten);
                }
                self.dial_after_stasis(call, &exten);
            }
            _ => self.hang_up(id, 16),
        }
        Reply::done()
    }

    fn ari_move(&mut self, id: &str, request: &Request) -> Reply {
        let Some(app) = request.param("app").map(str::to_owned) else {
            return Reply::error(400, "Application name is required");
        };
        if !self.apps.contains_key(&app) {
            return Reply::error(404, "Application not found");
        }
        self.leave(id);
        self.stasis_end(id);
        if let Some(channel) = self.channels.get_mut(id) {
            channel.watchers.clear();
            channel.stasis_next = Some((app, request.list("appArgs")));
        }
        self.enter_moved(id);
        Reply::done()
    }

    fn ari_play(&mut self, id: &str, playback: String, request: &Request) -> Reply {
        let Some(media) = request.param("media").map(str::to_owned) else {
            return Reply::error(400, "Media is required");
        };
        if self.playbacks.contains_key(&playback) {
            return Reply::error(409, "Playback already exists");
        }
        let born = self.fresh();
        self.playbacks.insert(
            playback.clone(),
            Playback {
                channel: id.to_owned(),
                media,
                born,
            },
        );
        let reply = Reply {
            status: 201,
            body: Some(self.playback_json(&playback, "queued").into_text()),
            opened: None,
        };
        self.tell_playback("PlaybackStarted", &playback, "playing");
        self.after(PROMPT, Timer::PlaybackDone { id: playback, born });
        self.touch(id);
        reply
    }

    pub(super) fn playback_json(&self, id: &str, state: &str) -> Json {
        let (channel, media) = self
            .playbacks
            .get(id)
            .map(|playback| (playback.channel.as_str(), playback.media.as_str()))
            .unwrap_or_default();
        Json::object()
            .text("id", id)
            .text("media_uri", media)
            .text("target_uri", &format!("channel:{channel}"))
            .text("language", "en")
            .text("state", state)
    }

    fn tell_playback(&mut self, kind: &str, id: &str, state: &str) {
        let Some(watchers) = self
            .playbacks
            .get(id)
            .and_then(|playback| self.channels.get(&playback.channel))
            .map(|channel| channel.watchers.clone())
        else {
            return;
        };
        let message = self.message(Json::object(), kind).object_at("playback", self.playback_json(id, state));
        self.tell(&watchers, &message);
    }

    pub(super) fn end_playback(&mut self, id: &str, state: &str) {
        self.tell_playback("PlaybackFinished", id, state);
        if let Some(playback) = self.playbacks.remove(id) {
            self.touch(&playback.channel);
        }
    }

    pub(in crate::switch) fn playback_done(&mut self, id: &str, born: u64) {
        if self.playbacks.get(id).is_some_and(|playback| playback.born == born) {
            self.end_playback(id, "done");
        }
    }

    pub(in crate::switch) fn stop_playbacks(&mut self, channel: &str) {
        let ids: Vec<String> = self
            .playbacks
            .iter()
            .filter(|(_, playback)| playback.channel == channel)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.end_playback(&id, "failed");
        }
    }
}
