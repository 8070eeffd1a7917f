//! `ari.connect`, `ari.login`, `ari.write`, `ari.websocket`.

use super::Steps;
use crate::ari::AriClient;
use crate::config::Deadlines;
use crate::error::PbxError;
use crate::socket::AriSocket;
use aimg_domain::pbx::AriAccess;
use aimg_pbx::ari::{AsteriskInfo, Request};
use std::time::Duration;

/// Answers whether a bridge was made.
pub(super) async fn check(steps: &mut Steps, access: &AriAccess, app: &str, deadlines: &Deadlines) -> bool {
    let client = match AriClient::new(access, deadlines.connect) {
        Ok(client) => client,
        Err(error) => {
            steps.add("ari.connect", Err(error.to_string()));
            return false;
        }
    };
    let info = client.ask::<AsteriskInfo>(&Request::asterisk_info(), deadlines.answer).await;
    if !login(steps, access, info) {
        return false;
    }
    let writable = write(steps, &client, app, deadlines.answer).await;
    websocket(steps, access, app, deadlines).await;
    writable
}

fn login(steps: &mut Steps, access: &AriAccess, info: Result<AsteriskInfo, PbxError>) -> bool {
    let url = &access.url;
    let advice = match &info {
        Ok(_) | Err(PbxError::Unauthorized | PbxError::Forbidden(_)) => None,
        Err(PbxError::NotFound(_)) => Some("HTTP answers, but there is no ARI: set `enabled = yes` in ari.conf, load res_ari, and check `prefix` in http.conf"),
        Err(PbxError::Unreachable(_) | PbxError::Timeout { .. }) => {
            Some("check host and port, `enabled = yes`, `bindaddr` and `bindport` in http.conf, and the firewall")
        }
        Err(_) => Some("the url does not lead to an Asterisk that is up: give http://host:8088"),
    };
    match (&info, advice) {
        (Err(error), Some(advice)) => {
            steps.add("ari.connect", Err(format!("{url}: {error}: {advice}")));
            return false;
        }
        _ => steps.add("ari.connect", Ok(format!("{url} answers"))),
    };
    match info {
        Ok(info) => {
            if steps.version.is_none() && !info.system.version.is_empty() {
                steps.version = Some(info.system.version);
            }
            steps.add("ari.login", Ok(format!("signed in as {}", access.username)))
        }
        Err(error) => steps.add("ari.login", Err(format!("{error}: check the user's section and password in ari.conf"))),
    }
}

/// A bridge of our own, made and deleted; AMI tells of it where events of class `call` are read.
async fn write(steps: &mut Steps, client: &AriClient, app: &str, answer: Duration) -> bool {
    let id = probe_bridge(app);
    let made = client.send(&Request::create_bridge(&id, ""), answer).await;
    let found = match made {
        Ok(_) => match client.send(&Request::delete_bridge(&id), answer).await {
            Ok(_) => Ok("may make and delete bridges and channels".to_owned()),
            Err(error) => Err(format!("a bridge could be made but not deleted: {error}")),
        },
        Err(PbxError::Forbidden(text)) => Err(format!("{text}: the user is read-only, set `read_only = no` in ari.conf")),
        Err(PbxError::NotFound(_)) => Err("bridges are unknown: load res_ari_bridges and res_ari_channels".to_owned()),
        Err(error) => Err(format!("no bridge could be made: {error}")),
    };
    steps.add("ari.write", found)
}

async fn websocket(steps: &mut Steps, access: &AriAccess, app: &str, deadlines: &Deadlines) {
    let found = match AriSocket::connect(access, app, deadlines).await {
        Ok(socket) => {
            socket.close().await;
            Ok("events can be followed".to_owned())
        }
        Err(PbxError::NotFound(_)) => Err("refused: load res_http_websocket, res_ari_events and res_stasis".to_owned()),
        Err(error) => Err(format!("refused: {error}: load res_http_websocket, and let proxies on the way pass websockets")),
    };
    steps.add("ari.websocket", found);
}

fn probe_bridge(app: &str) -> String {
    format!("aimgx-probe-{app}")
}
