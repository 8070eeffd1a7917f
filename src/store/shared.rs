//! Port `Shared`: counters, flags, tickets and short locks of the whole fleet. May be lost at any time: never
//! the only place where something lives.

use crate::error::StoreError;
use async_trait::async_trait;
use std::time::Duration;

/// How a token bucket fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    Granted {
        remaining: u64,
    },
    /// Nothing was taken.
    Refused {
        retry_after: Duration,
    },
}

#[async_trait]
pub trait Shared: Send + Sync + 'static {
    /// Takes `cost` from the bucket `key`, or nothing. A cost above the burst is never granted.
    async fn take(&self, key: &str, rate: Rate, cost: f64) -> Result<Allowance, StoreError>;
    /// Adds to a counter that forgets itself `window` after its first addition. The new value.
    async fn count(&self, key: &str, add: i64, window: Duration) -> Result<i64, StoreError>;
    async fn set_flag(&self, key: &str, value: &str, lives: Duration) -> Result<(), StoreError>;
    async fn flag(&self, key: &str) -> Result<Option<String>, StoreError>;
    async fn clear_flag(&self, key: &str) -> Result<(), StoreError>;
    /// A value that can be taken once. `Unavailable` when there is no room: it must not be lost unseen.
    async fn put_ticket(&self, ticket: &str, value: &str, lives: Duration) -> Result<(), StoreError>;
    async fn take_ticket(&self, ticket: &str) -> Result<Option<String>, StoreError>;
    /// `true` when `owner` holds the lock now; its own lock is prolonged.
    async fn lock(&self, key: &str, owner: &str, lives: Duration) -> Result<bool, StoreError>;
    /// Only the owner's.
    async fn unlock(&self, key: &str, owner: &str) -> Result<(), StoreError>;
}
