//! A lane's thread: takes what waits, sorts it to its sockets, writes each socket once, and looks at the time.

mod commands;
mod outlet;
mod room;
mod sockets;

use crate::inbox::Inbox;
use crate::lanes::Inside;
use crate::shared::{LaneEvent, Shared};
use crate::stats::{Counters, count};
use aimg_wire::close::CloseCode;
use aimg_wire::topic::Topic;
use aimg_wire::ws::push;
use room::Room;
use sockets::Sockets;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Commands of one round.
const BATCH: usize = 1024;
/// A round with as many deliveries makes the lane busy: the next one gathers first, unless as many commands wait already.
const BUSY_DELIVERIES: u64 = 64;
/// The thread comes round at least so often.
const ROUND: Duration = Duration::from_millis(250);

pub(crate) struct Lane {
    inside: Arc<Inside>,
    index: usize,
    incarnation: u64,
    sockets: Sockets,
    rooms: HashMap<Topic, Room>,
    /// Rooms with publications of this round.
    active: Vec<Topic>,
    /// Rooms with a signal that waits for its time.
    signalling: Vec<Topic>,
    next_mark: Instant,
    busy_until: Option<Instant>,
}

impl Lane {
    pub fn new(inside: Arc<Inside>, index: usize, incarnation: u64) -> Lane {
        let next_mark = Instant::now() + inside.config.mark_after;
        let sockets = Sockets::new(inside.clone(), index, incarnation);
        Lane {
            inside,
            index,
            incarnation,
            sockets,
            rooms: HashMap::new(),
            active: Vec::new(),
            signalling: Vec::new(),
            next_mark,
            busy_until: None,
        }
    }

    fn inbox(&self) -> &Inbox {
        &self.inside.inboxes[self.index]
    }

    fn counters(&self) -> &Counters {
        &self.inside.counters[self.index]
    }

    /// `adopted`: sockets of a lane that died, with the topics that they have lost.
    pub fn run(mut self, adopted: Vec<(Arc<Shared>, Vec<Topic>)>) {
        for (shared, topics) in adopted {
            self.adopt(shared, topics);
        }
        while !self.is_over() {
            self.round();
        }
    }

    fn is_over(&self) -> bool {
        self.inside.stopped.load(Ordering::Acquire) || self.inbox().incarnation.load(Ordering::Acquire) != self.incarnation
    }

    fn adopt(&mut self, shared: Arc<Shared>, topics: Vec<Topic>) {
        let slot = self.sockets.insert(shared.clone());
        for topic in &topics {
            let frame = push::unsubscribed(topic, "resume", "subscribe again with the last position you hold");
            self.sockets.push(slot, frame, None);
        }
        if !topics.is_empty() {
            (shared.listener)(LaneEvent::Lost { topics });
        }
    }

    fn round(&mut self) {
        self.inbox().beat.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.inbox().wait(self.until_next());
        if waiting > 0 && waiting < BUSY_DELIVERIES as usize && self.busy_until.is_some_and(|until| Instant::now() < until) {
            std::thread::sleep(self.inside.config.gather);
            waiting = self.inbox().wait(Duration::ZERO);
        }
        if self.inbox().overrun.load(Ordering::Acquire) {
            self.lose_place();
        }
        for _ in 0..waiting.min(BATCH) {
            let Some(command) = self.inbox().pop(self.incarnation) else { break };
            self.apply(command);
        }
        let delivered = self.flush_rooms();
        self.flush_sockets();
        self.on_time(Instant::now());
        self.busy_until = (delivered >= BUSY_DELIVERIES).then(|| Instant::now() + self.inside.config.gather);
    }

    /// Publications were refused at the inbox: which subscribers miss what is not known, so all of them resume elsewhere or here.
    fn lose_place(&mut self) {
        count(&self.counters().overruns, 1);
        self.inbox().drop_publications();
        for topic in std::mem::take(&mut self.active) {
            if let Some(room) = self.rooms.get_mut(&topic) {
                room.gathered.clear();
            }
        }
        for slot in self.sockets.all() {
            self.close(slot, CloseCode::Resume, CloseCode::Resume.reason());
        }
    }

    fn flush_rooms(&mut self) -> u64 {
        let mut delivered = 0;
        for topic in std::mem::take(&mut self.active) {
            delivered += self.flush_room(topic);
        }
        delivered
    }

    fn flush_room(&mut self, topic: Topic) -> u64 {
        let Some(room) = self.rooms.get_mut(&topic) else { return 0 };
        let hold_max = self.inside.config.hold_bytes_max;
        let delivered = room.flush(topic, &mut self.sockets, hold_max);
        count(&self.inside.counters[self.index].deliveries, delivered);
        delivered
    }

    fn flush_sockets(&mut self) {
        let slow = self.sockets.flush();
        for slot in slow {
            count(&self.counters().slow_closed, 1);
            self.close(slot, CloseCode::SlowConsumer, CloseCode::SlowConsumer.reason());
        }
        for slot in self.sockets.take_broken() {
            self.remove(slot, Some(LaneEvent::Closed { code: None }));
        }
        // Close frames of the slow.
        self.sockets.flush();
        for slot in self.sockets.take_broken() {
            self.remove(slot, Some(LaneEvent::Closed { code: None }));
        }
        for (slot, code) in self.sockets.take_finished(Instant::now()) {
            self.remove(slot, Some(LaneEvent::Closed { code: Some(code) }));
        }
        self.sockets.end_round();
    }

    fn until_next(&self) -> Duration {
        let now = Instant::now();
        let due = self.signalling.iter().filter_map(|topic| self.rooms.get(topic)?.next_signal());
        let next = due.chain([self.next_mark]).chain(self.sockets.next_deadline()).min().unwrap_or(self.next_mark);
        next.saturating_duration_since(now).min(ROUND)
    }

    fn on_time(&mut self, now: Instant) {
        let mut again = Vec::new();
        for topic in std::mem::take(&mut self.signalling) {
            let Some(room) = self.rooms.get_mut(&topic) else { continue };
            room.send_due_signals(topic, &mut self.sockets, now);
            if room.next_signal().is_some() {
                again.push(topic);
            }
        }
        self.signalling = again;
        if now >= self.next_mark {
            self.next_mark = now + self.inside.config.mark_after;
            self.rooms.iter_mut().for_each(|(topic, room)| room.mark(topic, &mut self.sockets));
        }
        if self.sockets.has_dirty() {
            self.flush_sockets();
        }
    }

    /// Takes a socket out of its rooms and drops it.
    fn remove(&mut self, slot: u32, event: Option<LaneEvent>) {
        self.leave_rooms(slot);
        if let Some(shared) = self.sockets.remove(slot) {
            self.inside.registry.remove(&shared, self.counters());
            if let Some(event) = event {
                (shared.listener)(event);
            }
        }
    }

    fn leave_rooms(&mut self, slot: u32) {
        let Some(outlet) = self.sockets.get_mut(slot) else { return };
        let shared = outlet.shared.clone();
        for (topic, attachment) in std::mem::take(&mut outlet.attached) {
            self.inside.interest.unsubscribe(&shared, topic, attachment);
            self.leave_room(slot, topic);
        }
    }

    fn leave_room(&mut self, slot: u32, topic: Topic) {
        if let Some(room) = self.rooms.get_mut(&topic) {
            room.leave(slot);
            if room.is_empty() {
                self.rooms.remove(&topic);
            }
        }
    }
}
