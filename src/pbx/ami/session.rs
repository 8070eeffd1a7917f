//! A client's AMI session as a state machine: banner, sign-in, actions with deadlines, lists, keep-alive.
//!
//! `now` is a monotonic time with any zero. After every call drain `poll` until `None`, then come back with
//! bytes, with an action, or at `next_deadline`. A session that said `Broken` is over.

mod output;

pub use output::{Broken, Output, Unanswered};

use super::action::{Action, ActionFault};
use super::frame::{Decoder, Frame};
use super::message::{Message, Response};
use aimg_domain::secret::Secret;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct SessionConfig {
    pub username: String,
    pub secret: Secret,
    /// Classes of events asked for at login: those that facts come from. The PBX spends nothing on the others.
    pub events: String,
    /// From the connection to the accepted login.
    pub login_within: Duration,
    pub ping_every: Duration,
    /// How long after a ping may nothing at all arrive.
    pub ping_within: Duration,
    /// Actions under way at once; one more is refused as `Busy`.
    pub pending_max: usize,
    /// Events of one list; a longer list fails as `ListTooLong`.
    pub list_max: usize,
}

impl SessionConfig {
    pub fn new(username: impl Into<String>, secret: Secret) -> SessionConfig {
        SessionConfig {
            username: username.into(),
            secret,
            events: "system,call,agent,dtmf,reporting,cdr,dialplan".into(),
            login_within: Duration::from_secs(5),
            ping_every: Duration::from_secs(5),
            ping_within: Duration::from_secs(10),
            pending_max: 1024,
            list_max: 50_000,
        }
    }
}

#[derive(Debug)]
enum Stage {
    AwaitingBanner,
    AwaitingChallenge,
    AwaitingLogin,
    SignedIn,
    Ended,
}

#[derive(Debug)]
struct Pending {
    /// `None`: our own ping.
    reply: Option<u64>,
    deadline: Duration,
    until: Option<&'static str>,
    list: bool,
    response: Option<Message>,
    events: Vec<Message>,
}

#[derive(Debug)]
pub struct AmiSession {
    config: SessionConfig,
    stage: Stage,
    version: String,
    decoder: Decoder,
    login_deadline: Duration,
    last_heard: Duration,
    pinged_at: Option<Duration>,
    next_id: u64,
    pending: BTreeMap<u64, Pending>,
    outputs: VecDeque<Output>,
}

/// Ours among action ids: answers to another's on the same account never match.
const ID_PREFIX: &str = "aimg-";

impl AmiSession {
    pub fn new(config: SessionConfig, now: Duration) -> AmiSession {
        AmiSession {
            login_deadline: now + config.login_within,
            config,
            stage: Stage::AwaitingBanner,
            version: String::new(),
            decoder: Decoder::new(),
            last_heard: now,
            pinged_at: None,
            next_id: 1,
            pending: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Messages that were dropped for their size.
    pub fn dropped(&self) -> u64 {
        self.decoder.dropped()
    }

    /// Feed bounded pieces (64 KiB) and drain `poll` after each: events are not counted against a bound here.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        if matches!(self.stage, Stage::Ended) {
            return;
        }
        self.last_heard = now;
        self.pinged_at = None;
        self.decoder.receive(bytes);
        while let Some(frame) = self.decoder.next_frame() {
            match (&self.stage, frame) {
                (Stage::Ended, _) => return,
                (_, Frame::Banner(banner)) => self.take_banner(banner, now),
                (_, Frame::Message(message)) => self.take_message(message, now),
            }
        }
    }

    /// Sends an action whose answer comes as `Done` under `reply`, by `deadline` (absolute) at the latest.
    pub fn send(&mut self, action: &Action, reply: u64, deadline: Duration) {
        let refusal = match self.stage {
            Stage::SignedIn if self.pending.len() >= self.config.pending_max => Some(Unanswered::Busy),
            Stage::SignedIn => None,
            _ => Some(Unanswered::NotSignedIn),
        };
        let result = match refusal {
            Some(refusal) => Err(refusal),
            None => self.write(action, Some(reply), deadline).map_err(Unanswered::Fault),
        };
        if let Err(why) = result {
            self.outputs.push_back(Output::Done { reply, result: Err(why) });
        }
    }

    /// To be called at `next_deadline`, or more often.
    pub fn tick(&mut self, now: Duration) {
        match self.stage {
            Stage::Ended => {}
            Stage::SignedIn => {
                self.expire(now);
                self.keep_alive(now);
            }
            _ if now < self.login_deadline => {}
            Stage::AwaitingBanner => self.end(Broken::NoBanner(self.config.login_within)),
            Stage::AwaitingChallenge | Stage::AwaitingLogin => self.end(Broken::LoginTimeout(self.config.login_within)),
        }
    }

    pub fn next_deadline(&self) -> Option<Duration> {
        match self.stage {
            Stage::Ended => None,
            Stage::SignedIn => {
                let alive = match self.pinged_at {
                    Some(at) => at + self.config.ping_within,
                    None => self.last_heard + self.config.ping_every,
                };
                self.pending
                    .values()
                    .map(|pending| pending.deadline)
                    .min()
                    .map(|first| first.min(alive))
                    .or(Some(alive))
            }
            _ => Some(self.login_deadline),
        }
    }

    fn take_banner(&mut self, banner: String, now: Duration) {
        let Some(version) = banner.strip_prefix("Asterisk Call Manager/") else {
            let banner = banner.chars().take(80).collect();
            return self.end(Broken::NotAsterisk { banner });
        };
        self.version = version.trim().to_owned();
        self.stage = Stage::AwaitingChallenge;
        self.write_sign_in(&Action::challenge(), now);
    }

