//! What a connection decides. Pure: `now` is monotonic and handed in.

use aimg_domain::{Caller, Fault, Permission};
use aimg_wire::close::CloseCode;
use aimg_wire::topic::Topic;
use std::collections::BTreeMap;
use std::time::Duration;

/// `A`: how the lane knows a subscription.
pub struct Machine<A> {
    caller: Caller,
    audio: bool,
    policy: u64,
    subscriptions: BTreeMap<Topic, A>,
    subscriptions_max: usize,
    ping_after: Duration,
    pinged_at: Option<Duration>,
    expires_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    Nothing,
    Ping,
    Close(CloseCode),
}

/// What a change of rights means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChange {
    Close(CloseCode),
    Revoke { version: u64, topics: Vec<Topic> },
}

impl<A: Copy> Machine<A> {
    pub fn new(caller: Caller, audio: bool, subscriptions_max: usize, ping_after: Duration, expires_at: Option<Duration>) -> Machine<A> {
        Machine {
            caller,
            audio,
            policy: 0,
            subscriptions: BTreeMap::new(),
            subscriptions_max,
            ping_after,
            pinged_at: None,
            expires_at,
        }
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn policy(&self) -> u64 {
        self.policy
    }

    /// `heard`: when the client last sent anything.
    pub fn tick(&mut self, now: Duration, heard: Duration) -> Tick {
        if self.expires_at.is_some_and(|at| now >= at) {
            return Tick::Close(CloseCode::Auth);
        }
        match self.pinged_at {
            Some(pinged) if heard >= pinged => self.pinged_at = None,
            Some(pinged) if now.saturating_sub(pinged) >= self.ping_after => return Tick::Close(CloseCode::Silent),
            Some(_) => return Tick::Nothing,
            None => {}
        }
        if now.saturating_sub(heard) < self.ping_after {
            return Tick::Nothing;
        }
        self.pinged_at = Some(now);
        Tick::Ping
    }

    /// When to tick again.
    pub fn next_tick(&self, now: Duration, heard: Duration) -> Duration {
        let quiet = self.pinged_at.unwrap_or(heard) + self.ping_after;
        let next = self.expires_at.map_or(quiet, |at| at.min(quiet));
        // Not at once again: `now` may be past it when a ping was sent just now.
        next.saturating_sub(now).max(Duration::from_millis(1))
    }

    /// Whether the topic may be subscribed to, and what it is.
    pub fn may_subscribe(&self, name: &str) -> Result<Topic, Fault> {
        let topic = self.may_read(name)?;
        if self.subscriptions.contains_key(&topic) {
            return Err(Fault::Conflict {
                detail: format!("already subscribed to {topic}: unsubscribe first"),
            });
        }
        if self.subscriptions.len() >= self.subscriptions_max {
            let detail = format!("at most {} subscriptions a connection", self.subscriptions_max);
            return Err(Fault::TooMany { detail, retry_after_ms: 0 });
        }
        Ok(topic)
    }

    pub fn may_read(&self, name: &str) -> Result<Topic, Fault> {
        if self.audio {
            return Err(Fault::not_possible("this connection is for audio; topics are on /ws"));
        }
        Topic::resolve(name, &self.caller)
    }

    pub fn subscribed(&mut self, topic: Topic, attachment: A) {
        self.subscriptions.insert(topic, attachment);
    }

    pub fn unsubscribe(&mut self, name: &str) -> Result<(Topic, A), Fault> {
        let topic = self.may_read(name)?;
        self.subscriptions
            .remove(&topic)
            .map(|attachment| (topic, attachment))
            .ok_or_else(|| Fault::not_found(format!("subscription to {topic}")))
    }

    /// Its lane dropped them.
    pub fn lost(&mut self, topics: &[Topic]) {
        self.subscriptions.retain(|topic, _| !topics.contains(topic));
    }

    /// Subscriptions that the new rights do not cover end; in another tenant, or without any rights, everything does.
    pub fn change_policy(&mut self, caller: Option<Caller>) -> PolicyChange {
        let Some(caller) = caller else { return PolicyChange::Close(CloseCode::Auth) };
        if self.audio && !caller.may(Permission::CallsMonitor) {
            return PolicyChange::Close(CloseCode::Permission);
        }
        if caller.tenant != self.caller.tenant {
            return PolicyChange::Close(CloseCode::Permission);
        }
        self.caller = caller;
        self.policy += 1;
        let held: Vec<Topic> = self.subscriptions.keys().copied().collect();
        // A name may mean less than before: what it meant is revoked then, too.
        let topics: Vec<Topic> = held
            .into_iter()
            .filter(|topic| Topic::resolve(&topic.to_string(), &self.caller) != Ok(*topic))
            .collect();
        self.lost(&topics);
        PolicyChange::Revoke { version: self.policy, topics }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use aimg_domain::{Role, TenantId, UserId};
    use uuid::Uuid;

    const TWENTY: Duration = Duration::from_secs(20);

    fn caller(role: Role) -> Caller {
        Caller {
            user: UserId(Uuid::nil()),
            email: "a@b.c".into(),
            role,
            tenant: TenantId(Uuid::from_u128(1)),
        }
    }

    fn machine(expires_at: Option<u64>) -> Machine<u32> {
        Machine::new(caller(Role::SuperAdmin), false, 2, TWENTY, expires_at.map(Duration::from_secs))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_quiet_client_is_pinged_and_closed_when_it_stays_silent() {
        let mut machine = machine(None);
        assert_eq!(machine.tick(seconds(19), seconds(0)), Tick::Nothing);
        assert_eq!(machine.tick(seconds(20), seconds(0)), Tick::Ping);
        assert_eq!(machine.next_tick(seconds(20), seconds(0)), TWENTY);
        assert_eq!(machine.tick(seconds(39), seconds(0)), Tick::Nothing);
        assert_eq!(machine.tick(seconds(40), seconds(0)), Tick::Close(CloseCode::Silent));
    }

    #[test]
    fn a_sign_of_life_begins_the_wait_again() {
        let mut machine = machine(None);
        assert_eq!(machine.tick(seconds(20), seconds(0)), Tick::Ping);
        assert_eq!(machine.tick(seconds(40), seconds(21)), Tick::Nothing);
        assert_eq!(machine.next_tick(seconds(40), seconds(21)), seconds(1));
        assert_eq!(machine.tick(seconds(41), seconds(21)), Tick::Ping);
    }

    #[test]
    fn an_expired_credential_closes_at_its_time() {
        let mut machine = machine(Some(5));
        assert_eq!(machine.next_tick(seconds(0), seconds(0)), seconds(5));
        assert_eq!(machine.tick(seconds(4), seconds(4)), Tick::Nothing);
        assert_eq!(machine.tick(seconds(5), seconds(5)), Tick::Close(CloseCode::Auth));
    }

    #[test]
    fn a_topic_is_subscribed_once_and_only_so_many() {
        let mut machine = machine(None);
        let name = |call: u128| format!("call:{}", Uuid::from_u128(call));
        let topic = machine.may_subscribe(&name(1)).unwrap();
        machine.subscribed(topic, 7);
        assert_eq!(machine.may_subscribe(&name(1)).unwrap_err().code(), "conflict");
        machine.subscribed(machine.may_subscribe(&name(2)).unwrap(), 8);
        assert_eq!(machine.may_subscribe(&name(3)).unwrap_err().code(), "too_many");
        assert_eq!(machine.unsubscribe(&name(1)), Ok((topic, 7)));
        assert_eq!(machine.unsubscribe(&name(1)).unwrap_err().code(), "not_found");
        assert!(machine.may_subscribe(&name(3)).is_ok());
    }

    #[test]
    fn fewer_rights_revoke_what_they_do_not_cover() {
        let mut machine = machine(None);
        let all = machine.may_subscribe("system:status").unwrap();
        machine.subscribed(all, 1);
        let own = machine.may_subscribe(&format!("call:{}", Uuid::from_u128(1))).unwrap();
        machine.subscribed(own, 2);
        assert_eq!(
            machine.change_policy(Some(caller(Role::Viewer))),
            PolicyChange::Revoke { version: 1, topics: vec![all] }
        );
        assert_ne!(machine.may_subscribe("system:status").unwrap(), all);
        assert_eq!(machine.change_policy(None), PolicyChange::Close(CloseCode::Auth));
        let elsewhere = Caller {
            tenant: TenantId(Uuid::from_u128(2)),
            ..caller(Role::SuperAdmin)
        };
        assert_eq!(machine.change_policy(Some(elsewhere)), PolicyChange::Close(CloseCode::Permission));
    }
}
