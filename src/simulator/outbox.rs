//! What waits to be written to one manager or websocket: bounded in bytes; whoever overflows it is cut off, as Asterisk does.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    finished: bool,
    cut: bool,
}

pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    cut: watch::Sender<bool>,
    bytes_max: usize,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            ready: Notify::new(),
            cut: watch::Sender::new(false),
            bytes_max,
        })
    }

    pub(crate) fn push(&self, bytes: Bytes) {
        {
            let mut queue = self.queue.lock();
            if queue.finished || queue.cut {
                return;
            }
            if queue.bytes + bytes.len() > self.bytes_max {
                queue.cut = true;
                queue.waiting = VecDeque::new();
                self.cut.send_replace(true);
            } else {
                queue.bytes += bytes.len();
                queue.waiting.push_back(bytes);
            }
        }
        self.ready.notify_one();
    }

    /// Nothing more is taken; what waits is still written.
    pub(crate) fn finish(&self) {
        self.queue.lock().finished = true;
        self.ready.notify_one();
    }

    /// Nobody will read any more.
    pub(crate) fn cut(&self) {
        let mut queue = self.queue.lock();
        queue.cut = true;
        queue.waiting = VecDeque::new();
        self.cut.send_replace(true);
    }

    pub(crate) async fn until_cut(&self) {
        // Fails only when the outbox itself is gone.
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    /// Everything that waits, or `None` when there will be no more.
    pub(crate) async fn next(&self) -> Option<Vec<Bytes>> {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.cut {
                    return None;
                }
                if !queue.waiting.is_empty() {
                    queue.bytes = 0;
                    return Some(queue.waiting.drain(..).collect());
                }
                if queue.finished {
                    return None;
                }
            }
            self.ready.notified().await;
        }
    }

    #[cfg(test)]
    pub(crate) fn take(&self) -> Vec<Bytes> {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        queue.waiting.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_falls_too_far_behind_is_cut_off_and_its_backlog_freed() {
        let outbox = Outbox::new(10);
        outbox.push(Bytes::from_static(b"12345"));
        outbox.push(Bytes::from_static(b"123456"));
        assert_eq!(outbox.next().await, None);
        assert!(outbox.take().is_empty());
    }

    #[tokio::test]
    async fn what_waits_at_the_finish_is_still_read() {
        let outbox = Outbox::new(10);
        outbox.push(Bytes::from_static(b"bye"));
        outbox.finish();
        outbox.push(Bytes::from_static(b"late"));
        assert_eq!(outbox.next().await, Some(vec![Bytes::from_static(b"bye")]));
        assert_eq!(outbox.next().await, None);
    }
}
