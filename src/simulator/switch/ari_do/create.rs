//! Making channels: originate, snoop, external media.

use super::super::Switch;
use super::super::json::Json;
use crate::ami::execute::caller_id;
use crate::ari::request::{Opened, Reply, Request};
use crate::config::Style;
use crate::rtp::codec::Format;
use crate::switch::channel::Spy;
use crate::switch::originate::{Asker, Destination, Wish};
use crate::switch::stasis::{ExternalWish, SnoopWish};
use std::net::SocketAddr;

impl Switch {
    pub(super) fn ari_originate(&mut self, id: Option<String>, request: &Request) -> Reply {
        let Some(endpoint) = request.param("endpoint").map(str::to_owned) else {
            return Reply::error(400, "Endpoint must be specified");
        };
        let app = request.param("app").map(str::to_owned);
        let destination = match (&app, request.param("extension")) {
            (Some(app), _) => Destination::Stasis {
                app: app.clone(),
                args: request.list("appArgs"),
            },
            (None, Some(exten)) => Destination::Exten {
                context: request.param("context").unwrap_or("default").to_owned(),
                exten: exten.to_owned(),
            },
            (None, None) => return Reply::error(400, "Application or extension must be specified"),
        };
        let id = id.or_else(|| request.param("channelId").map(str::to_owned));
        let other_id = request.param("otherChannelId").map(str::to_owned);
        if self.ids_clash(id.as_deref(), other_id.as_deref()) {
            return Reply::error(409, "Channel with given unique ID already exists");
        }
        if self.full() {
            return Reply::internal();
        }
        let wish = Wish {
            endpoint,
            id,
            other_id,
            destination,
            caller: caller_id(request.param("callerId").unwrap_or_default()),
            variables: request.variables.clone(),
            asker: Asker::Ari { app },
        };
        let made = self.originate(wish);
        made.and_then(|id| self.channels.get(&id))
            .map_or_else(|| Reply::error(500, "Allocation failed"), |channel| Reply::ok(channel.json().into_text()))
    }

    pub(super) fn ari_snoop(&mut self, of: &str, id: Option<String>, request: &Request) -> Reply {
        let spy = match request.param("spy").unwrap_or("none") {
            "none" => Spy::None,
            "in" => Spy::In,
            "out" => Spy::Out,
            "both" => Spy::Both,
            _ => return Reply::error(400, "Invalid direction specified for spy"),
        };
        let whisper = request.param("whisper").unwrap_or("none");
        if !matches!(whisper, "none" | "in" | "out" | "both") {
            return Reply::error(400, "Invalid direction specified for whisper");
        }
        if spy == Spy::None && whisper == "none" {
            return Reply::error(400, "Direction must be specified for at least one of spy or whisper");
        }
        let Some(app) = request.param("app").map(str::to_owned) else {
            return Reply::error(400, "No application specified");
        };
        if id.as_ref().is_some_and(|id| self.id_taken(id)) || self.full() {
            return Reply::error(500, "Snoop channel could not be created");
        }
        let id = self.snoop(
            of,
            SnoopWish {
                id,
                spy,
                app,
                args: request.list("appArgs"),
            },
        );
        self.channels
            .get(&id)
            .map_or_else(Reply::internal, |channel| Reply::ok(channel.json().into_text()))
    }

    pub(super) fn ari_external(&mut self, request: &Request) -> Reply {
        let Some(app) = request.param("app").map(str::to_owned) else {
            return Reply::error(400, "app cannot be empty");
        };
        let Some(host) = request.param("external_host").map(str::to_owned) else {
            return Reply::error(400, "external_host cannot be empty");
        };
        let Some(name) = request.param("format").map(str::to_owned) else {
            return Reply::error(400, "format cannot be empty");
        };
        let Some(format) = Format::parse(&name, self.config.style) else {
            // Only 22 says what is wrong.
            return if self.config.style == Style::Asterisk22 {
                Reply::error(400, &format!("Provided format ({name}) was not found"))
            } else {
                Reply::internal()
            };
        };
        let id = request.param("channelId").map(str::to_owned);
        let taken = id.as_ref().is_some_and(|id| self.id_taken(id));
        let (Ok(to), Some(local), false, false) = (host.parse::<SocketAddr>(), request.local, taken, self.full()) else {
            return Reply::internal();
        };
        let wish = ExternalWish {
            id,
            app,
            args: request.list("appArgs"),
            host,
            format: name,
            variables: request.variables.clone(),
        };
        let id = self.external(wish, local);
        let Some(channel) = self.channels.get(&id) else { return Reply::internal() };
        let vars = Json::object()
            .text("UNICASTRTP_LOCAL_PORT", &local.port().to_string())
            .text("UNICASTRTP_LOCAL_ADDRESS", &local.ip().to_string());
        let body = channel.json().object_at("channelvars", vars).into_text();
        Reply {
            status: 200,
            body: Some(body),
            opened: Some(Opened { id, to, format }),
        }
    }
}
