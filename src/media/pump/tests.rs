#![allow(clippy::unwrap_used, clippy::expect_used)]
//! Real sockets on loopback, a clock that is real or held.

use super::*;
use aimg_domain::pbx::{MediaPorts, TapFormat};
use aimg_domain::{CallId, Clock, PbxId, Timestamp, TrackId};
use aimg_media::rtp;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use uuid::Uuid;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEADLINE: Duration = Duration::from_secs(20);
/// Each test has ports of its own.
static NEXT_PORT: AtomicU64 = AtomicU64::new(0);

/// Real time and a shift.
struct TestClock {
    start: Instant,
    shift_ms: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed() + Duration::from_millis(self.shift_ms.load(Ordering::SeqCst))
    }
}

struct Rig {
    set: Arc<PumpSet>,
    clock: Arc<TestClock>,
}

fn ports() -> RangeInclusive<u16> {
    let base = 21_000 + (std::process::id() % 200) as u16 * 200 + NEXT_PORT.fetch_add(20, Ordering::SeqCst) as u16;
    base..=base + 19
}

fn rig_with(change: impl FnOnce(&mut PumpConfig)) -> Rig {
    let clock = Arc::new(TestClock {
        start: Instant::now(),
        shift_ms: AtomicU64::new(0),
    });
    let mut config = PumpConfig::new(LOOPBACK, ports());
    // Only what a test means to expire or to fall silent does.
    config.silent_after = Duration::from_secs(3600);
    config.rest = Duration::from_secs(600);
    change(&mut config);
    Rig {
        set: PumpSet::start(config, clock.clone()).unwrap(),
        clock,
    }
}

fn rig() -> Rig {
    rig_with(|_| {})
}

fn spec(pbx: u128, call: u128) -> StreamSpec {
    StreamSpec {
        pbx: PbxId(Uuid::from_u128(pbx)),
        call: CallId(Uuid::from_u128(call)),
        track: TrackId::Caller,
        format: TapFormat::Ulaw,
        ports: MediaPorts::Shared,
        want_local: None,
    }
}

/// An Asterisk's external media channel.
struct Phone {
    socket: UdpSocket,
    sequence: u16,
    ssrc: u32,
}

impl Phone {
    fn new(ssrc: u32) -> Phone {
        Phone {
            socket: UdpSocket::bind((LOOPBACK, 0)).unwrap(),
            sequence: 0,
            ssrc,
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn send(&mut self, to: SocketAddr, packets: u16) {
        for _ in 0..packets {
            let header = rtp::Header {
                marker: false,
                payload_type: 0,
                sequence: self.sequence,
                timestamp: u32::from(self.sequence) * 160,
                ssrc: self.ssrc,
            };
            let mut out = Vec::new();
            rtp::write(&header, &[self.ssrc as u8; 160], &mut out);
            self.socket.send_to(&out, to).unwrap();
            self.sequence = self.sequence.wrapping_add(1);
        }
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "never: {what}");
        std::thread::yield_now();
    }
}

/// The next `n` frames.
fn frames(reader: &mut FrameReader, n: usize) -> Vec<Arc<Frame>> {
    let (start, mut out) = (Instant::now(), Vec::new());
    while out.len() < n {
        assert!(start.elapsed() < DEADLINE, "{} of {n} frames", out.len());
        match reader.read_timeout(Duration::from_millis(100)) {
            Read::Frame(frame) => out.push(frame),
            Read::Empty => {}
            other => panic!("{other:?} after {} frames", out.len()),
        }
    }
    out
}

fn is_closed(reader: &mut FrameReader) -> bool {
    loop {
        match reader.try_read() {
            Read::Closed => return true,
            Read::Empty => return false,
            _ => {}
        }
    }
}

#[test]
fn two_streams_on_one_socket_are_told_apart_by_source() {
    let rig = rig();
    let (mut a, mut b, mut stranger) = (Phone::new(1), Phone::new(2), Phone::new(3));
    let (lease_a, lease_b) = (rig.set.open(spec(1, 1)).unwrap(), rig.set.open(spec(1, 2)).unwrap());
    assert_eq!(lease_a.local_addr(), lease_b.local_addr());
    lease_a.expect_from(a.address()).unwrap();
    lease_b.expect_from(b.address()).unwrap();
    let (mut reader_a, mut reader_b) = (lease_a.reader(), lease_b.reader());
    for _ in 0..10 {
        a.send(lease_a.local_addr(), 3);
        b.send(lease_b.local_addr(), 2);
        stranger.send(lease_a.local_addr(), 1);
    }
    for (reader, n, sample) in [(&mut reader_a, 30, 1u8), (&mut reader_b, 20, 2)] {
        let frames = frames(reader, n);
        let mut expected = Vec::new();
        aimg_media::Decoder::new(aimg_media::Codec::Ulaw).decode(&[sample; 160], &mut expected);
        assert!(
            frames
                .iter()
                .enumerate()
                .all(|(i, frame)| frame.media_time == i as u64 * 160 && frame.audio.len() == 160)
        );
        assert!(frames.iter().all(|frame| frame.audio == expected));
    }
    until("all counted", || rig.set.stats().unknown == 10);
    let strangers = rig.set.strangers(PbxId(Uuid::from_u128(1)));
    assert_eq!((strangers.len(), strangers[0].1.source, strangers[0].1.packets), (1, stranger.address(), 10));
    until("published", || lease_a.snapshot().counts.packets == 30);
    let snapshot = lease_a.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.source, snapshot.media_time),
        (StreamState::Flowing, Some(a.address()), 4800)
    );
}

