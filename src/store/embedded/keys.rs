//! Keys at rest: big-endian, so that bytes order as the values do.

use aimg_domain::Timestamp;
use aimg_store::records::Scope;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Longer texts stand in keys as their digest: keys are compared for equality only.
const PLAIN_BYTES: usize = 255;

#[derive(Clone, Default)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn new() -> Key {
        Key(Vec::with_capacity(64))
    }

    #[must_use]
    pub fn uuid(mut self, id: Uuid) -> Key {
        self.0.extend_from_slice(id.as_bytes());
        self
    }

    #[must_use]
    pub fn number(mut self, number: u64) -> Key {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// With the sign turned, so that times before 1970 come first.
    #[must_use]
    pub fn time(self, time: Timestamp) -> Key {
        self.number(time.0.cast_unsigned() ^ (1 << 63))
    }

    /// Its length stands before it: no text is the beginning of another.
    #[must_use]
    pub fn text(mut self, text: &str) -> Key {
        match u8::try_from(text.len()) {
            Ok(length) if text.len() < PLAIN_BYTES => {
                self.0.push(length);
                self.0.extend_from_slice(text.as_bytes());
            }
            _ => {
                self.0.push(u8::MAX);
                self.0.extend_from_slice(&Sha256::digest(text));
            }
        }
        self
    }

    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Key {
        match scope {
            Scope::Platform => {
                self.0.push(0);
                self.uuid(Uuid::nil())
            }
            Scope::Tenant(tenant) => {
                self.0.push(1);
                self.uuid(tenant.0)
            }
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first key that does not begin with this one. `None` when there is none.
    pub fn end(&self) -> Option<Key> {
        let mut bytes = self.0.clone();
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                return Some(Key(bytes));
            }
        }
        None
    }
}

/// The last 16 bytes of a key as an id. `None` when it has fewer.
pub fn last_uuid(key: &[u8]) -> Option<Uuid> {
    key.last_chunk().copied().map(Uuid::from_bytes)
}

/// The 8 bytes before the last 16 as a time, as `time` wrote them.
pub fn time_before_last_uuid(key: &[u8]) -> Option<Timestamp> {
    let before = key.len().checked_sub(16).and_then(|at| key.get(..at))?;
    before
        .last_chunk()
        .map(|bytes| Timestamp((u64::from_be_bytes(*bytes) ^ (1 << 63)).cast_signed()))
}

/// The last 8 bytes of a key as a number.
pub fn last_number(key: &[u8]) -> Option<u64> {
    key.last_chunk().copied().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_order_as_their_keys_and_come_back(a: i64, b: i64, id: u128) {
            let key = |time| Key::new().time(Timestamp(time)).uuid(Uuid::from_u128(id));
            prop_assert_eq!(a.cmp(&b), key(a).as_bytes().cmp(key(b).as_bytes()));
            prop_assert_eq!(time_before_last_uuid(key(a).as_bytes()), Some(Timestamp(a)));
            prop_assert_eq!(last_uuid(key(a).as_bytes()), Some(Uuid::from_u128(id)));
        }

        #[test]
        fn no_texts_key_is_the_beginning_of_another(a in ".{0,300}", b in ".{0,300}") {
            let (x, y) = (Key::new().text(&a), Key::new().text(&b));
            prop_assert_eq!(a == b, x.as_bytes().starts_with(y.as_bytes()));
        }

        #[test]
        fn the_end_is_above_all_that_begins_so_and_below_the_rest(prefix: Vec<u8>, other: Vec<u8>) {
            let key = Key(prefix.clone());
            let within = key.end().is_none_or(|end| other.as_slice() < end.as_bytes()) && other >= prefix;
            prop_assert_eq!(within, other.starts_with(&prefix));
        }
    }
}
