//! Which shard something belongs to: a pure function of its stored placement key. The shard's node comes with
//! the fleet.
//!
//! This crate must never know who is alive.

use sha2::{Digest, Sha256};

/// For ever: the number is part of what is stored.
pub const SHARDS: u16 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(u16);

impl ShardId {
    /// The first 16 bits of the key's SHA-256, modulo [`SHARDS`].
    pub fn of(placement_key: &str) -> ShardId {
        let digest = Sha256::digest(placement_key.as_bytes());
        ShardId(u16::from_be_bytes([digest[0], digest[1]]) % SHARDS)
    }

    pub fn number(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_a_key_never_changes() {
        assert_eq!(ShardId::of("").number(), 0xe3b0 % SHARDS);
        assert_eq!(ShardId::of("abc").number(), 0xba78 % SHARDS);
    }

    #[test]
    fn keys_spread_over_all_shards() {
        let mut counts = vec![0_u32; usize::from(SHARDS)];
        for n in 0..100_000 {
            counts[usize::from(ShardId::of(&format!("tenant-{n}")).number())] += 1;
        }
        // 24 a shard on average; a fair hash leaves no shard empty and none with three times its share.
        assert!(counts.iter().all(|&count| (1..73).contains(&count)));
    }
}
