//! `Shared` in memory, bounded. When full it forgets what has expired, then what would expire first; tickets
//! and locks are never forgotten early, they are refused.

use crate::StoreError;
use crate::shared::{Allowance, Rate, Shared};
use aimg_domain::Clock;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub struct MemoryShared {
    clock: Arc<dyn Clock>,
    entries_max: usize,
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key(Shape, String);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    Bucket,
    Counter,
    Flag,
    Ticket,
    Lock,
}

struct Entry {
    expires: Duration,
    value: Value,
}

enum Value {
    Bucket { tokens: f64, at: Duration },
    Counter(i64),
    Text(String),
}

impl MemoryShared {
    pub fn new(clock: Arc<dyn Clock>, entries_max: usize) -> MemoryShared {
        MemoryShared {
            clock,
            entries_max: entries_max.max(1),
            entries: Mutex::new(HashMap::new()),
        }
    }

    /// For tests and gauges.
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Key, Entry>, Duration) -> T) -> T {
        let now = self.clock.monotonic();
        act(&mut self.entries.lock(), now)
    }

    /// Room for `key`, by forgetting others if need be.
    fn make_room(&self, entries: &mut HashMap<Key, Entry>, key: &Key, now: Duration) -> Result<(), StoreError> {
        if entries.contains_key(key) || entries.len() < self.entries_max {
            return Ok(());
        }
        entries.retain(|_, entry| entry.expires > now);
        // A tenth at once, so that a full map does not pay a pass for each new entry.
        let wanted = self.entries_max - self.entries_max.div_ceil(10);
        if entries.len() <= wanted {
            return Ok(());
        }
        let lossy = entries.iter().filter(|(key, _)| !matches!(key.0, Shape::Ticket | Shape::Lock));
        let mut victims: Vec<(Duration, Key)> = lossy.map(|(key, entry)| (entry.expires, key.clone())).collect();
        victims.sort_unstable_by_key(|(expires, _)| *expires);
        let surplus = entries.len() - wanted;
        for (_, key) in victims.into_iter().take(surplus) {
            entries.remove(&key);
        }
        if entries.len() < self.entries_max {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!("{} tickets and locks are out", entries.len())))
    }

    fn put(&self, shape: Shape, key: &str, value: Value, lives: Duration) -> Result<(), StoreError> {
        self.with(|entries, now| {
            let key = Key(shape, key.to_owned());
            self.make_room(entries, &key, now)?;
            let expires = now.saturating_add(lives);
            entries.insert(key, Entry { expires, value });
            Ok(())
        })
    }
}

fn live<'a>(entries: &'a mut HashMap<Key, Entry>, key: &Key, now: Duration) -> Option<&'a mut Entry> {
    entries.get_mut(key).filter(|entry| entry.expires > now)
}

#[async_trait]
impl Shared for MemoryShared {
    async fn take(&self, key: &str, rate: Rate, cost: f64) -> Result<Allowance, StoreError> {
        if !(cost >= 0.0 && rate.per_second > 0.0 && rate.burst >= cost) {
            return Ok(Allowance::Refused { retry_after: Duration::MAX });
        }
        self.with(|entries, now| {
            let key = Key(Shape::Bucket, key.to_owned());
            let tokens = match live(entries, &key, now) {
                Some(Entry {
                    value: Value::Bucket { tokens, at },
                    ..
                }) => (*tokens + now.saturating_sub(*at).as_secs_f64() * rate.per_second).min(rate.burst),
                _ => rate.burst,
            };
            if tokens < cost {
                let seconds = (cost - tokens) / rate.per_second;
                let retry_after = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                return Ok(Allowance::Refused { retry_after });
            }
            self.make_room(entries, &key, now)?;
            let left = tokens - cost;
            // A bucket that is full again need not be remembered.
            let full_in = Duration::try_from_secs_f64((rate.burst - left) / rate.per_second).unwrap_or(Duration::MAX);
            let entry = Entry {
                expires: now.saturating_add(full_in),
                value: Value::Bucket { tokens: left, at: now },
            };
            entries.insert(key, entry);
            Ok(Allowance::Granted { remaining: left as u64 })
        })
    }

    async fn count(&self, key: &str, add: i64, window: Duration) -> Result<i64, StoreError> {
        self.with(|entries, now| {
            let key = Key(Shape::Counter, key.to_owned());
            if let Some(Entry {
                value: Value::Counter(count), ..
            }) = live(entries, &key, now)
            {
                *count = count.saturating_add(add);
                return Ok(*count);
            }
            self.make_room(entries, &key, now)?;
            let expires = now.saturating_add(window);
            entries.insert(
                key,
                Entry {
                    expires,
                    value: Value::Counter(add),
                },
            );
            Ok(add)
        })
    }

    async fn set_flag(&self, key: &str, value: &str, lives: Duration) -> Result<(), StoreError> {
        self.put(Shape::Flag, key, Value::Text(value.to_owned()), lives)
    }

    async fn flag(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.with(|entries, now| match live(entries, &Key(Shape::Flag, key.to_owned()), now) {
            Some(Entry { value: Value::Text(text), .. }) => Ok(Some(text.clone())),
            _ => Ok(None),
        })
    }

    async fn clear_flag(&self, key: &str) -> Result<(), StoreError> {
        self.with(|entries, _| {
            entries.remove(&Key(Shape::Flag, key.to_owned()));
        });
        Ok(())
    }

    async fn put_ticket(&self, ticket: &str, value: &str, lives: Duration) -> Result<(), StoreError> {
        self.put(Shape::Ticket, ticket, Value::Text(value.to_owned()), lives)
    }