    fn take_message(&mut self, message: Message, now: Duration) {
        match self.stage {
            Stage::AwaitingChallenge if message.response().is_some() => self.take_challenge(&message, now),
            Stage::AwaitingLogin if message.response().is_some() => self.take_login(&message),
            Stage::SignedIn => match message.event() {
                Some(_) => self.take_event(message),
                None => self.take_response(message),
            },
            _ => {}
        }
    }

    fn take_challenge(&mut self, message: &Message, now: Duration) {
        let (username, secret, events) = (&self.config.username, self.config.secret.expose(), &self.config.events);
        let login = match message.get("Challenge").filter(|_| is_success(message)) {
            Some(challenge) => Action::login_md5(username, secret, challenge, events),
            // No MD5 there: the plain way is all that is left.
            None => Action::login_plain(username, secret, events),
        };
        self.stage = Stage::AwaitingLogin;
        self.write_sign_in(&login, now);
    }

    fn take_login(&mut self, message: &Message) {
        if is_success(message) {
            self.stage = Stage::SignedIn;
            let version = self.version.clone();
            return self.outputs.push_back(Output::LoggedIn { version });
        }
        let text = message.get("Message").unwrap_or_default();
        let failed = text.to_ascii_lowercase().contains("authentication failed");
        self.end(if failed {
            Broken::AuthenticationFailed
        } else {
            Broken::LoginRefused(text.to_owned())
        });
    }

    fn take_event(&mut self, message: Message) {
        if message.event() == Some("FullyBooted") {
            let uptime_s = message.get("Uptime").and_then(|text| text.parse().ok());
            return self.outputs.push_back(Output::FullyBooted { uptime_s });
        }
        let Some((id, pending)) = message.action_id().and_then(own_id).and_then(|id| Some((id, self.pending.get_mut(&id)?))) else {
            return self.outputs.push_back(Output::Event(message));
        };
        let completes = match pending.until {
            Some(event) => message.event() == Some(event),
            None => message.get("EventList").is_some_and(|state| !state.eq_ignore_ascii_case("start")),
        };
        if pending.events.len() >= self.config.list_max {
            return self.finish(id, Err(Unanswered::ListTooLong));
        }
        pending.events.push(message);
        if completes && pending.response.is_some() {
            self.finish_whole(id);
        }
    }

    fn take_response(&mut self, message: Message) {
        // An answer that came too late has nobody waiting.
        let Some((id, pending)) = message.action_id().and_then(own_id).and_then(|id| Some((id, self.pending.get_mut(&id)?))) else {
            return;
        };
        pending.list = message.get("EventList").is_some_and(|state| state.eq_ignore_ascii_case("start"));
        let goes_on = is_success(&message) && (pending.list || pending.until.is_some() && pending.events.is_empty());
        pending.response = Some(message);
        if !goes_on {
            self.finish_whole(id);
        }
    }

    fn finish_whole(&mut self, id: u64) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let response = Response {
            message: pending.response.take().unwrap_or_default(),
            events: std::mem::take(&mut pending.events),
        };
        self.finish(id, Ok(response));
    }

    fn finish(&mut self, id: u64, result: Result<Response, Unanswered>) {
        if let Some(Pending { reply: Some(reply), .. }) = self.pending.remove(&id) {
            self.outputs.push_back(Output::Done { reply, result });
        }
    }

    fn expire(&mut self, now: Duration) {
        let late: Vec<u64> = self.pending.iter().filter(|(_, pending)| pending.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            self.finish(id, Err(Unanswered::Timeout));
        }
    }

    fn keep_alive(&mut self, now: Duration) {
        match self.pinged_at {
            Some(at) if now >= at + self.config.ping_within => self.end(Broken::Silent(now.saturating_sub(self.last_heard))),
            Some(_) => {}
            None if now >= self.last_heard + self.config.ping_every => {
                self.pinged_at = Some(now);
                // A ping is always encodable: it holds nothing of others.
                let _ = self.write(&Action::ping(), None, now + self.config.ping_within);
            }
            None => {}
        }
    }

    fn write_sign_in(&mut self, action: &Action, now: Duration) {
        match action.encode(&format!("{ID_PREFIX}0")) {
            Ok(bytes) => self.outputs.push_back(Output::Write(bytes)),
            Err(fault) => self.end(Broken::LoginRefused(fault.to_string())),
        }
        self.last_heard = now;
    }

    fn write(&mut self, action: &Action, reply: Option<u64>, deadline: Duration) -> Result<(), ActionFault> {
        let id = self.next_id;
        let bytes = action.encode(&format!("{ID_PREFIX}{id}"))?;
        self.next_id += 1;
        self.pending.insert(
            id,
            Pending {
                reply,
                deadline,
                until: action.until,
                list: false,
                response: None,
                events: Vec::new(),
            },
        );
        self.outputs.push_back(Output::Write(bytes));
        Ok(())
    }

    fn end(&mut self, why: Broken) {
        self.stage = Stage::Ended;
        for pending in std::mem::take(&mut self.pending).into_values() {
            if let Some(reply) = pending.reply {
                let result = Err(Unanswered::Broken(why.clone()));
                self.outputs.push_back(Output::Done { reply, result });
            }
        }
        self.outputs.push_back(Output::Broken(why));
    }
}

fn own_id(action_id: &str) -> Option<u64> {
    action_id.strip_prefix(ID_PREFIX)?.parse().ok()
}

fn is_success(message: &Message) -> bool {
    message.response().is_some_and(|response| response.eq_ignore_ascii_case("success"))
}

#[cfg(test)]
mod tests;
