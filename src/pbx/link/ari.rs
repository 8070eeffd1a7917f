//! ARI's REST: one pool of connections, a deadline for each request, refusals by their kind.

use crate::error::PbxError;
use aimg_domain::pbx::AriAccess;
use aimg_pbx::ari::answer::refusal_text;
use aimg_pbx::ari::request::basic_authorization;
use aimg_pbx::ari::{Answer, Method, Request};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use std::time::Duration;
use tokio::time::timeout;

/// Asterisk closes idle connections after 15 s (its default).
const IDLE: Duration = Duration::from_secs(10);
/// Lists of some ten thousand channels fit.
const BODY_MAX: usize = 32 * 1024 * 1024;

/// Where an ARI is, read from its URL once.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// `/ari`, or what stands before it behind a proxy.
    pub path: String,
    pub authorization: HeaderValue,
}

impl Endpoint {
    pub(crate) fn new(access: &AriAccess) -> Result<Endpoint, PbxError> {
        let url: reqwest::Url = access.url.parse().map_err(|_| invalid("it is no URL"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(invalid("it must begin with http:// or https://")),
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(invalid("user, password and query do not belong in it"));
        }
        let path = url.path().trim_end_matches('/');
        let path = if path.ends_with("/ari") { path.to_owned() } else { format!("{path}/ari") };
        let mut authorization = HeaderValue::from_str(&basic_authorization(&access.username, access.password.expose()))
            .map_err(|_| invalid("user name or password cannot be sent"))?;
        authorization.set_sensitive(true);
        Ok(Endpoint {
            host: url.host_str().ok_or_else(|| invalid("it names no host"))?.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().ok_or_else(|| invalid("it names no port"))?,
            tls,
            path,
            authorization,
        })
    }

    /// `host:port`, with brackets where the host is an IPv6 address.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn invalid(why: &str) -> PbxError {
    PbxError::Invalid(format!("the ARI url is not usable: {why}"))
}

#[derive(Clone)]
pub struct AriClient {
    http: reqwest::Client,
    base: String,
    authorization: HeaderValue,
}

impl std::fmt::Debug for AriClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AriClient({})", self.base)
    }
}

impl AriClient {
    /// `connect_within` bounds name resolution and TCP.
    pub fn new(access: &AriAccess, connect_within: Duration) -> Result<AriClient, PbxError> {
        let endpoint = Endpoint::new(access)?;
        if endpoint.tls {
            return Err(PbxError::Invalid(
                "TLS to the PBX is not supported yet: use a private network or a tunnel".into(),
            ));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(connect_within)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| PbxError::Invalid(error.to_string()))?;
        Ok(AriClient {
            http,
            base: format!("http://{}{}", endpoint.authority(), endpoint.path),
            authorization: endpoint.authorization,
        })
    }

    /// The answer where its status is 2xx; a refusal by its kind otherwise.
    pub async fn send(&self, request: &Request, deadline: Duration) -> Result<Answer, PbxError> {
        match timeout(deadline, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(PbxError::Timeout { what: request.what() }),
        }
    }

    /// The same, read as `T`.
    pub async fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request, deadline: Duration) -> Result<T, PbxError> {
        let answer = self.send(request, deadline).await?;
        answer.json().map_err(|text| PbxError::Refused { status: answer.status, text })
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, PbxError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self
            .http
            .request(method, format!("{}{}", self.base, request.target()))
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut response = builder.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(PbxError::Refused {
                    status,
                    text: format!("the answer is larger than {BODY_MAX} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            200..=299 => Ok(Answer { status, body }),
            _ => Err(PbxError::from_status(status, refusal_text(&body))),
        }
    }
}

/// The innermost cause says what a person can act on: `Connection refused`.
fn unreachable(error: reqwest::Error) -> PbxError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    PbxError::Unreachable(cause.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aimg_domain::secret::Secret;

    fn endpoint(url: &str) -> Result<Endpoint, PbxError> {
        Endpoint::new(&AriAccess {
            url: url.into(),
            username: "ari".into(),
            password: Secret::new("x"),
        })
    }

    #[test]
    fn the_path_ari_is_added_where_it_is_missing() {
        for (url, authority, path) in [
            ("http://pbx:8088", "pbx:8088", "/ari"),
            ("http://pbx:8088/ari/", "pbx:8088", "/ari"),
            ("http://pbx/proxy", "pbx:80", "/proxy/ari"),
            ("http://[::1]:8088/ari", "[::1]:8088", "/ari"),
        ] {
            let endpoint = endpoint(url).unwrap();
            assert_eq!((endpoint.authority().as_str(), endpoint.path.as_str()), (authority, path), "{url}");
        }
    }

    #[test]
    fn a_url_with_a_secret_or_of_another_kind_is_refused() {
        for url in ["http://user:pw@pbx:8088", "http://pbx:8088/ari?api_key=a:b", "ws://pbx", "pbx", ""] {
            assert!(matches!(endpoint(url), Err(PbxError::Invalid(_))), "{url}");
        }
    }
}