#[test]
fn the_newest_stream_of_a_source_has_it_and_another_pbx_has_a_port_of_its_own() {
    let rig = rig();
    let mut phone = Phone::new(1);
    let first = rig.set.open(spec(1, 1)).unwrap();
    let second = rig.set.open(spec(1, 2)).unwrap();
    let elsewhere = rig.set.open(spec(2, 3)).unwrap();
    let dedicated = rig
        .set
        .open(StreamSpec {
            ports: MediaPorts::Dedicated,
            ..spec(1, 4)
        })
        .unwrap();
    first.expect_from(phone.address()).unwrap();
    first.expect_from(phone.address()).unwrap();
    second.expect_from(phone.address()).unwrap();
    assert_eq!((first.snapshot().source, second.snapshot().source), (None, Some(phone.address())));
    let (mut before, mut after) = (first.reader(), second.reader());
    phone.send(second.local_addr(), 5);
    frames(&mut after, 5);
    assert!(
        matches!(before.read_timeout(Duration::ZERO), Read::Empty),
        "it hears nothing of what is another's now"
    );
    let at = first.local_addr();
    drop(first);
    phone.send(second.local_addr(), 5);
    frames(&mut after, 5);
    assert_ne!(elsewhere.local_addr(), at);
    assert_ne!(dedicated.local_addr(), at);
    elsewhere.expect_from(phone.address()).unwrap();
}

#[test]
fn a_dropped_stream_rests_and_the_same_call_takes_it_back_without_losing_a_frame() {
    let rig = rig();
    let mut phone = Phone::new(1);
    let lease = rig.set.open(spec(1, 1)).unwrap();
    let local = lease.local_addr();
    lease.expect_from(phone.address()).unwrap();
    let mut reader = lease.reader();
    phone.send(local, 5);
    frames(&mut reader, 5);
    drop(lease);
    phone.send(local, 5);
    let again = rig.set.open(spec(1, 1)).unwrap();
    assert_eq!(again.local_addr(), local);
    phone.send(local, 5);
    let frames = frames(&mut reader, 10);
    assert_eq!(frames.last().unwrap().end(), 15 * 160);
    assert_eq!(rig.set.stats().resting, 0);
}

#[test]
fn a_rest_ends_and_with_it_the_ring_and_the_key() {
    let rig = rig_with(|config| config.rest = Duration::from_secs(60));
    let phone = Phone::new(1);
    let lease = rig.set.open(spec(1, 1)).unwrap();
    lease.expect_from(phone.address()).unwrap();
    let mut reader = lease.reader();
    drop(lease);
    rig.set.check(rig.clock.monotonic());
    assert!(!is_closed(&mut reader));
    rig.clock.shift_ms.store(61_000, Ordering::SeqCst);
    rig.set.check(rig.clock.monotonic());
    assert!(is_closed(&mut reader));
    assert_eq!(rig.set.stats().streams, 0);
    rig.set.open(spec(1, 2)).unwrap().expect_from(phone.address()).unwrap();
}

