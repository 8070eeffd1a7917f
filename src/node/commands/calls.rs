//! `aimg calls`: the calls in progress; with `--follow` every change, as it happens.

use super::say;
use crate::cli;
use crate::client::Client;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub async fn run(given: &cli::Calls) -> Result<(), String> {
    let client = Client::new(&given.reach)?;
    // Known before the list is made: what happens between it and the subscription is told then.
    let from = if given.follow { Some(newest(&client).await?) } else { None };
    let page = client.get("call-sessions?status=active&page_size=200").await?;
    let calls = page["results"].as_array().cloned().unwrap_or_default();
    if given.json && !given.follow {
        say(&page);
        return Ok(());
    }
    for call in &calls {
        say(if given.json { call.to_string() } else { line(call) });
    }
    if let Some(from) = from {
        return follow(&client, given.json, from).await;
    }
    say(format!("{} calls in progress", calls.len()));
    Ok(())
}

/// `id  state  direction  caller → callee  since`
fn line(call: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "{}  {:8}  {:8}  {} → {}  {}",
        text(&call["id"]),
        text(&call["state"]),
        text(&call["direction"]),
        text(&call["caller"]["number"]),
        text(&call["callee"]["number"]),
        text(&call["started_at"])
    )
}

/// An event of a call in one line.
pub fn event_line(push: &Value) -> String {
    let data = &push["data"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut line = format!(
        "{}  {:24} {}  {} → {}",
        text(&push["at"]),
        text(&push["event"]),
        text(&push["call_id"]),
        text(&data["caller"]["number"]),
        text(&data["callee"]["number"])
    );
    for key in ["state", "outcome", "digit", "recording_id"] {
        if let Some(value) = data[key].as_str() {
            line.push_str(&format!("  {key} {value}"));
        }
    }
    line
}

/// Position of the newest event; the beginning where there is none.
async fn newest(client: &Client) -> Result<Value, String> {
    let page = client.get("events?page_size=1").await?;
    let last = &page["results"][0];
    Ok(json!({ "epoch": last["epoch"].as_u64().unwrap_or(0), "offset": last["offset"].as_u64().unwrap_or(0) }))
}

async fn follow(client: &Client, json: bool, from: Value) -> Result<(), String> {
    let mut wait = Duration::from_millis(250);
    let mut position = from;
    let mut subscribed = false;
    loop {
        match follow_once(client, json, &mut position, &mut subscribed).await {
            Ok(()) => wait = Duration::from_millis(250),
            Err(error) if !subscribed => return Err(error),
            Err(error) => eprintln!("aimg: connection lost ({error}), trying again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

/// One connection, from subscribing to its end. `position` is where to go on after it.
async fn follow_once(client: &Client, json: bool, position: &mut Value, subscribed: &mut bool) -> Result<(), String> {
    let mut socket = subscribe(client, Some(position.clone())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.map_err(|error| error.to_string())? else {
            continue;
        };
        let push: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if let Some(error) = push.get("error") {
            return Err(error.to_string());
        }
        *subscribed = true;
        // The answer to the subscription has what was missed.
        let missed = push["publications"].as_array().into_iter().flatten();
        for event in missed.chain(push.get("event").is_some().then_some(&push)) {
            say(if json { event.to_string() } else { event_line(event) });
        }
        if push.get("epoch").is_some() {
            *position = json!({ "epoch": push["epoch"], "offset": push["offset"] });
        }
    }
    Err("closed by the node".into())
}

/// A websocket with the caller's tenant's calls subscribed, from `recover` on where it is given.
pub async fn subscribe(client: &Client, recover: Option<Value>) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, String> {
    let me = client.get("users/me").await?;
    let tenant = me["tenant_id"].as_str().ok_or("the node did not say whose token this is")?;
    let (url, bearer) = client.websocket("/ws");
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    request
        .headers_mut()
        .insert("authorization", bearer.parse().map_err(|_| "the token has characters that no header takes")?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.map_err(|error| error.to_string())?;
    let mut subscribe = json!({ "topic": format!("tenant:{tenant}:calls") });
    if let Some(recover) = recover {
        subscribe["recover"] = recover;
    }
    let command = json!({ "id": 1, "subscribe": subscribe });
    socket.send(Message::text(command.to_string())).await.map_err(|error| error.to_string())?;
    Ok(socket)
}
