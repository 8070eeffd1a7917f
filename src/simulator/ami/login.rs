//! A manager's session: who it is, what it may read and write, and how it becomes somebody.

use super::action::Action;
use super::class::{self, ALL, SECURITY, SYSTEM};
use super::event::Event;
use super::filter::{Filter, passes};
use crate::clock::SimTime;
use crate::outbox::Outbox;
use crate::switch::Switch;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) struct Manager {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) user: Option<String>,
    pub(crate) read: u32,
    pub(crate) write: u32,
    pub(crate) mask: u32,
    pub(crate) filters: Vec<Filter>,
    pub(crate) challenge: Option<String>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) since: SimTime,
}

impl Manager {
    pub(crate) fn wants(&self, event: &str, class: u32) -> bool {
        self.user.is_some() && self.read & self.mask & class != 0 && passes(&self.filters, event)
    }
}

/// What becomes of the connection after an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Goes,
    /// Said no; the line goes dead a second later.
    Refused,
    /// Said good-bye.
    Left,
}

/// A response, and the one way to write it.
pub(crate) fn response(outbox: &Outbox, kind: &str, action: &Action, headers: &[(&str, &str)]) {
    let mut text = format!("Response: {kind}\r\n");
    if let Some(id) = action.get("ActionID").filter(|id| !id.is_empty()) {
        let _ = write!(text, "ActionID: {id}\r\n");
    }
    for (key, value) in headers {
        let _ = write!(text, "{key}: {}\r\n", value.replace(['\r', '\n'], " "));
    }
    text.push_str("\r\n");
    outbox.push(Bytes::from(text));
}

impl Switch {
    pub(crate) fn manager_came(&mut self, session: u64, outbox: Arc<Outbox>, local: SocketAddr, remote: SocketAddr) {
        outbox.push(Bytes::from(format!("Asterisk Call Manager/{}\r\n", self.config.style.ami_version())));
        let since = self.now;
        let manager = Manager {
            outbox,
            user: None,
            read: 0,
            write: 0,
            mask: ALL,
            filters: Vec::new(),
            challenge: None,
            local,
            remote,
            since,
        };
        self.managers.insert(session, manager);
    }

    pub(crate) fn manager_left(&mut self, session: u64) {
        self.managers.remove(&session);
    }

    pub(crate) fn logged_in(&self, session: u64) -> bool {
        self.managers.get(&session).is_some_and(|manager| manager.user.is_some())
    }

    pub(super) fn challenge(&mut self, session: u64, action: &Action) -> Verdict {
        let challenge = self.rng.below(1_000_000_000).to_string();
        let Some(manager) = self.managers.get_mut(&session) else {
            return Verdict::Left;
        };
        if action.text("AuthType").eq_ignore_ascii_case("MD5") {
            response(&manager.outbox, "Success", action, &[("Challenge", &challenge)]);
            manager.challenge = Some(challenge);
        } else {
            response(&manager.outbox, "Error", action, &[("Message", "Must specify AuthType")]);
        }
        Verdict::Goes
    }

    pub(super) fn login(&mut self, session: u64, action: &Action) -> Verdict {
        let config = Arc::clone(&self.config);
        let uptime = self.now.since(self.boot).as_secs();
        let Some(manager) = self.managers.get_mut(&session) else {
            return Verdict::Left;
        };
        let user = config.ami_users.iter().find(|user| user.name == action.text("Username"));
        let Some(user) = user.filter(|user| proves(user.secret.expose(), manager.challenge.as_deref(), action)) else {
            response(&manager.outbox, "Error", action, &[("Message", "Authentication failed")]);
            return Verdict::Refused;
        };
        manager.user = Some(user.name.clone());
        manager.read = class::of(&user.read);
        manager.write = class::of(&user.write);
        manager.mask = action.get("Events").map_or(ALL, class::mask);
        response(&manager.outbox, "Success", action, &[("Message", "Authentication accepted")]);
        if manager.wants("FullyBooted", SYSTEM) {
            let booted = format!("Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: {uptime}\r\nLastReload: {uptime}\r\nStatus: Fully Booted\r\n\r\n");
            manager.outbox.push(Bytes::from(booted));
        }
        self.security(session, "SuccessfulAuth", "Informational", &[("UsingPassword", "0")]);
        Verdict::Goes
    }

    /// SuccessfulAuth and its like.
    pub(super) fn security(&mut self, session: u64, name: &'static str, severity: &str, more: &[(&str, &str)]) {
        let Some(manager) = self.managers.get(&session) else { return };
        let mut event = Event::new(name, SECURITY)
            .put("EventTV", self.now.ari())
            .put("Severity", severity)
            .put("Service", "AMI")
            .put("EventVersion", 1);
        let account = manager.user.clone().unwrap_or_default();
        let success = name == "SuccessfulAuth";
        if success {
            event = event.put("AccountID", &account);
        }
        event = event
            .put("SessionID", format!("0x7f{:010x}", session * 0x1230))
            .put("LocalAddress", format!("IPV4/TCP/{}/{}", manager.local.ip(), manager.local.port()))
            .put("RemoteAddress", format!("IPV4/TCP/{}/{}", manager.remote.ip(), manager.remote.port()));
        for (key, value) in more {
            event = event.put(key, value);
        }
        event = event.put("SessionTV", manager.since.ari());
        if !success {
            event = event.put("AccountID", &account);
        }
        self.emit(event);
    }
}

/// By the secret itself, or by the MD5 of our challenge and it.
fn proves(secret: &str, challenge: Option<&str>, action: &Action) -> bool {
    if !action.text("AuthType").eq_ignore_ascii_case("MD5") {
        return action.get("Secret") == Some(secret);
    }
    let Some(challenge) = challenge else { return false };
    let digest = Md5::digest(format!("{challenge}{secret}"));
    let key: String = digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    action.text("Key").eq_ignore_ascii_case(&key)
}
