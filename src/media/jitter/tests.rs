#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

#[derive(Default)]
struct Out(Vec<String>);

impl Release for Out {
    fn packet(&mut self, media_time: u64, arrival: &Arrival<'_>) {
        self.0.push(format!("{media_time}:{}", arrival.payload[0]));
    }
    fn gap(&mut self, media_time: u64, samples: u64, kind: FrameKind, _: Duration) {
        self.0.push(format!("{media_time}:{kind:?}+{samples}"));
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `(sequence, timestamp, arrival in ms)`, each of 160 samples at 8 kHz, then a tick long after.
fn released(packets: &[(u16, u32, u64)]) -> (String, JitterCounts) {
    let mut jitter = Jitter::new(8000, ms(60));
    let mut out = Out::default();
    let mut last = 0;
    for &(sequence, timestamp, at) in packets {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc: 1,
        };
        jitter.tick(ms(at), &mut out);
        jitter.push(
            &Arrival {
                header,
                payload: &[sequence as u8],
                samples: 160,
                clock_rate: 8000,
                at: ms(at),
            },
            &mut out,
        );
        last = at;
    }
    jitter.tick(ms(last + 60), &mut out);
    (out.0.join(" "), jitter.counts())
}

#[test]
fn each_kind_of_trouble_gives_its_own_timeline() {
    for (what, packets, expected) in [
        ("in order", &[(1, 0, 0), (2, 160, 20), (3, 320, 40)][..], "0:1 160:2 320:3"),
        ("swapped", &[(1, 0, 0), (3, 320, 20), (2, 160, 21)], "0:1 160:2 320:3"),
        ("twice", &[(1, 0, 0), (2, 160, 20), (2, 160, 21), (1, 0, 22)], "0:1 160:2"),
        ("held twice", &[(1, 0, 0), (3, 320, 20), (3, 320, 21), (2, 160, 22)], "0:1 160:2 320:3"),
        ("lost", &[(1, 0, 0), (4, 480, 60)], "0:1 160:Lost+320 480:4"),
        (
            "too late",
            &[(1, 0, 0), (3, 320, 40), (4, 480, 110), (2, 160, 111)],
            "0:1 160:Lost+160 320:3 480:4",
        ),
        ("quiet", &[(1, 0, 0), (2, 8000, 1000)], "0:1 160:Silence+7840 8000:2"),
        ("lost and quiet", &[(1, 0, 0), (3, 8000, 1000)], "0:1 160:Lost+160 320:Silence+7680 8000:3"),
        ("quiet for a minute", &[(1, 0, 0), (2, 480_000, 60_000)], "0:1 160:Silence+479840 480000:2"),
        ("the clock jumps an hour ahead", &[(1, 0, 0), (2, 28_800_000, 20)], "0:1 160:2"),
        ("the clock jumps an hour back", &[(1, 28_800_000, 0), (2, 0, 20)], "0:1 160:2"),
        (
            "quiet for a minute, uncounted",
            &[(1, 0, 0), (2, 160, 60_000)],
            "0:1 160:Resync+479840 480000:2",
        ),
        ("a stall of 3 s", &[(1, 0, 0), (2, 160, 3000), (3, 320, 3000)], "0:1 160:2 320:3"),
        ("a stray sequence number", &[(1, 0, 0), (30_000, 160, 20), (2, 160, 21)], "0:1 160:2"),
        (
            "a new sequence",
            &[(1, 0, 0), (30_000, 5000, 20), (30_001, 5160, 40)],
            "0:1 160:Resync+160 320:49",
        ),
        ("timestamps stand still", &[(1, 0, 0), (2, 0, 20), (3, 0, 40)], "0:1 160:2 320:3"),
    ] {
        assert_eq!(released(packets).0, expected, "{what}");
    }
}

#[test]
fn losses_are_counted_in_packets_and_in_stretches() {
    let (_, counts) = released(&[(1, 0, 0), (4, 480, 60), (5, 640, 80), (7, 960, 130), (7, 960, 131), (6, 800, 250)]);
    assert_eq!((counts.lost, counts.loss_runs, counts.duplicates, counts.late), (3, 2, 1, 1));
}

#[test]
fn what_is_held_is_bounded() {
    let mut jitter = Jitter::new(8000, ms(60));
    let mut out = Out::default();
    for n in (0..1000u16).filter(|n| n % 200 != 1) {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: n,
            timestamp: u32::from(n) * 160,
            ssrc: 1,
        };
        jitter.push(
            &Arrival {
                header,
                payload: &[1],
                samples: 160,
                clock_rate: 8000,
                at: ms(0),
            },
            &mut out,
        );
        assert!(jitter.held.len() <= HELD_MAX);
    }
    assert_eq!(jitter.counts().lost, 5);
}
