//! What a handler gets: who asks, for which tenant, with what, and until when.

use crate::Edge;
use crate::auth::Claims;
use crate::spec::Checked;
use aimg_domain::{Caller, Fault, TenantId, Timestamp};
use aimg_wire::request::{Asked, TenantReply, TenantRequest};
use http::{HeaderMap, header};
use hyper::upgrade::OnUpgrade;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Kept back from what is left, so that our own answer still arrives in time.
const MARGIN: Duration = Duration::from_millis(250);

pub struct Ask {
    pub edge: Arc<Edge>,
    pub caller: Option<Caller>,
    /// Of the token, where one was shown.
    pub claims: Option<Claims>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    pub params: Vec<(String, String)>,
    pub path: String,
    pub raw_query: String,
    pub query: Checked,
    pub body: Checked,
    pub headers: HeaderMap,
    pub head: bool,
    pub peer: SocketAddr,
    pub deadline: Instant,
    pub upgrade: Option<OnUpgrade>,
}

impl Ask {
    /// The gate has made sure that there is one on every row that is not public.
    pub fn caller(&self) -> Result<&Caller, Fault> {
        self.caller.as_ref().ok_or_else(|| Fault::Unauthenticated {
            detail: "sign in first".into(),
        })
    }

    pub fn tenant(&self) -> Result<TenantId, Fault> {
        Ok(self.caller()?.tenant)
    }

    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The id in the path. What is no id names nothing.
    pub fn id<T: FromStr>(&self, what: &str) -> Result<T, Fault> {
        self.param("id").parse().map_err(|_| Fault::not_found(what))
    }

    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).saturating_sub(MARGIN)
    }

    pub fn asked<T>(&self, body: T) -> Result<Asked<T>, Fault> {
        let caller = self.caller()?.clone();
        Ok(Asked {
            tenant: caller.tenant,
            caller,
            remaining_ms: u64::try_from(self.remaining().as_millis()).unwrap_or(u64::MAX),
            body,
        })
    }

    pub async fn ask_tenant(&self, request: TenantRequest) -> Result<TenantReply, Fault> {
        self.edge.platform.tenant(self.asked(request)?).await
    }

    pub fn now(&self) -> Timestamp {
        self.edge.clock.now()
    }

    /// The version that `If-Match` names: `"3"`. `*` and an absent header name none.
    pub fn if_match(&self) -> Result<Option<u64>, Fault> {
        let Some(value) = self.headers.get(header::IF_MATCH) else { return Ok(None) };
        let text = value.to_str().unwrap_or("").trim();
        if text == "*" {
            return Ok(None);
        }
        let version = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .and_then(|text| text.parse().ok());
        version
            .map(Some)
            .ok_or_else(|| Fault::invalid("If-Match", "the ETag of an earlier answer, such as \"3\""))
    }

    /// Refuses when `If-Match` names another version than the stored one.
    pub fn check_version(&self, stored: u64) -> Result<(), Fault> {
        match self.if_match()? {
            Some(named) if named != stored => Err(Fault::VersionMismatch { current: stored }),
            _ => Ok(()),
        }
    }
}