#[test]
fn the_newest_lease_holds_the_stream_and_the_older_one_no_longer_ends_it() {
    let rig = rig();
    let old = rig.set.open(spec(1, 1)).unwrap();
    let new = rig.set.open(spec(1, 1)).unwrap();
    assert!(matches!(old.expect_from(Phone::new(1).address()), Err(PumpError::Gone)));
    drop(old);
    assert_eq!((rig.set.stats().streams, rig.set.stats().resting), (1, 0));
    drop(new);
    assert_eq!(rig.set.stats().resting, 1);
}

#[test]
fn a_tap_made_again_brings_another_source_and_another_sender_at_once() {
    let rig = rig();
    let (mut first, mut second) = (Phone::new(1), Phone::new(2));
    let lease = rig.set.open(spec(1, 1)).unwrap();
    let mut reader = lease.reader();
    lease.expect_from(first.address()).unwrap();
    first.send(lease.local_addr(), 3);
    frames(&mut reader, 3);
    lease.expect_from(second.address()).unwrap();
    second.send(lease.local_addr(), 3);
    let frames = frames(&mut reader, 3);
    assert_eq!(
        frames.iter().filter(|frame| frame.kind == FrameKind::Audio).count() + frames.iter().filter(|frame| frame.kind == FrameKind::Resync).count(),
        3
    );
    until("published", || lease.snapshot().counts.ssrc == Some(2));
    assert_eq!(lease.snapshot().counts.foreign_ssrc, 0);
}

#[test]
fn a_dedicated_port_learns_where_packets_come_from() {
    let rig = rig();
    let (mut phone, mut intruder) = (Phone::new(1), Phone::new(2));
    let lease = rig
        .set
        .open(StreamSpec {
            ports: MediaPorts::Dedicated,
            ..spec(1, 1)
        })
        .unwrap();
    lease.expect_from("192.0.2.1:4000".parse().unwrap()).unwrap();
    let mut reader = lease.reader();
    phone.send(lease.local_addr(), 3);
    frames(&mut reader, 3);
    intruder.send(lease.local_addr(), 3);
    phone.send(lease.local_addr(), 3);
    frames(&mut reader, 3);
    assert_eq!(lease.snapshot().source, Some(phone.address()));
    assert_eq!(rig.set.stats().unknown, 3);
}

#[test]
fn stored_ports_are_bound_again_and_a_taken_one_is_told() {
    let rig = rig();
    let range = ports();
    let stored = SocketAddr::new(LOOPBACK, *range.start());
    let foreign = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let pbx = PbxId(Uuid::from_u128(1));
    let rebound = rig.set.rebind(&[(pbx, stored), (pbx, foreign.local_addr().unwrap())]);
    assert!(rebound[0].result.is_ok());
    assert!(matches!(rebound[1].result, Err(PumpError::PortTaken { .. })));
    let mut phone = Phone::new(1);
    // Sent before anybody opened the stream: nobody's.
    phone.send(stored, 1);
    let lease = rig
        .set
        .open(StreamSpec {
            want_local: Some(stored),
            ..spec(1, 1)
        })
        .unwrap();
    assert_eq!(lease.local_addr(), stored);
    lease.expect_from(phone.address()).unwrap();
    until("the first is counted", || rig.set.stats().packets == 1);
    let mut reader = lease.reader();
    phone.send(stored, 2);
    frames(&mut reader, 2);
    assert!(matches!(
        rig.set.open(StreamSpec {
            want_local: Some(stored),
            ..spec(2, 2)
        }),
        Err(PumpError::PortTaken { .. })
    ));
}

#[test]
fn ports_run_out_with_a_word_about_it_and_idle_sockets_give_theirs_back() {
    let rig = rig_with(|config| {
        config.ports = *config.ports.start()..=*config.ports.start() + 1;
        config.rest = Duration::ZERO;
    });
    let lease = rig.set.open(spec(1, 1)).unwrap();
    assert!(matches!(rig.set.open(spec(2, 2)), Err(PumpError::PortsExhausted { .. })));
    drop(lease);
    rig.set.check(rig.clock.monotonic());
    rig.clock.shift_ms.store(121_000, Ordering::SeqCst);
    rig.set.check(rig.clock.monotonic());
    until("the pump lets go of the socket", || rig.set.open(spec(2, 2)).is_ok());
}

