//! The command line as an API client of a running node.

use crate::cli::Reach;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

pub struct Client {
    http: reqwest::Client,
    pub base: String,
    pub token: String,
    tenant: Option<String>,
}

const DEADLINE: Duration = Duration::from_secs(20);

impl Client {
    pub fn new(reach: &Reach) -> Result<Client, String> {
        let token = match &reach.token {
            Some(token) => token.clone(),
            None => crate::commands::token::from_keys(&reach.data, Duration::from_secs(900))
                .map_err(|error| format!("no --token (AIMG_TOKEN) given, and none can be made from --data: {error}"))?,
        };
        let base = reach.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(format!("--url: expected http://host:port, got {base:?}"));
        }
        let http = reqwest::Client::builder().timeout(DEADLINE).build().map_err(|error| error.to_string())?;
        Ok(Client {
            http,
            base,
            token,
            tenant: reach.tenant.clone(),
        })
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}/api/v1/{path}", self.base)).bearer_auth(&self.token);
        if let Some(tenant) = &self.tenant {
            request = request.header("x-tenant-id", tenant);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| format!("cannot reach a node at {}: {}", self.base, deepest(&error)))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("broken answer: {error}"))?;
        if status == StatusCode::NO_CONTENT || (status.is_success() && text.is_empty()) {
            return Ok(Value::Null);
        }
        let value: Value = serde_json::from_str(&text).map_err(|_| format!("{status}: not an answer of aimg"))?;
        if status.is_success() { Ok(value) } else { Err(problem(status, &value)) }
    }

    /// Address of a websocket path, with the token as a header's value beside it.
    pub fn websocket(&self, path: &str) -> (String, String) {
        (format!("{}{path}", self.base.replacen("http", "ws", 1)), format!("Bearer {}", self.token))
    }
}

fn problem(status: StatusCode, value: &Value) -> String {
    let detail = value["detail"].as_str().or(value["title"].as_str()).unwrap_or("refused");
    let mut text = format!("{detail} ({}, {})", value["code"].as_str().unwrap_or("error"), status.as_u16());
    for error in value["errors"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "\n  {}: expected {}",
            error["field"].as_str().unwrap_or("?"),
            error["expected"].as_str().unwrap_or("?")
        ));
    }
    text
}

/// The cause of a transport error says more than its outside.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
