#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Wake, Waker};

fn head(media_time: u64) -> FrameHead {
    FrameHead {
        media_time,
        rate: 8000,
        kind: FrameKind::Audio,
        samples: 2,
        received_at: Duration::ZERO,
    }
}

fn write(writer: &RingWriter, n: u64) {
    assert!(writer.write(head(2 * n), &[n as i16, 7]));
}

struct Flag(AtomicBool);
impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_reader_gets_what_comes_after_it_was_made_and_the_end_only_after_the_last_frame() {
    let ring = FrameRing::new(8);
    let writer = ring.writer();
    write(&writer, 0);
    let mut reader = ring.reader();
    assert!(matches!(reader.try_read(), Read::Empty));
    write(&writer, 1);
    ring.close();
    let Read::Frame(frame) = reader.try_read() else { panic!("no frame") };
    assert_eq!((frame.seq, frame.media_time, &frame.audio[..]), (1, 2, &[1i16, 7][..]));
    assert!(matches!(reader.try_read(), Read::Closed));
    assert!(matches!(ring.reader_from_oldest().try_read(), Read::Frame(_)));
}

#[test]
fn a_frame_that_somebody_keeps_is_never_changed() {
    let ring = FrameRing::new(2);
    let writer = ring.writer();
    let mut reader = ring.reader();
    write(&writer, 0);
    let Read::Frame(kept) = reader.try_read() else { panic!("no frame") };
    (1..20).for_each(|n| write(&writer, n));
    assert_eq!((kept.seq, kept.audio[0]), (0, 0));
}

#[test]
fn what_the_replaced_writer_writes_is_refused() {
    let ring = FrameRing::new(4);
    let old = ring.writer();
    write(&old, 0);
    let new = ring.writer();
    assert!(!old.write(head(2), &[9, 9]));
    write(&new, 1);
    assert_eq!((ring.written(), ring.refused()), (2, 1));
}

#[test]
fn a_waiting_task_is_woken_by_a_frame_and_by_the_end() {
    let ring = FrameRing::new(4);
    let writer = ring.writer();
    let mut reader = ring.reader();
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    for end in [false, true] {
        assert!(reader.poll_read(&mut Context::from_waker(&waker)).is_pending());
        assert!(!flag.0.swap(false, Ordering::SeqCst));
        if end {
            ring.close()
        } else {
            write(&writer, 0)
        }
        assert!(flag.0.swap(false, Ordering::SeqCst), "not woken");
        assert!(matches!(
            (reader.poll_read(&mut Context::from_waker(&waker)), end),
            (Poll::Ready(Read::Frame(_)), false) | (Poll::Ready(Read::Closed), true)
        ));
    }
}

#[test]
fn threads_that_read_and_wait_get_every_frame_or_are_told_how_many_they_missed() {
    const FRAMES: u64 = 50_000;
    let ring = FrameRing::new(16);
    let writer = ring.writer();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut reader = ring.reader();
            std::thread::spawn(move || {
                let (mut frames, mut lagged, mut next) = (0u64, 0u64, 0u64);
                loop {
                    match reader.read_timeout(Duration::from_secs(20)) {
                        Read::Frame(frame) => {
                            assert_eq!(frame.seq, next);
                            assert_eq!((frame.media_time, frame.audio[0]), (2 * next, next as i16));
                            (frames, next) = (frames + 1, next + 1);
                        }
                        Read::Lagged(n) => (lagged, next) = (lagged + n, next + n),
                        Read::Empty => {}
                        Read::Closed => return (frames, lagged),
                    }
                }
            })
        })
        .collect();
    (0..FRAMES).for_each(|n| write(&writer, n));
    ring.close();
    for reader in readers {
        let (frames, lagged) = reader.join().unwrap();
        assert_eq!(frames + lagged, FRAMES);
    }
}

proptest! {
    #[test]
    fn frames_and_lags_add_up_to_what_was_written(steps in proptest::collection::vec((0u64..40, 0usize..40), 1..30), size in 2usize..20) {
        let ring = FrameRing::new(size);
        let writer = ring.writer();
        let mut reader = ring.reader();
        let (mut written, mut next) = (0u64, 0u64);
        for (writes, reads) in steps {
            for _ in 0..writes {
                write(&writer, written);
                written += 1;
            }
            for _ in 0..reads {
                match reader.try_read() {
                    Read::Frame(frame) => {
                        prop_assert_eq!((frame.seq, frame.media_time), (next, 2 * next));
                        next += 1;
                    }
                    Read::Lagged(n) => {
                        prop_assert!(n > 0);
                        next += n;
                    }
                    Read::Empty => prop_assert_eq!(next, written),
                    Read::Closed => prop_assert!(false, "not closed"),
                }
            }
            prop_assert!(next <= written);
            prop_assert_eq!(reader.behind(), written - next);
        }
    }
}
