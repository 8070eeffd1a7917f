//! Keys at rest: the ring that seals secrets in documents, and the seed of the key that signs tokens.
//!
//! Both are files of the node's folder, made at the first start. Whoever can read them can read every secret,
//! so wider permissions than the owner's are refused, not repaired.

mod key_file;

use crate::StoreError;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aimg_domain::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const DATA_KEYS: &str = "data.keys";
const JWT_SEED: &str = "jwt.ed25519";

/// Where randomness comes from: the system's in production, counted in tests.
pub trait Entropy: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), StoreError>;
}

/// The operating system's.
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), StoreError> {
        use rand::TryRng;
        rand::rngs::SysRng
            .try_fill_bytes(bytes)
            .map_err(|error| StoreError::Unavailable(format!("the system's randomness: {error}")))
    }
}

struct DataKey {
    /// Stands before everything the key has sealed: `k1`.
    id: String,
    cipher: Aes256Gcm,
}

/// Seals and opens secrets. The newest key seals, every key of the file opens.
pub struct Keyring {
    keys: Vec<DataKey>,
    jwt: JwtSeed,
    entropy: Box<dyn Entropy>,
}

/// An Ed25519 seed (RFC 8032, 5.1.5) and the name tokens give it.
#[derive(Clone)]
pub struct JwtSeed {
    pub kid: String,
    pub seed: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for JwtSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtSeed({})", self.kid)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.keys.len())
    }
}

impl Keyring {
    /// Reads the keys of this folder, and makes those that are missing.
    pub fn open(folder: &Path) -> Result<Keyring, StoreError> {
        Keyring::open_with(folder, Box::new(OsEntropy))
    }

    pub fn open_with(folder: &Path, entropy: Box<dyn Entropy>) -> Result<Keyring, StoreError> {
        key_file::private_folder(folder)?;
        let data = key_file::read_or_make(&folder.join(DATA_KEYS), || first_data_keys(entropy.as_ref()))?;
        let seed = key_file::read_or_make(&folder.join(JWT_SEED), || random_key(entropy.as_ref()).map(|key| Zeroizing::new(key.to_vec())))?;
        Ok(Keyring {
            keys: parse_data_keys(&data)?,
            jwt: jwt_seed(&seed)?,
            entropy,
        })
    }

    /// Keys that no file holds: for tests and for stores in memory.
    pub fn ephemeral(entropy: Box<dyn Entropy>) -> Result<Keyring, StoreError> {
        let data = first_data_keys(entropy.as_ref())?;
        let seed = random_key(entropy.as_ref())?;
        Ok(Keyring {
            keys: parse_data_keys(&data)?,
            jwt: jwt_seed(seed.as_slice())?,
            entropy,
        })
    }

    pub fn jwt_seed(&self) -> &JwtSeed {
        &self.jwt
    }

    /// `k1:` and base64 of nonce, ciphertext and tag. Bound to its place: moved to another document, field or
    /// kind it does not open.
    pub fn seal(&self, kind: &str, id: Uuid, field: &str, secret: &Secret) -> Result<String, StoreError> {
        let key = self.keys.last().ok_or_else(|| StoreError::Corrupt("a keyring without keys".into()))?;
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce)?;
        let associated = associated_data(kind, id, field);
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: &associated,
        };
        let sealed = key.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| StoreError::TooLarge {
            what: "secret",
            limit: 1 << 36,
        })?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{}:{}", key.id, STANDARD_NO_PAD.encode(bytes)))
    }

    /// `Corrupt` when the key is not in the ring or anything was changed.
    pub fn unseal(&self, kind: &str, id: Uuid, field: &str, sealed: &str) -> Result<Secret, StoreError> {
        let unreadable = |why: &str| StoreError::Corrupt(format!("secret {field} of {kind} {id}: {why}"));
        let (key_id, text) = sealed.split_once(':').ok_or_else(|| unreadable("not sealed"))?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == key_id)
            .ok_or_else(|| unreadable("its key is not in this folder"))?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| unreadable("not base64"))?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| unreadable("too short"))?;
        let associated = associated_data(kind, id, field);
        let payload = Payload {
            msg: ciphertext,
            aad: &associated,
        };
        let plain = key
            .cipher
            .decrypt(&Nonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| unreadable("sealed with another key, or changed"))?;
        let text = std::str::from_utf8(&plain).map_err(|_| unreadable("not a text"))?;
        Ok(Secret::new(text))
    }
}

/// Lengths before the texts, so that no two places give the same bytes.
fn associated_data(kind: &str, id: Uuid, field: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kind.len() + field.len() + 32);
    for part in [kind.as_bytes(), id.as_bytes(), field.as_bytes()] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn random_key(entropy: &dyn Entropy) -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(key.as_mut_slice())?;
    Ok(key)
}

/// A line a key, oldest first: its id, a blank, base64. A rotation appends one.
fn first_data_keys(entropy: &dyn Entropy) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let key = random_key(entropy)?;
    let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(key.as_slice()));
    Ok(Zeroizing::new(format!("k1 {}\n", encoded.as_str()).into_bytes()))
}

fn parse_data_keys(bytes: &[u8]) -> Result<Vec<DataKey>, StoreError> {
    let unreadable = || StoreError::Corrupt(format!("{DATA_KEYS} is not a list of keys"));
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable())?;
    let mut keys = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (id, encoded) = line.split_once(' ').ok_or_else(unreadable)?;
        let key = STANDARD_NO_PAD.decode(encoded.trim()).map(Zeroizing::new).map_err(|_| unreadable())?;
        let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| unreadable())?;
        keys.push(DataKey { id: id.to_owned(), cipher });
    }
    if keys.is_empty() {
        return Err(unreadable());
    }
    Ok(keys)
}

fn jwt_seed(bytes: &[u8]) -> Result<JwtSeed, StoreError> {
    let seed: [u8; 32] = bytes.try_into().map_err(|_| StoreError::Corrupt(format!("{JWT_SEED} is not 32 bytes")))?;
    let digest = Sha256::new_with_prefix(b"aimg jwt kid").chain_update(seed).finalize();
    Ok(JwtSeed {
        kid: digest[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
        seed: Zeroizing::new(seed),
    })
}

#[cfg(test)]
mod tests;
