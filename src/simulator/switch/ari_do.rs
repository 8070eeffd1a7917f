//! What each ARI request does. Errors are Asterisk's own, word for word where they were captured.

mod bridges;
mod channels;
mod create;

use super::Switch;
use super::json::Json;
use crate::ari::request::{Reply, Request};
use crate::outbox::Outbox;
use bytes::Bytes;
use std::sync::Arc;

impl Switch {
    pub(crate) fn ari(&mut self, request: &Request) -> Reply {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let method = request.method.as_str();
        match (method, segments.as_slice()) {
            ("GET", ["asterisk", "info"]) => Reply::ok(self.info().into_text()),
            ("GET", ["asterisk", "ping"]) => Reply::ok(self.ping().into_text()),
            ("GET", ["applications"]) => Reply::ok(Json::array(self.apps.keys().map(|app| self.application(app)))),
            ("GET", ["applications", app]) if self.apps.contains_key(*app) => Reply::ok(self.application(app).into_text()),
            (_, ["applications", _]) => Reply::error(404, "Application not found"),
            (_, ["channels", rest @ ..]) => self.ari_channels(method, rest, request),
            (_, ["bridges", rest @ ..]) => self.ari_bridges(method, rest, request),
            ("GET", ["playbacks", id]) if self.playbacks.contains_key(*id) => Reply::ok(self.playback_json(id, "playing").into_text()),
            ("DELETE", ["playbacks", id]) if self.playbacks.contains_key(*id) => {
                self.end_playback(id, "done");
                Reply::done()
            }
            (_, ["playbacks", _]) => Reply::error(404, "Playback not found"),
            _ => Reply::error(404, "Resource not found"),
        }
    }

    fn info(&self) -> Json {
        let build = Json::object()
            .text("os", "Linux")
            .text("kernel", "6.1.0")
            .text("options", "LOADABLE_MODULES")
            .text("machine", "x86_64")
            .text("date", "2026-01-01 00:00:00 UTC")
            .text("user", "sim");
        let system = Json::object()
            .text("version", self.config.style.asterisk_version())
            .text("entity_id", "02:fc:00:00:00:01");
        let config = Json::object()
            .text("name", &self.config.system_name)
            .text("default_language", "en")
            .object_at("setid", Json::object().text("user", "").text("group", ""));
        let status = Json::object().text("startup_time", &self.boot.ari()).text("last_reload_time", &self.boot.ari());
        Json::object()
            .object_at("build", build)
            .object_at("system", system)
            .object_at("config", config)
            .object_at("status", status)
    }

    fn ping(&self) -> Json {
        Json::object()
            .text("timestamp", &self.now.ari())
            .text("ping", "pong")
            .text("asterisk_id", "02:fc:00:00:00:01")
    }

    fn application(&self, app: &str) -> Json {
        let channels: Vec<String> = self
            .channels
            .values()
            .filter(|channel| channel.watchers.iter().any(|watcher| watcher == app))
            .map(|channel| channel.id.clone())
            .collect();
        let bridges: Vec<String> = self
            .bridges
            .values()
            .filter(|bridge| bridge.watchers.iter().any(|watcher| watcher == app))
            .map(|bridge| bridge.id.clone())
            .collect();
        Json::object()
            .text("name", app)
            .texts("channel_ids", &channels)
            .texts("bridge_ids", &bridges)
            .texts("endpoint_ids", &[])
            .texts("device_names", &[])
            .texts("events_allowed", &[])
            .texts("events_disallowed", &[])
    }

    /// A websocket for these applications: the newest connection has them, the old one hears it and then nothing.
    pub(crate) fn app_connected(&mut self, apps: &[String], connection: u64, outbox: &Arc<Outbox>, subscribe_all: bool) {
        for name in apps {
            let farewell = self.app_replaced(name);
            let app = self.apps.entry(name.clone()).or_default();
            if let Some((_, old)) = app.socket.replace((connection, Arc::clone(outbox))) {
                old.push(Bytes::from(farewell));
            }
            // 16 keeps a subscription to everything when the application comes back without asking, 22 does not.
            app.subscribe_all = subscribe_all || (app.subscribe_all && self.config.style == crate::config::Style::Asterisk16);
        }
    }

    pub(crate) fn app_disconnected(&mut self, connection: u64) {
        for app in self.apps.values_mut() {
            if app.socket.as_ref().is_some_and(|(current, _)| *current == connection) {
                app.socket = None;
            }
        }
        // An application without socket and channels is forgotten, so that names cannot pile up.
        let used = |switch: &Switch, name: &String| switch.channels.values().any(|channel| channel.watchers.contains(name));
        let gone: Vec<String> = self
            .apps
            .iter()
            .filter(|(name, app)| app.socket.is_none() && !used(self, name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.apps.remove(&name);
        }
    }
}
