//! Wakes who waits for a frame: tasks of any runtime, and threads. Costs the writer one load while nobody waits.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Waker;

/// Tasks that ended leave their waker behind until the next frame. Past this all are woken, and who still waits registers again.
const WAKERS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Bell {
    waiting: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Bell {
    /// The waker is called once. Look again after this and before sleeping: what was written before is not rung again.
    pub(super) fn register(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        if wakers.len() >= WAKERS_MAX {
            wakers.drain(..).for_each(Waker::wake);
        }
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.waiting.store(true, Ordering::Relaxed);
        // Pairs with the one in `ring`: either the writer sees that somebody waits, or the reader's second look sees the frame.
        fence(Ordering::SeqCst);
    }

    /// Never waits: if a reader is registering this instant, it looks again itself, and those before it are rung with the next frame.
    pub(super) fn ring(&self) {
        fence(Ordering::SeqCst);
        if !self.waiting.load(Ordering::Relaxed) {
            return;
        }
        if let Some(wakers) = self.wakers.try_lock() {
            self.wake(wakers);
        }
    }

    pub(super) fn ring_all(&self) {
        fence(Ordering::SeqCst);
        self.wake(self.wakers.lock());
    }

    fn wake(&self, mut wakers: parking_lot::MutexGuard<'_, Vec<Waker>>) {
        self.waiting.store(false, Ordering::Relaxed);
        let all = std::mem::take(&mut *wakers);
        drop(wakers);
        all.into_iter().for_each(Waker::wake);
    }
}
