//! Tokens: JWTs signed with EdDSA (RFC 8037), `kid` from the start so that keys can be changed.

use aimg_domain::secret::Secret;
use aimg_domain::user::User;
use aimg_domain::{Fault, TenantId, Timestamp, UserId};
use aimg_store::secrets::Keyring;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// Before the 32 bytes of a seed: PKCS #8, version 0, id-Ed25519 (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const ISSUER: &str = "aimg";
/// Longer ones are not looked at.
const TOKEN_BYTES_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenUse {
    Access,
    Refresh,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: UserId,
    /// The user's home tenant.
    pub tid: TenantId,
    /// The user's generation at issue.
    #[serde(rename = "gen")]
    pub generation: u64,
    #[serde(rename = "use")]
    pub token_use: TokenUse,
    /// The sign-in it came from; none for tokens made by the CLI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fam: Option<Uuid>,
    pub jti: Uuid,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
}

impl Claims {
    pub fn expires_at(&self) -> Timestamp {
        Timestamp(self.exp.saturating_mul(1000))
    }

    fn new(user: &User, token_use: TokenUse, jti: Uuid, now: Timestamp, life: Duration) -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            sub: user.id,
            tid: user.tenant_id,
            generation: user.generation,
            token_use,
            fam: None,
            jti,
            iat: now.0.div_euclid(1000),
            exp: now.plus(life).0.div_euclid(1000),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(String);

impl From<jsonwebtoken::errors::Error> for TokenError {
    fn from(error: jsonwebtoken::errors::Error) -> TokenError {
        TokenError(error.to_string())
    }
}

/// Signs and verifies with one key.
pub struct Tokens {
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl Tokens {
    pub fn new(keyring: &Keyring) -> Result<Tokens, TokenError> {
        let seed = keyring.jwt_seed();
        Tokens::from_seed(&seed.kid, &seed.seed)
    }

    fn from_seed(kid: &str, seed: &[u8; 32]) -> Result<Tokens, TokenError> {
        let mut der = PKCS8_ED25519.to_vec();
        der.extend_from_slice(seed);
        let signing = EncodingKey::from_ed_der(&der);
        let public = Jwk::from_encoding_key(&signing, Algorithm::EdDSA)?;
        Ok(Tokens {
            kid: kid.to_owned(),
            verifying: DecodingKey::from_jwk(&public)?,
            signing,
        })
    }

    pub fn sign(&self, claims: &Claims) -> Result<Secret, TokenError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        Ok(Secret::new(jsonwebtoken::encode(&header, claims, &self.signing)?))
    }

    pub fn access(&self, user: &User, family: Option<Uuid>, jti: Uuid, now: Timestamp, life: Duration) -> Result<Secret, TokenError> {
        let mut claims = Claims::new(user, TokenUse::Access, jti, now, life);
        claims.fam = family;
        self.sign(&claims)
    }

    pub fn refresh(&self, user: &User, family: Uuid, jti: Uuid, now: Timestamp, life: Duration) -> Result<Secret, TokenError> {
        let mut claims = Claims::new(user, TokenUse::Refresh, jti, now, life);
        claims.fam = Some(family);
        self.sign(&claims)
    }

    /// Signature, key, use and time; whether the user still is who they were is for the caller to ask.
    pub fn verify(&self, token: &str, wanted: TokenUse, now: Timestamp) -> Result<Claims, Fault> {
        let refused = |detail: &str| Fault::Unauthenticated { detail: detail.into() };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused("this is no token of ours"));
        }
        let claims = self.claims(token).ok_or_else(|| refused("this is no token of ours"))?;
        if claims.token_use != wanted {
            return Err(refused(match wanted {
                TokenUse::Access => "an access token is needed here, this is a refresh token",
                TokenUse::Refresh => "a refresh token is needed here, this is an access token",
            }));
        }
        if claims.expires_at() <= now {
            return Err(refused("this token has expired"));
        }
        Ok(claims)
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.kid.as_deref() != Some(self.kid.as_str()) {
            return None;
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Time is compared with the clock that was handed in.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[ISSUER]);
        Some(jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation).ok()?.claims)
    }
}

/// A short access token for who holds the keys of the node's folder: the CLI on its host.
pub fn issue_token(keyring: &Keyring, user: &User, jti: Uuid, now: Timestamp, life: Duration) -> Result<Secret, TokenError> {
    Tokens::new(keyring)?.access(user, None, jti, now, life)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aimg_domain::Role;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    fn user() -> User {
        User {
            id: UserId(Uuid::from_u128(1)),
            tenant_id: TenantId(Uuid::from_u128(2)),
            email: "a@b.org".into(),
            name: String::new(),
            role: Role::Viewer,
            disabled: false,
            password_hash: Secret::default(),
            generation: 3,
            created_at: Timestamp(0),
        }
    }

    fn tokens(seed: u8) -> Tokens {
        Tokens::from_seed("k", &[seed; 32]).unwrap()
    }

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_is_good_until_its_second_and_only_for_its_use() {
        let tokens = tokens(1);
        let access = tokens.access(&user(), None, Uuid::nil(), NOW, HOUR).unwrap();
        let claims = tokens.verify(access.expose(), TokenUse::Access, NOW).unwrap();
        assert_eq!((claims.sub, claims.tid, claims.generation), (user().id, user().tenant_id, 3));
        assert!(tokens.verify(access.expose(), TokenUse::Refresh, NOW).is_err());
        assert!(tokens.verify(access.expose(), TokenUse::Access, Timestamp(NOW.0 + 3_599_999)).is_ok());
        assert!(tokens.verify(access.expose(), TokenUse::Access, NOW.plus(HOUR)).is_err());
    }

    #[test]
    fn another_key_another_algorithm_and_no_signature_are_refused() {
        let token = tokens(2).access(&user(), None, Uuid::nil(), NOW, HOUR).unwrap();
        assert!(tokens(1).verify(token.expose(), TokenUse::Access, NOW).is_err());
        let good = tokens(1).access(&user(), None, Uuid::nil(), NOW, HOUR).unwrap();
        let payload = good.expose().split('.').nth(1).unwrap().to_owned();
        for header in [r#"{"alg":"none","kid":"k"}"#, r#"{"alg":"HS256","kid":"k"}"#, r#"{"alg":"EdDSA"}"#] {
            let forged = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header));
            assert!(tokens(1).verify(&forged, TokenUse::Access, NOW).is_err(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            prop_assert!(tokens(1).verify(&text, TokenUse::Access, NOW).is_err());
        }

        #[test]
        fn a_changed_byte_is_seen(at in 0usize..400, to in "[A-Za-z0-9_-]") {
            let tokens = tokens(1);
            let good = tokens.access(&user(), None, Uuid::nil(), NOW, HOUR).unwrap();
            let mut text = good.expose().to_owned();
            let at = at % text.len();
            let last = text.len() - 1;
            // The last character of base64 carries bits that mean nothing.
            prop_assume!(at != last && text[at..=at] != to && &text[at..=at] != ".");
            text.replace_range(at..=at, &to);
            prop_assert!(tokens.verify(&text, TokenUse::Access, NOW).is_err());
        }
    }
}
