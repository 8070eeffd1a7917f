//! The sockets of a lane, and the pieces that this round has for them.

use super::outlet::{Flushed, Outlet, Piece};
use crate::inbox::{Command, ToSocket};
use crate::lanes::Inside;
use crate::shared::Shared;
use aimg_wire::close::CloseCode;
use aimg_wire::topic::Topic;
use aimg_wire::ws::frame;
use bytes::Bytes;
use std::collections::HashMap;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::oneshot;

pub(super) struct Sockets {
    inside: Arc<Inside>,
    lane: usize,
    incarnation: u64,
    slots: Vec<Option<Outlet>>,
    free: Vec<u32>,
    by_id: HashMap<u64, u32>,
    /// What this round sends; sockets refer to it by number, so that a delivery costs no reference count.
    pieces: Vec<Piece>,
    dirty: Vec<u32>,
    broken: Vec<u32>,
    closing: Vec<u32>,
}

impl Sockets {
    pub fn new(inside: Arc<Inside>, lane: usize, incarnation: u64) -> Sockets {
        Sockets {
            inside,
            lane,
            incarnation,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            pieces: Vec::new(),
            dirty: Vec::new(),
            broken: Vec::new(),
            closing: Vec::new(),
        }
    }

    pub fn insert(&mut self, shared: Arc<Shared>) -> u32 {
        // A socket that was adopted may have its registration still waiting.
        if let Some(slot) = self.by_id.get(&shared.id) {
            return *slot;
        }
        let mut writer = shared.writer.lock();
        writer.incarnation = writer.incarnation.max(self.incarnation);
        drop(writer);
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        self.by_id.insert(shared.id, slot);
        let outlet = Some(Outlet::new(shared));
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = outlet,
            None => self.slots.push(outlet),
        }
        slot
    }

    pub fn slot(&self, id: u64) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub fn all(&self) -> Vec<u32> {
        self.by_id.values().copied().collect()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Outlet> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub fn remove(&mut self, slot: u32) -> Option<Arc<Shared>> {
        let outlet = self.slots.get_mut(slot as usize)?.take()?;
        self.by_id.remove(&outlet.shared.id);
        self.free.push(slot);
        // A slot that is used again must not meet what was meant for its predecessor.
        self.dirty.retain(|dirty| *dirty != slot);
        self.broken.retain(|broken| *broken != slot);
        self.closing.retain(|closing| *closing != slot);
        outlet.shared.shutdown(if outlet.is_finished() { Shutdown::Write } else { Shutdown::Both });
        Some(outlet.shared)
    }

    /// A piece for several sockets.
    pub fn add(&mut self, frames: Bytes, topic: Option<Topic>) -> u32 {
        self.pieces.push(Piece { frames, topic });
        (self.pieces.len() - 1) as u32
    }

    pub fn push_added(&mut self, slot: u32, piece: u32) {
        let Some(Some(outlet)) = self.slots.get_mut(slot as usize) else { return };
        if outlet.is_closing() {
            return;
        }
        outlet.pending.push(piece);
        if outlet.make_dirty() {
            self.dirty.push(slot);
        }
    }

    pub fn push(&mut self, slot: u32, frame: Bytes, topic: Option<Topic>) {
        let piece = self.add(frame, topic);
        self.push_added(slot, piece);
    }

    pub fn push_signal(&mut self, slot: u32, topic: Topic, kind: &Arc<str>, frame: &Bytes) {
        let Some(outlet) = self.get_mut(slot) else { return };
        if outlet.is_closing() {
            return;
        }
        outlet.keep_signal(topic, kind, frame);
        if outlet.make_dirty() {
            self.dirty.push(slot);
        }
    }

    /// How many older ones had to go.
    pub fn push_loose(&mut self, slot: u32, frame: Vec<u8>, flag_at: usize, flag: u8) -> u64 {
        let bytes_max = self.inside.config.loose_bytes_max;
        if self.get_mut(slot).is_some_and(|outlet| outlet.would_drop(frame.len(), bytes_max)) {
            // Not slow yet: this round merely has much for it.
            self.flush_one(slot);
        }
        let Some(outlet) = self.get_mut(slot).filter(|outlet| !outlet.is_closing()) else {
            return 0;
        };
        let dropped = outlet.keep_loose(frame, flag_at, flag, bytes_max);
        if outlet.make_dirty() {
            self.dirty.push(slot);
        }
        dropped
    }

    pub fn when_drained(&mut self, slot: u32, drained: oneshot::Sender<()>) {
        let Some(outlet) = self.get_mut(slot) else { return };
        outlet.drained.push(drained);
        if outlet.make_dirty() {
            self.dirty.push(slot);
        }
    }

    pub fn writable(&mut self, slot: u32) {
        let Some(outlet) = self.get_mut(slot) else { return };
        outlet.waiting = false;
        if outlet.make_dirty() {
            self.dirty.push(slot);
        }
    }

    /// Drops what is queued of these topics. False: the beginning of such a frame is already out.
    pub fn purge(&mut self, slot: u32, topics: &[Topic]) -> bool {
        let Some(Some(outlet)) = self.slots.get_mut(slot as usize) else { return true };
        outlet.purge(&self.pieces, |topic| topic.is_some_and(|topic| topics.contains(&topic)))
    }

    /// Queues the close frame. False: it cannot be said in an orderly way.
    pub fn begin_close(&mut self, slot: u32, code: CloseCode, reason: &str, deadline: Instant) -> bool {
        let Some(Some(outlet)) = self.slots.get_mut(slot as usize) else { return true };
        if outlet.is_closing() {
            return true;
        }
        let access_lost = matches!(code, CloseCode::Auth | CloseCode::Permission);
        if access_lost && !outlet.purge(&self.pieces, |_| true) {
            return false;
        }
        if code == CloseCode::SlowConsumer {
            outlet.drop_unbegun();
        }
        for frame in outlet.take_loose() {
            self.push(slot, frame, None);
        }
        self.push(slot, frame::close(code.code(), reason), None);
        if let Some(outlet) = self.get_mut(slot) {
            outlet.closing = Some((code.code(), deadline));
            self.closing.push(slot);
        }
        true
    }

    pub fn abort(&mut self, slot: u32) {
        if let Some(outlet) = self.get_mut(slot) {
            outlet.shared.shutdown(Shutdown::Both);
        }
    }

    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Writes to every socket that has something; the slow ones among them.
    pub fn flush(&mut self) -> Vec<u32> {
        let mut slow = Vec::new();
        let (inside, lane) = (self.inside.clone(), self.lane);
        for (n, slot) in std::mem::take(&mut self.dirty).into_iter().enumerate() {
            if n % 256 == 255 {
                inside.inboxes[lane].beat.fetch_add(1, Ordering::Relaxed);
            }
            if self.flush_one(slot) {
                slow.push(slot);
            }
        }
        slow
    }

    /// True when it is too slow.
    fn flush_one(&mut self, slot: u32) -> bool {
        let Some(Some(outlet)) = self.slots.get_mut(slot as usize) else {
            return false;
        };
        let counters = &self.inside.counters[self.lane];
        match outlet.flush(&self.pieces, self.incarnation, counters, self.inside.config.outbox_bytes_max) {
            Flushed::All | Flushed::Waits => {}
            Flushed::Blocked => self.wait_writable(slot),
            Flushed::Slow => {
                self.wait_writable(slot);
                return true;
            }
            Flushed::Broken => self.broken.push(slot),
        }
        false
    }

    fn wait_writable(&mut self, slot: u32) {
        let (inside, lane) = (self.inside.clone(), self.lane);
        let Some(outlet) = self.get_mut(slot) else { return };
        if outlet.waiting {
            return;
        }
        outlet.waiting = true;
        let (stream, socket) = (outlet.shared.stream.clone(), outlet.shared.id);
        let runtime = inside.config.runtime.clone();
        runtime.spawn(async move {
            // An error shows at the next write.
            let _ = stream.writable().await;
            inside.inboxes[lane].push(Command::ToSocket {
                socket,
                what: ToSocket::Writable,
            });
        });
    }

    pub fn take_broken(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.broken)
    }

    /// Closed sockets that are done, or out of time.
    pub fn take_finished(&mut self, now: Instant) -> Vec<(u32, u16)> {
        let mut finished = Vec::new();
        for slot in &self.closing {
            let Some(Some(outlet)) = self.slots.get(*slot as usize) else { continue };
            if let Some((code, deadline)) = outlet.closing
                && (outlet.is_finished() || now >= deadline)
            {
                finished.push((*slot, code));
            }
        }
        finished
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.closing
            .iter()
            .filter_map(|slot| self.slots.get(*slot as usize)?.as_ref()?.closing)
            .map(|(_, deadline)| deadline)
            .min()
    }

    /// Forgets the round's pieces. Every socket has written or copied what it had of them.
    pub fn end_round(&mut self) {
        self.pieces.clear();
    }
}
