//! What Asterisk really sends.

use super::*;
use crate::dsp::Level;

/// Arrival and UDP payload of each packet of a classic pcap of raw IPv4.
fn capture(bytes: &[u8]) -> Vec<(Duration, &[u8])> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut out) = (24, Vec::new());
    while at < bytes.len() {
        let arrived = Duration::new(u64::from(u32_at(at)), u32_at(at + 4) * 1000);
        let packet = &bytes[at + 16..at + 16 + u32_at(at + 8) as usize];
        out.push((arrived, &packet[usize::from(packet[0] & 15) * 4 + 8..]));
        at += 16 + packet.len();
    }
    out
}

fn heard(bytes: &[u8], rate: u32) -> (StreamCore, Collected) {
    let mut core = StreamCore::new(StreamConfig::new(rate));
    let mut out = Collected::default();
    for (at, datagram) in capture(bytes) {
        assert!(core.packet(datagram, at, &mut out));
    }
    out.assert_whole();
    (core, out)
}

#[test]
fn each_format_is_heard_whole_and_equally_loud() {
    let captures: [(&[u8], u32, u8, u64); 3] = [
        (include_bytes!("../../testdata/alaw_602.pcap"), 8000, 8, 36),
        (include_bytes!("../../testdata/g722_602.pcap"), 16000, 9, 35),
        (include_bytes!("../../testdata/slin16_602.pcap"), 16000, 118, 35),
    ];
    let mut levels = Vec::new();
    for (bytes, rate, payload_type, packets) in captures {
        let (core, out) = heard(bytes, rate);
        let counts = core.counts();
        assert_eq!((counts.packets, counts.payload_type), (packets, Some(payload_type)));
        assert_eq!(core.media_time(), packets * u64::from(rate) / 50);
        assert_eq!(out.frames.len() as u64, packets);
        let quality = core.quality();
        assert_eq!((quality.lost, quality.expected), (0, packets));
        assert!(quality.mos > 4.4 && quality.jitter_ms < 3.0, "{quality:?}");
        let mut level = Level::default();
        level.add(&out.audio()[..rate as usize / 2]);
        levels.push(level.mean_dbov());
    }
    assert!(levels.iter().all(|level| *level > -60.0 && (level - levels[0]).abs() < 1.5), "{levels:?}");
}

#[test]
fn a_quiet_sender_is_a_silence_and_no_loss() {
    let (core, out) = heard(include_bytes!("../../testdata/silence_slin16.pcap"), 16000);
    assert_eq!(out.of(FrameKind::Silence), [(15 * 320, 6480 - 320)]);
    assert_eq!(out.of(FrameKind::Lost), []);
    assert_eq!(core.quality().lost, 0);
}

#[test]
fn two_taps_after_one_another_on_one_port_are_two_senders() {
    let bytes = include_bytes!("../../testdata/ulaw_600.pcap");
    let mut core = StreamCore::new(StreamConfig::new(8000));
    let mut out = Collected::default();
    for (n, (_, datagram)) in capture(bytes).into_iter().enumerate() {
        core.packet(datagram, ms(20 * n as u64), &mut out);
    }
    out.assert_whole();
    let counts = core.counts();
    assert_eq!((counts.ssrc_changes, counts.foreign_ssrc), (1, 4));
    assert_eq!(core.media_time(), 75 * 160, "time goes on by arrival");
}
