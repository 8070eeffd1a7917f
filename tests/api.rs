//! A client of the HTTP interface.

use crate::poll::eventually;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Api {
    pub url: String,
    pub token: String,
    client: Client,
}

/// An answer: its status, and its body if that is JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The body of a success; panics with the problem otherwise.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }

    /// The problem of a refusal with this status.
    pub fn refused(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }
}

pub fn client() -> Client {
    Client::builder().timeout(DEADLINE).build().expect("an HTTP client")
}

impl Api {
    pub fn with_token(url: &str, token: &str) -> Api {
        Api {
            url: url.to_owned(),
            token: token.to_owned(),
            client: client(),
        }
    }

    pub async fn sign_in(url: &str, email: &str, password: &str) -> Api {
        let mut api = Api::with_token(url, "");
        let tokens = api.post("auth/token", json!({ "email": email, "password": password })).await.ok();
        api.token = tokens["access"].as_str().expect("an access token").to_owned();
        api
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let what = format!("{method} {path}");
        let mut request = self.client.request(method, self.full(path));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let status = response.status();
        let text = response.text().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, body }
    }

    /// `pbxs` is under `/api/v1`, `/readyz` is not.
    fn full(&self, path: &str) -> String {
        if path.starts_with('/') {
            format!("{}{path}", self.url)
        } else {
            format!("{}/api/v1/{path}", self.url)
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.ok()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Everything of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1.. {
            let answer = self.get(&format!("{path}{joint}page={page}&page_size=200")).await;
            let results = answer["results"].as_array().unwrap_or_else(|| panic!("a list: {answer}"));
            all.extend(results.iter().cloned());
            if answer["next"].is_null() || results.is_empty() {
                break;
            }
        }
        all
    }

    /// A download, whole or a range (`bytes=0-99`).
    pub async fn download(&self, path: &str, range: Option<&str>) -> (StatusCode, Vec<u8>) {
        let mut request = self.client.get(self.full(path)).bearer_auth(&self.token);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = response.status();
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        (status, bytes.to_vec())
    }

    pub async fn tenant(&self) -> String {
        let me = self.get("users/me").await;
        me["tenant_id"].as_str().unwrap_or_else(|| panic!("a tenant in {me}")).to_owned()
    }

    pub async fn call(&self, id: &str) -> Value {
        self.get(&format!("call-sessions/{id}")).await
    }

    pub async fn calls(&self) -> Vec<Value> {
        self.list("call-sessions").await
    }

    pub async fn act(&self, call: &str, action: &str, body: Value) -> Answer {
        self.post(&format!("call-sessions/{call}/{action}"), body).await
    }

    /// The call, once `wanted` holds for it.
    pub async fn call_when(&self, id: &str, deadline: Duration, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(deadline, what, || async {
            let call = self.call(id).await;
            if wanted(&call) { Ok(call) } else { Err(call.to_string()) }
        })
        .await
    }

    /// The one call that is not over, once there is one and it is in this state.
    pub async fn live_call(&self, deadline: Duration, state: &str) -> Value {
        eventually(deadline, &format!("one call is {state}"), || async {
            let calls = self.list("call-sessions?status=active").await;
            match calls.as_slice() {
                [call] if call["state"] == state => Ok(call.clone()),
                _ => Err(json!(calls).to_string()),
            }
        })
        .await
    }

    /// The PBX, once its link is in this state.
    pub async fn pbx_when(&self, id: &str, deadline: Duration, state: &str) -> Value {
        eventually(deadline, &format!("the pbx is {state}"), || async {
            let pbx = self.get(&format!("pbxs/{id}")).await;
            if pbx["state"] == state { Ok(pbx) } else { Err(pbx.to_string()) }
        })
        .await
    }

    /// The recording of a call, once it has one of these states.
    pub async fn recording_when(&self, call: &str, deadline: Duration, states: &[&str]) -> Value {
        eventually(deadline, &format!("the recording is {states:?}"), || async {
            let all = self.list(&format!("audio-recordings?call_session_id={call}")).await;
            match all.as_slice() {
                [one] if states.iter().any(|state| one["status"] == *state) => Ok(one.clone()),
                _ => Err(json!(all).to_string()),
            }
        })
        .await
    }
}

/// The `id` of a thing.
pub fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("an id in {value}"))
}
