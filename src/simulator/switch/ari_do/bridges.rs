//! `/bridges`.

use super::super::Switch;
use super::super::json::Json;
use crate::ari::request::{Reply, Request};

impl Switch {
    pub(super) fn ari_bridges(&mut self, method: &str, rest: &[&str], request: &Request) -> Reply {
        match (method, rest) {
            ("GET", []) => Reply::ok(Json::array(self.bridges.values().map(|bridge| bridge.json()))),
            ("POST", []) => {
                let id = request.param("bridgeId").map_or_else(|| self.rng.uuid(), str::to_owned);
                self.ari_make_bridge(id, request)
            }
            ("POST", [id]) => self.ari_make_bridge((*id).to_owned(), request),
            (_, [id, ..]) if !self.bridges.contains_key(*id) => Reply::error(404, "Bridge not found"),
            ("GET", [id]) => self
                .bridges
                .get(*id)
                .map_or_else(Reply::internal, |bridge| Reply::ok(bridge.json().into_text())),
            (_, [id, ..]) if self.bridges.get(*id).is_some_and(|bridge| bridge.kind != "stasis") => Reply::error(409, "Bridge not in Stasis application"),
            ("DELETE", [id]) => {
                self.destroy_bridge(id);
                Reply::done()
            }
            ("POST", [id, "addChannel"]) => self.ari_add_channel(id, request),
            ("POST", [id, "removeChannel"]) => self.ari_remove_channel(id, request),
            _ => Reply::error(404, "Resource not found"),
        }
    }

    fn ari_make_bridge(&mut self, id: String, request: &Request) -> Reply {
        // A bridge that is there already is answered as it is.
        if !self.bridges.contains_key(&id) {
            if self.bridges.len() >= self.config.channels_max {
                return Reply::internal();
            }
            self.make_bridge(id.clone(), request.param("name").unwrap_or_default().to_owned(), "stasis", Vec::new());
        }
        self.bridges
            .get(&id)
            .map_or_else(Reply::internal, |bridge| Reply::ok(bridge.json().into_text()))
    }

    fn ari_add_channel(&mut self, bridge: &str, request: &Request) -> Reply {
        let channels = request.list("channel");
        if channels.is_empty() {
            return Reply::error(400, "Channel is required");
        }
        for id in &channels {
            match self.channels.get(id) {
                None => return Reply::error(400, "Channel not found"),
                Some(channel) if channel.stasis.is_none() => return Reply::error(422, "Channel not in Stasis application"),
                Some(_) => {}
            }
        }
        for id in &channels {
            self.enter(bridge, id);
        }
        Reply::done()
    }

    fn ari_remove_channel(&mut self, bridge: &str, request: &Request) -> Reply {
        let channels = request.list("channel");
        for id in &channels {
            match self.channels.get(id) {
                None => return Reply::error(400, "Channel not found"),
                Some(channel) if channel.bridge.as_deref() != Some(bridge) => return Reply::error(422, "Channel not in this bridge"),
                Some(_) => {}
            }
        }
        for id in &channels {
            self.leave(id);
        }
        Reply::done()
    }
}
