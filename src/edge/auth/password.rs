//! Passwords: argon2id, off the async threads, few at once.

use crate::faults::internal;
use aimg_domain::Fault;
use aimg_domain::secret::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
fn argon() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// A PHC string. Takes some 20 ms and 19 MiB: not for an async thread.
pub fn hash_password(password: &str) -> Result<Secret, Fault> {
    let hash = argon()
        .hash_password(password.as_bytes())
        .map_err(|error| internal(&format!("argon2: {error}")))?;
    Ok(Secret::new(hash.to_string()))
}

fn verify(password: &str, hash: &Secret) -> bool {
    PasswordHash::new(hash.expose()).is_ok_and(|parsed| argon().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// Bounds how many are hashed at once and how many wait; beyond that: try again later.
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Passwords {
    pub fn new(running: usize, waiting: usize) -> Passwords {
        Passwords {
            running: Arc::new(Semaphore::new(running.max(1))),
            waiting: Arc::new(Semaphore::new(running.max(1) + waiting)),
        }
    }

    pub async fn hash(&self, password: String) -> Result<Secret, Fault> {
        self.run(move || hash_password(&password)).await?
    }

    /// With no hash (no such user) it takes as long as with one.
    pub async fn verify(&self, password: String, hash: Option<Secret>) -> Result<bool, Fault> {
        self.run(move || match hash {
            Some(hash) => verify(&password, &hash),
            None => {
                let _ = hash_password(&password);
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let busy = || Fault::TooMany {
            detail: "too many sign-ins at once".into(),
            retry_after_ms: 2000,
        };
        let queued = self.waiting.clone().try_acquire_owned().map_err(|_| busy())?;
        let permit = self.running.clone().acquire_owned().await.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((queued, permit));
            result
        });
        done.await.map_err(|error| internal(&format!("a password check: {error}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::new(1, 4);
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horsf".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn beyond_the_bound_it_says_try_again() {
        let passwords = Passwords::new(1, 0);
        let held = passwords.waiting.clone().acquire_owned().await.unwrap();
        assert!(matches!(passwords.verify("x".into(), None).await, Err(Fault::TooMany { .. })));
        drop(held);
        assert_eq!(passwords.verify("x".into(), None).await, Ok(false));
    }
}
