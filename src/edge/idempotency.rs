//! `Idempotency-Key`: a POST that makes something happen, asked twice, happens once; the second asking gets the
//! first one's answer. Remembered for 24 h in the Shared port, which may lose it: what does not fit there is not
//! remembered.

use crate::Edge;
use crate::caller::Identity;
use crate::reply::{Body, Reply};
use aimg_domain::Fault;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;

const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// As long as the slowest row may take, and some.
const UNDER_WAY: Duration = Duration::from_secs(120);
const KEY_CHARS_MAX: usize = 255;
/// Larger answers are not remembered.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const KEPT_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub enum Once {
    /// No key was given.
    Unkeyed,
    /// To be done now.
    First(Key),
    Replay(Reply),
}

pub struct Key {
    flag: String,
    owner: String,
    fingerprint: String,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    fingerprint: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

pub async fn begin(edge: &Edge, identity: Option<&Identity>, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Once, Fault> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(Once::Unkeyed);
    };
    let given = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX);
    let Some(given) = given else {
        return Err(Fault::invalid("Idempotency-Key", format!("1 to {KEY_CHARS_MAX} printable ASCII characters")));
    };
    let who = identity.map_or_else(String::new, |identity| format!("{}/{}", identity.caller.user, identity.caller.tenant));
    let path = path.trim_end_matches('/');
    let key = Key {
        flag: format!(
            "idem:{}",
            digest(&[who.as_bytes(), method.as_str().as_bytes(), path.as_bytes(), given.as_bytes()])
        ),
        owner: edge.ids.uuid().to_string(),
        fingerprint: digest(&[body]),
    };
    if let Some(reply) = remembered(edge, &key).await? {
        return Ok(Once::Replay(reply));
    }
    match edge.shared.lock(&key.flag, &key.owner, UNDER_WAY).await {
        Ok(true) => {}
        Ok(false) => {
            return Err(Fault::Conflict {
                detail: "a request with this Idempotency-Key is under way".into(),
            });
        }
        Err(error) => tracing::warn!(%error, "idempotency keys cannot be remembered now"),
    }
    // It may have ended between the two looks.
    match remembered(edge, &key).await? {
        Some(reply) => {
            let _ = edge.shared.unlock(&key.flag, &key.owner).await;
            Ok(Once::Replay(reply))
        }
        None => Ok(Once::First(key)),
    }
}

async fn remembered(edge: &Edge, key: &Key) -> Result<Option<Reply>, Fault> {
    let stored = match edge.shared.flag(&key.flag).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(%error, "idempotency keys cannot be read now");
            None
        }
    };
    let Some(stored) = stored.and_then(|text| serde_json::from_str::<Remembered>(&text).ok()) else {
        return Ok(None);
    };
    if stored.fingerprint != key.fingerprint {
        return Err(Fault::Conflict {
            detail: "this Idempotency-Key was used with another body".into(),
        });
    }
    let mut reply = Reply::new(StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK));
    for (name, value) in &stored.headers {
        if let Ok(name) = name.parse::<HeaderName>() {
            reply = reply.header(name, value);
        }
    }
    reply.body = Body::Whole(stored.body.into());
    Ok(Some(reply.header(REPLAYED, "true")))
}

/// Remembers what came of it, unless it certainly did nothing: then it may be asked again.
pub async fn end(edge: &Edge, once: Once, result: &Result<Reply, Fault>) {
    let Once::First(key) = once else { return };
    let fault_reply;
    let reply = match result {
        Ok(reply) => Some(reply),
        Err(fault) if nothing_happened(fault) => None,
        Err(fault) => {
            fault_reply = Reply::fault(fault);
            Some(&fault_reply)
        }
    };
    if let Some(text) = reply.and_then(|reply| remember(&key, reply))
        && let Err(error) = edge.shared.set_flag(&key.flag, &text, REMEMBERED).await
    {
        tracing::warn!(%error, "an idempotency key was not remembered");
    }
    let _ = edge.shared.unlock(&key.flag, &key.owner).await;
}

fn nothing_happened(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Invalid { .. }
            | Fault::Unauthenticated { .. }
            | Fault::Forbidden { .. }
            | Fault::NotFound { .. }
            | Fault::VersionMismatch { .. }
            | Fault::NotPossibleHere { .. }
            | Fault::PbxDown { .. }
            | Fault::Unavailable { .. }
            | Fault::TooLarge { .. }
            | Fault::TooMany { .. }
    )
}

fn remember(key: &Key, reply: &Reply) -> Option<String> {
    let Body::Whole(bytes) = &reply.body else { return None };
    if bytes.len() > ANSWER_BYTES_MAX {
        return None;
    }
    let headers = KEPT_HEADERS
        .iter()
        .filter_map(|name| Some((name.as_str().to_owned(), reply.headers.get(name)?.to_str().ok()?.to_owned())));
    let remembered = Remembered {
        fingerprint: key.fingerprint.clone(),
        status: reply.status.as_u16(),
        headers: headers.collect(),
        body: String::from_utf8(bytes.to_vec()).ok()?,
    };
    serde_json::to_string(&remembered).ok()
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
