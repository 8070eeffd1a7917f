//! The node's API, as far as it is needed here.

use super::node::{EMAIL, PASSWORD};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);
/// Shorter than any access token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(120);

pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
    signed_in: Instant,
}

impl Api {
    pub async fn sign_in(base: &str) -> Result<Api, String> {
        let http = reqwest::Client::builder().timeout(DEADLINE).build().map_err(|error| error.to_string())?;
        let mut api = Api {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token: String::new(),
            signed_in: Instant::now(),
        };
        api.refresh().await?;
        Ok(api)
    }

    async fn refresh(&mut self) -> Result<(), String> {
        let answer = self
            .send(Method::POST, "auth/token", Some(&json!({ "email": EMAIL, "password": PASSWORD })))
            .await?;
        self.token = answer["access"].as_str().ok_or("the node gave no token")?.to_owned();
        self.signed_in = Instant::now();
        Ok(())
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// All rows of a list, over all its pages. `query` names a `page_size`.
    pub async fn all(&mut self, path: &str, query: &str) -> Result<Vec<Value>, String> {
        if self.signed_in.elapsed() > TOKEN_LIFE {
            self.refresh().await?;
        }
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.send(Method::GET, &format!("{path}?{query}&cursor={cursor}"), None).await?;
            rows.extend(page["results"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str().and_then(cursor_of) {
                Some(next) if next != cursor => cursor = next.to_owned(),
                _ => return Ok(rows),
            }
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}/api/v1/{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| format!("{path}: {error}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("{path}: {error}"))?;
        if status.is_success() {
            serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))
        } else {
            Err(format!("{path}: {status}: {text}"))
        }
    }
}

/// Of a list's `next`.
fn cursor_of(link: &str) -> Option<&str> {
    let (_, query) = link.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("cursor="))
        .filter(|cursor| !cursor.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_found_in_the_link_to_the_next_page() {
        assert_eq!(cursor_of("http://h/api/v1/events?page_size=200&cursor=MS4x"), Some("MS4x"));
        for link in ["http://h/api/v1/events", "http://h/x?page=2", "http://h/x?cursor="] {
            assert_eq!(cursor_of(link), None);
        }
    }
}