    async fn take_ticket(&self, ticket: &str) -> Result<Option<String>, StoreError> {
        self.with(|entries, now| match entries.remove(&Key(Shape::Ticket, ticket.to_owned())) {
            Some(Entry {
                expires,
                value: Value::Text(text),
            }) if expires > now => Ok(Some(text)),
            _ => Ok(None),
        })
    }

    async fn lock(&self, key: &str, owner: &str, lives: Duration) -> Result<bool, StoreError> {
        self.with(|entries, now| {
            let key = Key(Shape::Lock, key.to_owned());
            if let Some(Entry {
                value: Value::Text(holder), ..
            }) = live(entries, &key, now)
                && holder != owner
            {
                return Ok(false);
            }
            self.make_room(entries, &key, now)?;
            let expires = now.saturating_add(lives);
            let value = Value::Text(owner.to_owned());
            entries.insert(key, Entry { expires, value });
            Ok(true)
        })
    }

    async fn unlock(&self, key: &str, owner: &str) -> Result<(), StoreError> {
        self.with(|entries, now| {
            let key = Key(Shape::Lock, key.to_owned());
            if let Some(Entry {
                value: Value::Text(holder), ..
            }) = live(entries, &key, now)
                && holder == owner
            {
                entries.remove(&key);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use aimg_domain::Timestamp;

    struct Hand(Mutex<Duration>);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn monotonic(&self) -> Duration {
            *self.0.lock()
        }
    }

    fn shared(entries_max: usize) -> (Arc<Hand>, MemoryShared) {
        let hand = Arc::new(Hand(Mutex::new(Duration::from_secs(100))));
        (hand.clone(), MemoryShared::new(hand, entries_max))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_bucket_grants_its_burst_then_says_when_to_come_again() {
        let (hand, shared) = shared(100);
        let rate = Rate { per_second: 2.0, burst: 3.0 };
        for remaining in [2, 1, 0] {
            assert_eq!(shared.take("a", rate, 1.0).await.unwrap(), Allowance::Granted { remaining });
        }
        let refused = Allowance::Refused { retry_after: SECOND / 2 };
        assert_eq!(shared.take("a", rate, 1.0).await.unwrap(), refused);
        assert_eq!(shared.take("b", rate, 1.0).await.unwrap(), Allowance::Granted { remaining: 2 });
        *hand.0.lock() += SECOND / 2;
        assert_eq!(shared.take("a", rate, 1.0).await.unwrap(), Allowance::Granted { remaining: 0 });
        *hand.0.lock() += SECOND * 100;
        assert_eq!(shared.take("a", rate, 3.0).await.unwrap(), Allowance::Granted { remaining: 0 });
        assert!(matches!(shared.take("a", rate, 4.0).await.unwrap(), Allowance::Refused { .. }));
    }

    #[tokio::test]
    async fn a_ticket_is_taken_once_and_not_after_its_time() {
        let (hand, shared) = shared(100);
        shared.put_ticket("t", "v", SECOND).await.unwrap();
        assert_eq!(shared.take_ticket("t").await.unwrap().as_deref(), Some("v"));
        assert_eq!(shared.take_ticket("t").await.unwrap(), None);
        shared.put_ticket("t", "v", SECOND).await.unwrap();
        *hand.0.lock() += SECOND;
        assert_eq!(shared.take_ticket("t").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_lock_is_its_owners_until_freed_or_expired() {
        let (hand, shared) = shared(100);
        assert!(shared.lock("l", "a", SECOND).await.unwrap());
        assert!(shared.lock("l", "a", SECOND * 2).await.unwrap());
        assert!(!shared.lock("l", "b", SECOND).await.unwrap());
        shared.unlock("l", "b").await.unwrap();
        assert!(!shared.lock("l", "b", SECOND).await.unwrap());
        *hand.0.lock() += SECOND * 2;
        assert!(shared.lock("l", "b", SECOND).await.unwrap());
        shared.unlock("l", "b").await.unwrap();
        assert!(shared.lock("l", "a", SECOND).await.unwrap());
    }

    #[tokio::test]
    async fn counters_and_flags_forget_themselves() {
        let (hand, shared) = shared(100);
        assert_eq!(shared.count("c", 2, SECOND).await.unwrap(), 2);
        assert_eq!(shared.count("c", -1, SECOND * 9).await.unwrap(), 1);
        shared.set_flag("f", "on", SECOND).await.unwrap();
        assert_eq!(shared.flag("f").await.unwrap().as_deref(), Some("on"));
        *hand.0.lock() += SECOND;
        assert_eq!(shared.flag("f").await.unwrap(), None);
        assert_eq!(shared.count("c", 5, SECOND).await.unwrap(), 5);
        shared.clear_flag("f").await.unwrap();
    }

    #[tokio::test]
    async fn it_never_holds_more_than_its_bound_and_loses_no_ticket() {
        let (_, shared) = shared(10);
        for i in 0..5 {
            shared.put_ticket(&format!("t{i}"), "v", SECOND).await.unwrap();
        }
        for i in 0..1000 {
            shared.set_flag(&format!("f{i}"), "v", SECOND * 60).await.unwrap();
            assert!(shared.len() <= 10);
        }
        for i in 5..10 {
            shared.put_ticket(&format!("t{i}"), "v", SECOND).await.unwrap();
        }
        assert!(matches!(shared.put_ticket("t10", "v", SECOND).await, Err(StoreError::Unavailable(_))));
        for i in 0..10 {
            assert_eq!(shared.take_ticket(&format!("t{i}")).await.unwrap().as_deref(), Some("v"));
        }
    }
}
