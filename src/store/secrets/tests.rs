#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU8, Ordering};

struct Counted(AtomicU8);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), StoreError> {
        for byte in bytes {
            *byte = self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn ring() -> Keyring {
    Keyring::ephemeral(Box::new(Counted(AtomicU8::new(0)))).unwrap()
}

const ID: Uuid = Uuid::from_u128(7);

#[test]
fn what_was_sealed_opens_at_its_place_and_nowhere_else() {
    let ring = ring();
    let sealed = ring.seal("pbx", ID, "ami.secret", &Secret::new("s3cret \u{0}\u{1F600}")).unwrap();
    assert!(sealed.starts_with("k1:") && !sealed.contains("s3cret"));
    assert_eq!(ring.unseal("pbx", ID, "ami.secret", &sealed).unwrap().expose(), "s3cret \u{0}\u{1F600}");
    for (kind, id, field) in [
        ("link", ID, "ami.secret"),
        ("pbx", Uuid::from_u128(8), "ami.secret"),
        ("pbx", ID, "ari.password"),
    ] {
        assert!(matches!(ring.unseal(kind, id, field, &sealed), Err(StoreError::Corrupt(_))));
    }
}

#[test]
fn a_changed_byte_or_a_foreign_key_does_not_open() {
    let ring = ring();
    let sealed = ring.seal("pbx", ID, "f", &Secret::new("x")).unwrap();
    let mut bytes = STANDARD_NO_PAD.decode(&sealed[3..]).unwrap();
    for i in 0..bytes.len() {
        bytes[i] ^= 1;
        let changed = format!("k1:{}", STANDARD_NO_PAD.encode(&bytes));
        assert!(ring.unseal("pbx", ID, "f", &changed).is_err(), "byte {i}");
        bytes[i] ^= 1;
    }
    for bad in ["", "k1", "k1:", "k1:!!", "k9:AAAA", "k1:AAAA"] {
        assert!(ring.unseal("pbx", ID, "f", bad).is_err(), "{bad:?}");
    }
    let foreign = Keyring::ephemeral(Box::new(Counted(AtomicU8::new(100)))).unwrap();
    assert!(foreign.unseal("pbx", ID, "f", &sealed).is_err());
}

#[test]
fn two_seals_of_one_secret_differ() {
    let ring = ring();
    let secret = Secret::new("x");
    assert_ne!(ring.seal("pbx", ID, "f", &secret).unwrap(), ring.seal("pbx", ID, "f", &secret).unwrap());
}

#[test]
fn keys_are_made_once_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let first = Keyring::open(&keys).unwrap();
    let sealed = first.seal("pbx", ID, "f", &Secret::new("kept")).unwrap();
    let second = Keyring::open(&keys).unwrap();
    assert_eq!(second.unseal("pbx", ID, "f", &sealed).unwrap().expose(), "kept");
    assert_eq!(first.jwt_seed().kid, second.jwt_seed().kid);
    assert_eq!(*first.jwt_seed().seed, *second.jwt_seed().seed);
    let names: Vec<_> = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), 2, "nothing left aside");
    for entry in names {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_key_file_that_others_may_read_is_refused_and_names_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    Keyring::open(folder.path()).unwrap();
    for file in [DATA_KEYS, JWT_SEED] {
        let path = folder.path().join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Keyring::open(folder.path()).expect_err("refused").to_string();
        assert!(error.contains(file) && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_ring_with_a_second_key_seals_with_it_and_still_opens_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let old = Keyring::open(folder.path()).unwrap();
    let sealed = old.seal("pbx", ID, "f", &Secret::new("old")).unwrap();
    let path = folder.path().join(DATA_KEYS);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str(&format!("k2 {}\n", STANDARD_NO_PAD.encode([9; 32])));
    fs::write(&path, text).unwrap();
    let rotated = Keyring::open(folder.path()).unwrap();
    assert_eq!(rotated.unseal("pbx", ID, "f", &sealed).unwrap().expose(), "old");
    assert!(rotated.seal("pbx", ID, "f", &Secret::new("new")).unwrap().starts_with("k2:"));
}

#[test]
fn nothing_shows_a_key() {
    let ring = ring();
    let shown = format!("{ring:?} {:?}", ring.jwt_seed());
    assert_eq!(shown, format!("Keyring(1 keys) JwtSeed({})", ring.jwt_seed().kid));
}