#[test]
fn a_packet_that_panics_drops_its_stream_alone() {
    let rig = rig();
    let (mut bad, mut good) = (Phone::new(1), Phone::new(2));
    let (lease_bad, lease_good) = (rig.set.open(spec(1, 1)).unwrap(), rig.set.open(spec(1, 2)).unwrap());
    lease_bad.expect_from(bad.address()).unwrap();
    lease_good.expect_from(good.address()).unwrap();
    let (mut reader_bad, mut reader_good) = (lease_bad.reader(), lease_good.reader());
    lease_bad.slot().panics.store(true, Ordering::SeqCst);
    bad.send(lease_bad.local_addr(), 3);
    good.send(lease_good.local_addr(), 3);
    frames(&mut reader_good, 3);
    until("closed", || is_closed(&mut reader_bad));
    assert_eq!((lease_bad.snapshot().state, rig.set.stats().failed), (StreamState::Failed, 1));
    // The same call may have a new one.
    drop(lease_bad);
    let again = rig.set.open(spec(1, 1)).unwrap();
    again.expect_from(bad.address()).unwrap();
    let mut reader = again.reader();
    bad.send(again.local_addr(), 2);
    frames(&mut reader, 2);
}

#[test]
fn a_silent_pump_is_replaced_and_what_it_still_writes_is_refused() {
    let rig = rig();
    let (mut stuck, mut other) = (Phone::new(1), Phone::new(2));
    let (lease_stuck, lease_other) = (rig.set.open(spec(1, 1)).unwrap(), rig.set.open(spec(1, 2)).unwrap());
    let local = lease_stuck.local_addr();
    lease_stuck.expect_from(stuck.address()).unwrap();
    lease_other.expect_from(other.address()).unwrap();
    let (mut reader_stuck, mut reader_other) = (lease_stuck.reader(), lease_other.reader());
    stuck.send(local, 3);
    frames(&mut reader_stuck, 3);
    let barrier = Arc::new(Barrier::new(2));
    *lease_stuck.slot().stalls.lock() = Some(barrier.clone());
    stuck.send(local, 1);
    barrier.wait();
    // The thread is inside the slot now.
    assert_eq!(rig.set.check(rig.clock.monotonic()), []);
    rig.clock.shift_ms.store(3_600_000, Ordering::SeqCst);
    let replaced = rig.set.check(rig.clock.monotonic());
    assert_eq!((replaced.len(), replaced[0].thread, replaced[0].generation), (1, 0, 2));
    other.send(local, 3);
    frames(&mut reader_other, 3);
    stuck.send(local, 2);
    let resumed = frames(&mut reader_stuck, 3);
    assert_eq!((resumed[0].kind, resumed[0].media_time), (FrameKind::Resync, 480));
    let written = lease_stuck.slot().ring.written();
    barrier.wait();
    until("the old thread's frame is refused", || lease_stuck.slot().ring.refused() == 1);
    stuck.send(local, 1);
    frames(&mut reader_stuck, 1);
    assert_eq!(lease_stuck.slot().ring.written(), written + 1);
    until("published", || lease_stuck.snapshot().replaced == 1);
    assert_eq!(rig.set.stats().replaced, 1);
}

#[test]
fn quality_intervals_come_with_numbers_and_the_summary_counts_all() {
    let rig = rig();
    let mut phone = Phone::new(1);
    let lease = rig.set.open(spec(1, 1)).unwrap();
    lease.expect_from(phone.address()).unwrap();
    for round in 0..2u64 {
        phone.send(lease.local_addr(), 10);
        until("received", || lease.slot().ring.written() >= 10 * (round + 1));
        rig.clock.shift_ms.fetch_add(5_001, Ordering::SeqCst);
        until("an interval", || lease.quality_since(round).len() == 1);
    }
    let intervals = lease.quality_since(0);
    assert_eq!(
        intervals.iter().map(|(n, quality)| (*n, quality.packets, quality.lost)).collect::<Vec<_>>(),
        [(0, 10, 0), (1, 10, 0)]
    );
    until("the summary", || lease.quality_summary().packets == 20);
}

#[test]
fn after_the_stop_readers_see_the_end() {
    let rig = rig();
    let lease = rig.set.open(spec(1, 1)).unwrap();
    let mut reader = lease.reader();
    rig.set.stop();
    assert!(matches!(reader.read_timeout(DEADLINE), Read::Closed));
    assert_eq!(lease.snapshot().state, StreamState::Closed);
}
