//! What every scenario begins with, and what is checked at the end of each.

use aimg_tests::api::id;
use aimg_tests::asterisk::CdrRow;
use aimg_tests::audio::{self, RATE};
use aimg_tests::wav::Wav;
use aimg_tests::{Api, Asterisk, Node, Phone};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub const SOON: Duration = Duration::from_secs(15);
pub const LATER: Duration = Duration::from_secs(60);

/// A node with one Asterisk attached, on which nothing happens yet.
pub struct Scene {
    // Dropped in this order: the node lets go before its PBX ends.
    pub node: Node,
    pub asterisk: Asterisk,
    pub api: Api,
    pub pbx: String,
}

impl Scene {
    /// All calls are the tenant's, tapped from the start, each party apart, and recorded.
    pub async fn recording(version: &str) -> Scene {
        Scene::with(version, "legs", "always").await
    }

    pub async fn with(version: &str, audio: &str, recording: &str) -> Scene {
        let (node, asterisk) = tokio::join!(Node::serve(), Asterisk::up(version));
        let api = node.api().await;
        let link = json!({ "pbx": asterisk.pbx(), "claims": { "match": "all" }, "audio": audio, "recording": recording, "tap_budget": 100 });
        let link = api.post("pbx-links", link).await.ok();
        let pbx = link["pbx_id"].as_str().expect("the link names its pbx").to_owned();
        let attached = api.pbx_when(&pbx, SOON, "attached").await;
        // What extension 300 of its dialplan enters.
        asterisk.set_app(attached["stasis_app"].as_str().expect("the pbx has an application")).await;
        Scene { node, asterisk, api, pbx }
    }

    /// The rows that Asterisk wrote, none to come: it writes them in order, so the row of a call made now is the last.
    pub async fn all_cdr(&self) -> Vec<CdrRow> {
        Phone::call(&self.asterisk, "603", &["--from", "999"]).done(LATER).await;
        let written = |rows: &[CdrRow]| rows.iter().any(|row| row.source == "999");
        let rows = aimg_tests::eventually(SOON, "Asterisk has written its records", || async {
            let rows = self.asterisk.cdr();
            if written(&rows) { Ok(rows) } else { Err(format!("{rows:?}")) }
        })
        .await;
        rows.into_iter().filter(|row| row.source != "999").collect()
    }

    /// The recording's file: its manifest is true to it.
    pub async fn download(&self, recording: &Value) -> Wav {
        let path = format!("audio-recordings/{}/download", id(recording));
        let (status, bytes) = self.api.download(&path, None).await;
        assert_eq!(status.as_u16(), 200, "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(500)]));
        assert_eq!(recording["bytes"], bytes.len(), "{recording}");
        assert_eq!(recording["sha256"], hex(&Sha256::digest(&bytes)), "{recording}");
        let wav = Wav::read(&bytes).expect("a WAV file");
        assert_eq!(recording["channels"], wav.channels.len(), "{recording}");
        let (status, part) = self.api.download(&path, Some("bytes=44-1043")).await;
        assert_eq!((status.as_u16(), &part[..]), (206, &bytes[44..1044]), "a range of the file");
        wav
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a channel of a recording says, at 8 kHz, without the silence before and after.
pub fn said(wav: &Wav, channel: usize) -> Vec<i16> {
    audio::trimmed(&audio::at_8k(&wav.channels[channel], wav.rate)).to_vec()
}

/// Without its last half second: the end of a call may cut a packet.
pub fn steady(samples: &[i16]) -> &[i16] {
    &samples[..samples.len().saturating_sub(RATE as usize / 2)]
}

/// In milliseconds since the epoch. Times are `2026-11-23T20:54:45.123Z`.
pub fn millis(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("a time, not {time}"));
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap_or_else(|_| panic!("a time, not {text}"));
    assert!(text.ends_with('Z') && text.as_bytes()[10] == b'T', "UTC with Z: {text}");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970-03-01 of a calendar whose year begins in March.
    let (shifted, march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (march * 153 + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60_000 + number(17..19) * 1000 + number(20..23)
}

/// The session says of the call what Asterisk's own record says.
pub fn assert_agrees(call: &Value, row: &CdrRow) {
    let expected = match row.disposition.as_str() {
        "ANSWERED" => &["answered", "failed"][..],
        "BUSY" => &["busy"],
        "NO ANSWER" => &["no_answer", "canceled", "rejected"],
        _ => &["failed", "rejected", "no_answer"],
    };
    assert!(expected.iter().any(|each| call["outcome"] == *each), "{row:?} and {}", call["outcome"]);
    assert_eq!(call["caller"]["number"], row.source.as_str(), "{row:?}");
    assert_eq!(call["callee"]["number"], row.destination.as_str(), "{row:?}");
    let legs = call["legs"].as_array().expect("legs");
    assert!(legs.iter().any(|leg| leg["uniqueid"] == row.uniqueid.as_str()), "{row:?} and {legs:?}");
    let near = |what: &str, ours_ms: i64, theirs_s: i64| {
        assert!((ours_ms - theirs_s * 1000).abs() <= 2000, "{what}: {ours_ms} ms and {theirs_s} s, {row:?}");
    };
    near("talk", call["talk_ms"].as_i64().expect("talk_ms"), row.billed);
    near("length", millis(&call["ended_at"]) - millis(&call["started_at"]), row.duration);
}

/// The names in `wanted` come in this order, whatever comes between.
pub fn assert_order(names: &[&str], wanted: &[&str]) {
    let mut rest = names.iter();
    for each in wanted {
        assert!(
            rest.any(|name| name == each),
            "{each} is missing or out of place; wanted {wanted:?} in {names:?}"
        );
    }
}

/// Nothing of ours is in Asterisk's records.
pub fn assert_no_rows_of_ours(rows: &[CdrRow]) {
    let ours = |text: &str| ["Snoop/", "UnicastRTP/", "aimg"].iter().any(|mark| text.contains(mark));
    for row in rows {
        assert!(!ours(&row.channel) && !ours(&row.destination_channel) && !ours(&row.uniqueid), "{row:?}");
    }
}

#[test]
fn a_time_is_counted_from_the_epoch() {
    assert_eq!(millis(&json!("1970-01-01T00:00:00.000Z")), 0);
    assert_eq!(millis(&json!("2024-02-29T12:34:56.789Z")), 1_709_210_096_789);
}
