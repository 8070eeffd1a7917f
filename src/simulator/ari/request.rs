//! A request as the switch takes it, and its reply. Query and JSON body are one set of parameters, as in Asterisk.

use crate::rtp::codec::Format;
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Of the path, after `/ari/`.
    pub(crate) segments: Vec<String>,
    pub(crate) params: BTreeMap<String, String>,
    /// The `variables` object of a body.
    pub(crate) variables: Vec<(String, String)>,
    /// A port bound for external media.
    pub(crate) local: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<String>,
    /// The bound port is this channel's now.
    pub(crate) opened: Option<Opened>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) to: SocketAddr,
    pub(crate) format: Format,
}

impl Reply {
    pub(crate) fn ok(body: String) -> Self {
        Self {
            status: 200,
            body: Some(body),
            opened: None,
        }
    }

    pub(crate) fn done() -> Self {
        Self {
            status: 204,
            body: None,
            opened: None,
        }
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "message": message }).to_string();
        Self {
            status,
            body: Some(body),
            opened: None,
        }
    }

    pub(crate) fn internal() -> Self {
        Self::error(500, "An internal error prevented this request from being handled")
    }
}

impl Request {
    pub(crate) fn param(&self, key: &str) -> Option<&str> {
        self.params.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        self.param(key).map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Adds what `a=1&b=2` says.
    pub(crate) fn add_query(&mut self, query: &str) {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.params.insert(decoded(key), decoded(value));
        }
    }

    /// Adds what a JSON object says; anything else in a body is ignored, as Asterisk does.
    pub(crate) fn add_body(&mut self, body: &[u8]) {
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(body) else {
            return;
        };
        for (key, value) in fields {
            match value {
                serde_json::Value::Object(variables) if key == "variables" => {
                    self.variables.extend(variables.into_iter().map(|(key, value)| (key, plain(value))))
                }
                other => {
                    self.params.insert(key, plain(other));
                }
            }
        }
    }
}

fn plain(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Array(items) => items.into_iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Percent and plus decoding; what is not valid stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match hex {
            Some(byte) => {
                bytes.push(byte);
                &after[2..]
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn query_and_body_are_one_set() {
        let mut request = Request::default();
        request.add_query("app=a%2Cb&endpoint=Local%2F600%40lab%2Fn&x=a+b");
        request.add_body(br#"{"channel":["a","b"],"variables":{"CDR_PROP(disable)":"1"},"timeout":30}"#);
        assert_eq!(request.param("app"), Some("a,b"));
        assert_eq!(request.param("endpoint"), Some("Local/600@lab/n"));
        assert_eq!(request.param("x"), Some("a b"));
        assert_eq!(request.list("channel"), ["a", "b"]);
        assert_eq!(request.param("timeout"), Some("30"));
        assert_eq!(request.variables, [("CDR_PROP(disable)".to_owned(), "1".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_text_decodes_without_panic(text in ".*") {
            decoded(&text);
        }
    }
}
