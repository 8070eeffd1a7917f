//! Live audio over a websocket (`/ws/audio/stream/{call}`).
//!
//! First a text frame says what will come:
//! `{"audio": {"call_id": "…", "tracks": [{"track": "caller", "index": 0, "sample_rate": 16000, "encoding": "pcm16le"}]}}`, and at the
//! end of the call `{"audio": {"ended": true}}`. Between them each binary frame is one piece of one track, little-endian:
//!
//! | byte | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | track: `index` of the announcement |
//! | 2 | flags: 1 gap (packets lost), 2 silence (nothing was sent), 4 lagged (older frames were dropped for this listener), 8 resync (the sender began a new timeline) |
//! | 3 | 0, reserved |
//! | 4–7 | sequence of the track, u32, wraps; a jump means frames that this listener did not get |
//! | 8–15 | media time, u64: samples since the track's first; places the piece exactly |
//! | 16–19 | sample rate, u32, in Hz |
//! | 20–23 | samples, u32: how long the piece is |
//! | 24… | PCM, signed 16 bit, `samples` of them; nothing for a piece that is gap, silence or resync |

use aimg_domain::{CallId, TrackId};
use serde_json::json;

pub const VERSION: u8 = 1;
pub const HEADER_BYTES: usize = 24;

pub const GAP: u8 = 1;
pub const SILENCE: u8 = 2;
pub const LAGGED: u8 = 4;
pub const RESYNC: u8 = 8;

/// Where the flags are in a frame's payload: a lane that drops frames sets `LAGGED` in the next.
pub const FLAGS_AT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioHeader {
    pub track: u8,
    pub flags: u8,
    pub sequence: u32,
    /// In samples.
    pub media_time: u64,
    /// In Hz.
    pub sample_rate: u32,
    pub samples: u32,
}

/// A whole websocket frame, and where in it the flags are.
pub fn frame(header: &AudioHeader, pcm: &[i16]) -> (Vec<u8>, usize) {
    let payload = HEADER_BYTES + pcm.len() * 2;
    let mut frame = crate::ws::frame::begin_binary(payload);
    let flags_at = frame.len() + FLAGS_AT;
    frame.extend_from_slice(&[VERSION, header.track, header.flags, 0]);
    frame.extend_from_slice(&header.sequence.to_le_bytes());
    frame.extend_from_slice(&header.media_time.to_le_bytes());
    frame.extend_from_slice(&header.sample_rate.to_le_bytes());
    frame.extend_from_slice(&header.samples.to_le_bytes());
    frame.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
    (frame, flags_at)
}

/// Reads a frame's payload. `None` when it is shorter than its header or of another version.
pub fn read(payload: &[u8]) -> Option<(AudioHeader, Vec<i16>)> {
    let header: &[u8; HEADER_BYTES] = payload.first_chunk()?;
    let u32_at = |at: usize| header[at..].first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
    if header[0] != VERSION {
        return None;
    }
    let read = AudioHeader {
        track: header[1],
        flags: header[FLAGS_AT],
        sequence: u32_at(4)?,
        media_time: u64::from_le_bytes(*header[8..].first_chunk()?),
        sample_rate: u32_at(16)?,
        samples: u32_at(20)?,
    };
    let pcm = payload[HEADER_BYTES..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    Some((read, pcm))
}

/// The first text frame's payload. The place in `tracks` is the index.
pub fn announcement(call: CallId, tracks: &[(TrackId, u32)]) -> String {
    let tracks: Vec<_> = tracks
        .iter()
        .enumerate()
        .map(|(index, (track, sample_rate))| json!({"track": track, "index": index, "sample_rate": sample_rate, "encoding": "pcm16le"}))
        .collect();
    json!({"audio": {"call_id": call, "tracks": tracks}}).to_string()
}

/// The last text frame's payload.
pub fn ended() -> String {
    json!({"audio": {"ended": true}}).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_as_documented() {
        let header = AudioHeader {
            track: 1,
            flags: LAGGED,
            sequence: 0x01020304,
            media_time: 0x1122334455667788,
            sample_rate: 16000,
            samples: 3,
        };
        let (frame, flags_at) = frame(&header, &[1, -2, 0x7fff]);
        let expected: [u8; 32] = [
            0x82, 30, 1, 1, 4, 0, 4, 3, 2, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x80, 0x3e, 0, 0, 3, 0, 0, 0, 1, 0, 0xfe, 0xff, 0xff, 0x7f,
        ];
        assert_eq!(frame, expected);
        assert_eq!(frame[flags_at], LAGGED);
    }

    #[test]
    fn a_silence_has_a_length_and_no_samples() {
        let header = AudioHeader {
            track: 0,
            flags: SILENCE,
            sequence: 0,
            media_time: 160,
            sample_rate: 8000,
            samples: 8000,
        };
        let (frame, flags_at) = frame(&header, &[]);
        assert_eq!(
            &frame,
            &[0x82, 24, 1, 0, 2, 0, 0, 0, 0, 0, 160, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0]
        );
        assert_eq!(flags_at, 4);
    }

    #[test]
    fn tracks_are_announced_by_name_and_index() {
        let call = CallId(uuid::Uuid::nil());
        let text: serde_json::Value = serde_json::from_str(&announcement(call, &[(TrackId::Caller, 16000), (TrackId::Callee, 8000)])).unwrap();
        assert_eq!(
            text["audio"]["tracks"][1],
            json!({"track": "callee", "index": 1, "sample_rate": 8000, "encoding": "pcm16le"})
        );
        assert_eq!(ended(), r#"{"audio":{"ended":true}}"#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(track: u8, flags: u8, sequence: u32, media_time: u64, sample_rate: u32, pcm in proptest::collection::vec(any::<i16>(), 0..400)) {
            let header = AudioHeader { track, flags, sequence, media_time, sample_rate, samples: pcm.len() as u32 };
            let (frame, flags_at) = frame(&header, &pcm);
            prop_assert_eq!(read(&frame[flags_at - FLAGS_AT..]), Some((header, pcm)));
        }

        #[test]
        fn nothing_panics_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }
}
