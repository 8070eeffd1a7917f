#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::codec::Encoder;
use crate::frame::Frame;
use crate::rtp;

mod captures;
mod schedules;

#[derive(Default)]
pub(super) struct Collected {
    pub(super) frames: Vec<Frame>,
}

impl Output for Collected {
    fn frame(&mut self, head: FrameHead, audio: &[i16]) {
        let seq = self.frames.len() as u64;
        let FrameHead {
            media_time,
            rate,
            kind,
            samples,
            received_at,
        } = head;
        self.frames.push(Frame {
            seq,
            media_time,
            rate,
            kind,
            samples,
            audio: audio.to_vec(),
            received_at,
        });
    }
}

impl Collected {
    /// The promise of `Frame`: no holes, and audio exactly as long as it says.
    pub(super) fn assert_whole(&self) {
        let mut at = 0;
        for frame in &self.frames {
            assert_eq!(frame.media_time, at, "{frame:?}");
            let audio = if frame.kind == FrameKind::Audio { frame.samples } else { 0 };
            assert_eq!(frame.audio.len() as u64, audio);
            at = frame.end();
        }
    }

    pub(super) fn of(&self, kind: FrameKind) -> Vec<(u64, u64)> {
        self.frames
            .iter()
            .filter(|frame| frame.kind == kind)
            .map(|frame| (frame.media_time, frame.samples))
            .collect()
    }

    pub(super) fn audio(&self) -> Vec<i16> {
        self.frames.iter().flat_map(|frame| frame.audio.iter().copied()).collect()
    }
}

pub(super) fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rtp::write(
        &rtp::Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
        },
        payload,
        &mut out,
    );
    out
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn core() -> (StreamCore, Collected) {
    (StreamCore::new(StreamConfig::new(8000)), Collected::default())
}

#[test]
fn another_payload_type_of_another_rate_is_brought_to_the_rate_of_the_stream() {
    let (mut core, mut out) = core();
    core.packet(&packet(0, 1, 0, 7, false, &[0xff; 160]), ms(0), &mut out);
    for n in 0..5u16 {
        core.packet(
            &packet(118, 2 + n, 5000 + u32::from(n) * 320, 7, false, &[1; 640]),
            ms(20 + 20 * u64::from(n)),
            &mut out,
        );
    }
    // Odd numbers of samples included.
    core.packet(&packet(118, 7, 5000 + 5 * 320, 7, false, &[1; 642]), ms(120), &mut out);
    out.assert_whole();
    assert_eq!(out.frames.iter().map(|frame| frame.samples).collect::<Vec<_>>(), [160; 7]);
    assert!(out.frames.iter().all(|frame| frame.rate == 8000));
    assert_eq!(core.counts().jitter.resyncs, 1, "the clock changed");
}

#[test]
fn comfort_noise_and_key_presses_take_a_sequence_number_and_no_time() {
    let (mut core, mut out) = core();
    core.packet(&packet(0, 1, 0, 7, true, &[0; 160]), ms(0), &mut out);
    core.packet(&packet(13, 2, 160, 7, false, &[60]), ms(20), &mut out);
    core.packet(&packet(101, 3, 320, 7, true, &[5, 0x80, 0, 160]), ms(40), &mut out);
    core.packet(&packet(101, 4, 320, 7, false, &[5, 0x80, 1, 64]), ms(60), &mut out);
    core.packet(&packet(0, 5, 1600, 7, true, &[0; 160]), ms(200), &mut out);
    out.assert_whole();
    assert_eq!(out.of(FrameKind::Silence), [(160, 1440)]);
    assert_eq!(out.of(FrameKind::Lost), []);
    let counts = core.counts();
    assert_eq!((counts.comfort_noise, counts.telephone_events, core.quality().lost), (1, 1, 0));
}

#[test]
fn a_new_sender_is_heard_after_five_packets_and_goes_on_in_time() {
    let (mut core, mut out) = core();
    for n in 0..10u16 {
        core.packet(&packet(0, n, u32::from(n) * 160, 7, false, &[0; 160]), ms(20 * u64::from(n)), &mut out);
    }
    for n in 0..10u16 {
        core.packet(
            &packet(0, 9000 + n, 77 + u32::from(n) * 160, 8, false, &[0; 160]),
            ms(200 + 20 * u64::from(n)),
            &mut out,
        );
    }
    out.assert_whole();
    assert_eq!(out.of(FrameKind::Resync), [(1600, 640)], "four packets of time were not believed yet");
    assert_eq!(core.media_time(), 20 * 160);
    let counts = core.counts();
    assert_eq!((counts.ssrc, counts.ssrc_changes, counts.foreign_ssrc), (Some(8), 1, 4));
}

#[test]
fn what_is_no_packet_is_counted_and_harms_nothing() {
    let (mut core, mut out) = core();
    assert!(!core.packet(&[], ms(0), &mut out));
    assert!(!core.packet(&[0x80, 200, 0, 6, 0, 0, 0, 1], ms(0), &mut out));
    assert!(!core.packet(&[0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0], ms(0), &mut out));
    assert!(core.packet(&packet(0, 1, 0, 7, false, &[]), ms(0), &mut out), "an empty payload is a packet");
    assert!(core.packet(&packet(77, 2, 0, 7, false, &[1, 2]), ms(0), &mut out));
    assert_eq!(out.frames, []);
    let counts = core.counts();
    assert_eq!((counts.malformed, counts.rtcp, counts.unknown_payload, counts.packets), (2, 1, 1, 2));
}

#[test]
fn a_successor_goes_on_where_the_lost_core_was() {
    let mut core = StreamCore::resume(StreamConfig::new(8000), 4800, Some(ms(600)));
    let mut out = Collected::default();
    core.packet(&packet(0, 99, 12345, 7, false, &[0; 160]), ms(700), &mut out);
    assert_eq!(out.frames[0].kind, FrameKind::Resync);
    assert_eq!((out.frames[0].media_time, out.frames[0].samples), (4800, 640));
    assert_eq!((out.frames[1].media_time, out.frames[1].kind), (5440, FrameKind::Audio));
}

#[test]
fn the_level_is_that_of_the_audio_since_it_was_last_asked() {
    let (mut core, mut out) = core();
    let mut loud = Vec::new();
    Encoder::new(Codec::Ulaw).encode(&[16384; 160], &mut loud);
    core.packet(&packet(0, 1, 0, 7, false, &loud), ms(0), &mut out);
    let level = core.take_level();
    assert!((level.mean_dbov() + 6.02).abs() < 0.3, "{}", level.mean_dbov());
    assert_eq!(core.take_level().samples(), 0);
    assert!((core.quality().level_dbov + 6.02).abs() < 0.3);
}
