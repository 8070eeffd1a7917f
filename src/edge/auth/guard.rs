//! Guessing passwords is made slow.

use crate::ask::Ask;
use aimg_domain::Fault;

/// Counts wrong passwords by email and address, and by address alone. Only failures count; a Shared that is down
/// does not keep people out.
pub struct LoginGuard<'a> {
    ask: &'a Ask,
    pair: String,
    address: String,
}

impl<'a> LoginGuard<'a> {
    pub fn new(ask: &'a Ask, email: &str) -> LoginGuard<'a> {
        let address = ask.peer.ip();
        LoginGuard {
            ask,
            pair: format!("login:{address}:{email}"),
            address: format!("login:{address}"),
        }
    }

    pub async fn check(&self) -> Result<(), Fault> {
        let config = &self.ask.edge.config;
        for (key, limit) in [(&self.pair, config.login_failures), (&self.address, config.login_failures_per_address)] {
            if self.add(key, 0).await >= i64::from(limit) {
                return Err(Fault::TooMany {
                    detail: "too many wrong passwords, try again later".into(),
                    retry_after_ms: u64::try_from(config.login_window.as_millis()).unwrap_or(u64::MAX),
                });
            }
        }
        Ok(())
    }

    pub async fn failed(&self) {
        self.add(&self.pair, 1).await;
        self.add(&self.address, 1).await;
    }

    /// The right password clears what typing errors left.
    pub async fn succeeded(&self) {
        let before = self.add(&self.pair, 0).await;
        if before > 0 {
            self.add(&self.pair, -before).await;
        }
    }

    async fn add(&self, key: &str, add: i64) -> i64 {
        let config = &self.ask.edge.config;
        match self.ask.edge.shared.count(key, add, config.login_window).await {
            Ok(count) => count,
            Err(error) => {
                tracing::warn!(%error, "wrong passwords cannot be counted now");
                0
            }
        }
    }
}
