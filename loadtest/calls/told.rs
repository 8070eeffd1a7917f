//! What the node tells of its calls, read for figures.

use aimg_domain::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// How long calls took to get from one event to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetUp {
    pub started_to_audio_ms: Vec<f64>,
    pub answered_to_audio_ms: Vec<f64>,
}

/// Rows of `GET /events`: first events of a kind count.
pub fn set_up(events: &[Value]) -> SetUp {
    let mut calls: HashMap<&str, HashMap<&str, Timestamp>> = HashMap::new();
    for event in events {
        let (Some(call), Some(kind), Some(at)) = (event["call_id"].as_str(), event["event"].as_str(), event["at"].as_str()) else {
            continue;
        };
        if let Ok(at) = at.parse::<Timestamp>() {
            let first = calls.entry(call).or_default().entry(kind).or_insert(at);
            *first = at.min(*first);
        }
    }
    let mut times = SetUp::default();
    for call in calls.values() {
        let Some(audio) = call.get("call.audio.started") else { continue };
        let since = |kind: &str| call.get(kind).map(|from| (audio.0 - from.0) as f64);
        times.started_to_audio_ms.extend(since("call.started"));
        times.answered_to_audio_ms.extend(since("call.answered"));
    }
    times
}

/// Packets and lost packets of all tracks as we heard them, and how many calls have figures at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub calls: usize,
    pub packets: u64,
    pub lost: u64,
}

/// Rows of `GET /call-sessions`.
pub fn heard(sessions: &[Value]) -> Heard {
    let mut heard = Heard::default();
    for session in sessions {
        let Some(tracks) = session["quality"]["tracks"].as_array() else { continue };
        heard.calls += 1;
        for track in tracks.iter().filter(|track| track["vantage"] == "pbx_to_us") {
            heard.packets += track["packets"].as_u64().unwrap_or(0);
            heard.lost += track["lost"].as_u64().unwrap_or(0);
        }
    }
    heard
}

/// Up, with audio.
pub fn flowing(sessions: &[Value]) -> usize {
    sessions
        .iter()
        .filter(|session| session["state"] == "up" && session["audio"] == "flowing")
        .count()
}

/// Rows of `GET /cluster/tree`, counted by kind.
pub fn kinds(actors: &[Value]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for actor in actors {
        *kinds.entry(actor["kind"].as_str().unwrap_or("?").to_owned()).or_insert(0) += 1;
    }
    kinds
}

/// Restarts in the whole tree so far.
pub fn restarts(actors: &[Value]) -> usize {
    actors.iter().map(|actor| actor["restarts"].as_array().map_or(0, Vec::len)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(call: &str, kind: &str, at: &str) -> Value {
        json!({ "call_id": call, "event": kind, "at": format!("2026-01-31T09:30:{at}Z") })
    }

    #[test]
    fn set_up_is_from_first_event_to_first_event_of_the_same_call() {
        let events = [
            event("a", "call.audio.started", "01.250"),
            event("a", "call.started", "01.000"),
            event("a", "call.answered", "01.100"),
            event("b", "call.started", "05.000"),
            event("c", "call.audio.started", "07.000"),
            json!({ "event": "pbx.attached", "at": "2026-01-31T09:30:00.000Z", "call_id": null }),
        ];
        let times = set_up(&events);
        assert_eq!((times.started_to_audio_ms, times.answered_to_audio_ms), (vec![250.0], vec![150.0]));
    }

    #[test]
    fn only_what_we_heard_is_counted() {
        let track = |vantage: &str, packets: u64, lost: u64| json!({ "vantage": vantage, "packets": packets, "lost": lost });
        let sessions = [
            json!({ "quality": { "tracks": [track("pbx_to_us", 100, 1), track("pbx_to_us", 50, 2), track("pbx_rtcp", 9, 9)] } }),
            json!({ "quality": null }),
        ];
        assert_eq!(
            heard(&sessions),
            Heard {
                calls: 1,
                packets: 150,
                lost: 3
            }
        );
    }

    #[test]
    fn a_call_flows_when_it_is_up_and_heard() {
        let session = |state: &str, audio: &str| json!({ "state": state, "audio": audio });
        assert_eq!(flowing(&[session("up", "flowing"), session("up", "starting"), session("ended", "flowing")]), 1);
    }

    #[test]
    fn actors_and_restarts_are_counted() {
        let actors = [
            json!({ "kind": "call", "restarts": [{}, {}] }),
            json!({ "kind": "call", "restarts": [] }),
            json!({ "kind": "root" }),
        ];
        assert_eq!(kinds(&actors), BTreeMap::from([("call".to_owned(), 2), ("root".to_owned(), 1)]));
        assert_eq!(restarts(&actors), 2);
    }
}
