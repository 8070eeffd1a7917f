//! Any network: loss, reordering, duplicates, jitter, senders that begin anew.

use super::*;
use proptest::prelude::*;

/// One packet's fate: its delay, how often it comes, and what the sender did before it.
#[derive(Clone, Debug)]
struct Fate {
    delay_ms: u64,
    copies: usize,
    quiet_ms: u64,
    jump: Option<(u16, u32)>,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let jump = prop_oneof![30 => Just(None), 1 => any::<(u16, u32)>().prop_map(Some)];
    let fate = (
        0u64..150,
        prop_oneof![1 => Just(0usize), 8 => Just(1), 1 => Just(2)],
        prop_oneof![20 => Just(0u64), 1 => 0u64..15_000],
        jump,
    );
    proptest::collection::vec(
        fate.prop_map(|(delay_ms, copies, quiet_ms, jump)| Fate {
            delay_ms,
            copies,
            quiet_ms,
            jump,
        }),
        1..200,
    )
}

/// Datagrams in order of arrival.
fn arrivals(fates: &[Fate], spread: u64) -> Vec<(u64, Vec<u8>)> {
    let (mut sequence, mut timestamp, mut sent_ms) = (65_500u16, u32::MAX - 3000, 0u64);
    let mut out = Vec::new();
    for fate in fates {
        sent_ms += 20 + fate.quiet_ms;
        timestamp = timestamp.wrapping_add(160 + fate.quiet_ms as u32 * 8);
        sequence = sequence.wrapping_add(1);
        if let Some((seq, ts)) = fate.jump {
            (sequence, timestamp) = (sequence.wrapping_add(seq), timestamp.wrapping_add(ts));
        }
        for copy in 0..fate.copies {
            let at = sent_ms + fate.delay_ms % spread.max(1) + copy as u64;
            out.push((at, packet(0, sequence, timestamp, 7, fate.quiet_ms > 0, &[sequence as u8; 160])));
        }
    }
    out.sort_by_key(|(at, _)| *at);
    out
}

fn run(arrivals: &[(u64, Vec<u8>)]) -> (StreamCore, Collected) {
    let mut core = StreamCore::new(StreamConfig::new(8000));
    let mut out = Collected::default();
    let mut now = 0;
    for (at, datagram) in arrivals {
        while now < *at {
            now = (now + 10).min(*at);
            core.tick(ms(now), &mut out);
        }
        core.packet(datagram, ms(*at), &mut out);
    }
    core.tick(ms(now + 1000), &mut out);
    (core, out)
}

proptest! {
    #[test]
    fn audio_and_gaps_add_up_to_the_media_time_whatever_comes(fates in fates(), spread in 1u64..150) {
        let arrivals = arrivals(&fates, spread);
        let (core, out) = run(&arrivals);
        out.assert_whole();
        prop_assert_eq!(out.frames.last().map_or(0, Frame::end), core.media_time());
        prop_assert!(!core.is_holding());
        let counts = core.counts();
        let heard = out.frames.iter().filter(|frame| frame.kind == FrameKind::Audio).count() as u64;
        let jitter = counts.jitter;
        prop_assert_eq!(heard + jitter.duplicates + jitter.late + jitter.doubtful, arrivals.len() as u64);
    }

    #[test]
    fn packets_that_are_at_most_60_ms_late_are_all_heard_in_order(n in 2u16..200, delays in proptest::collection::vec(0u64..60, 200)) {
        // 60 ms after the first behind the hole; delays differ by less.
        let mut sent: Vec<_> = (0..n).map(|i| {
            let delay = if i == 0 { 0 } else { delays[usize::from(i)] };
            (u64::from(i) * 20 + delay, packet(0, i, u32::from(i) * 160, 7, false, &[i as u8; 160]))
        }).collect();
        sent.sort_by_key(|(at, _)| *at);
        let (core, out) = run(&sent);
        out.assert_whole();
        prop_assert_eq!(out.frames.len(), usize::from(n));
        prop_assert_eq!(core.media_time(), u64::from(n) * 160);
        prop_assert_eq!(core.quality().lost, 0);
    }

    #[test]
    fn lost_packets_are_gaps_of_exactly_their_length(kept in proptest::collection::vec(any::<bool>(), 0..100)) {
        // The first and last come, so that every loss has an end; runs stay under 2 s.
        let kept: Vec<bool> = std::iter::once(true).chain(kept.into_iter().enumerate().map(|(i, kept)| kept || i % 50 == 0)).chain([true]).collect();
        let sent: Vec<_> = kept.iter().enumerate().filter(|(_, kept)| **kept)
            .map(|(i, _)| (i as u64 * 20, packet(0, i as u16, i as u32 * 160, 7, false, &[1; 160]))).collect();
        let (core, out) = run(&sent);
        out.assert_whole();
        let lost = kept.iter().filter(|kept| !**kept).count() as u64;
        prop_assert_eq!(out.of(FrameKind::Lost).iter().map(|(_, samples)| samples).sum::<u64>(), lost * 160);
        prop_assert_eq!(core.quality().lost, lost);
        prop_assert_eq!(core.media_time(), kept.len() as u64 * 160);
    }

    #[test]
    fn any_datagrams_harm_nothing(datagrams in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), 0u64..5000), 0..60), ssrc: bool) {
        let mut core = StreamCore::new(StreamConfig::new(16000));
        let mut out = Collected::default();
        let mut now = 0;
        for (mut bytes, step) in datagrams {
            now += step;
            if ssrc && bytes.len() >= 12 {
                // Mostly packets of one sender, so that they come further.
                bytes[0] = 0x80;
                bytes[1] = [0, 8, 9, 10, 118, 13, 101][usize::from(bytes[1]) % 7];
                bytes[8..12].copy_from_slice(&[0; 4]);
            }
            core.packet(&bytes, ms(now), &mut out);
            core.tick(ms(now), &mut out);
        }
        out.assert_whole();
    }
}
