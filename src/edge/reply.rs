//! What a handler answers, and the only place where a fault becomes an HTTP status (RFC 9457).

use aimg_domain::{Fault, FieldFault};
use bytes::Bytes;
use futures_util::Stream;
use http::header::{ALLOW, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::io;
use std::pin::Pin;

pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send + Sync>>;

pub enum Body {
    Whole(Bytes),
    Chunks(Chunks),
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

/// RFC 9457, with `code` (stable) and `errors` (one a field).
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    errors: &'a [FieldFault],
}

impl Reply {
    pub fn new(status: StatusCode) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Body::Whole(Bytes::new()),
        }
    }

    pub fn json<T: Serialize>(value: &T) -> Reply {
        Reply::new(StatusCode::OK).with_json(value)
    }

    pub fn created<T: Serialize>(at: &str, value: &T) -> Reply {
        Reply::new(StatusCode::CREATED).with_json(value).header(LOCATION, at)
    }

    pub fn no_content() -> Reply {
        Reply::new(StatusCode::NO_CONTENT)
    }

    pub fn text(content_type: &'static str, text: impl Into<Bytes>) -> Reply {
        let mut reply = Reply::new(StatusCode::OK).header(CONTENT_TYPE, content_type);
        reply.body = Body::Whole(text.into());
        reply
    }

    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Reply {
        // What cannot stand in a header (a control character) is left out rather than sent.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The version of what is shown, for `If-Match`.
    #[must_use]
    pub fn version(self, version: u64) -> Reply {
        self.header(ETAG, &format!("\"{version}\""))
    }

    fn with_json<T: Serialize>(self, value: &T) -> Reply {
        match serde_json::to_vec(value) {
            Ok(body) => {
                let mut reply = self.header(CONTENT_TYPE, "application/json");
                reply.body = Body::Whole(body.into());
                reply
            }
            Err(error) => {
                tracing::error!(%error, "a reply could not be written as JSON");
                Reply::fault(&Fault::Internal { reference: "json".into() })
            }
        }
    }

    pub fn problem(status: StatusCode, code: &str, detail: &str) -> Reply {
        Reply::problem_with(status, code, detail, &[])
    }

    fn problem_with(status: StatusCode, code: &str, detail: &str, errors: &[FieldFault]) -> Reply {
        let problem = Problem {
            r#type: format!("urn:aimg:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            code,
            errors,
        };
        Reply::new(status).with_json(&problem).header(CONTENT_TYPE, "application/problem+json")
    }

    pub fn method_not_allowed(allow: &str) -> Reply {
        let detail = format!("this resource takes {allow}");
        Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &detail).header(ALLOW, allow)
    }

    pub fn fault(fault: &Fault) -> Reply {
        let status = status_of(fault);
        let errors: &[FieldFault] = if let Fault::Invalid { fields } = fault { fields } else { &[] };
        let reply = Reply::problem_with(status, fault.code(), &fault.to_string(), errors);
        match fault {
            Fault::Unauthenticated { .. } => reply.header(WWW_AUTHENTICATE, "Bearer realm=\"aimg\""),
            Fault::Unavailable { retry_after_ms, .. } | Fault::TooMany { retry_after_ms, .. } => retry_after(reply, *retry_after_ms),
            Fault::PbxDown { .. } => retry_after(reply, 5000),
            _ => reply,
        }
    }
}

fn retry_after(reply: Reply, millis: u64) -> Reply {
    reply.header(RETRY_AFTER, &millis.div_ceil(1000).max(1).to_string())
}

pub fn status_of(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Invalid { .. } => StatusCode::BAD_REQUEST,
        Fault::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
        Fault::Forbidden { .. } => StatusCode::FORBIDDEN,
        Fault::NotFound { .. } => StatusCode::NOT_FOUND,
        Fault::Conflict { .. } | Fault::CallEnded { .. } | Fault::NotPossibleHere { .. } => StatusCode::CONFLICT,
        Fault::VersionMismatch { .. } => StatusCode::PRECONDITION_FAILED,
        Fault::PbxRefused { .. } => StatusCode::BAD_GATEWAY,
        Fault::PbxDown { .. } | Fault::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Fault::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Fault::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        Fault::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
