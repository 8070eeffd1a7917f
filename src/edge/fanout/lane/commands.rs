//! What each command does.

use super::Lane;
use super::room::Held;
use crate::inbox::{Attach, Command, ToSocket};
use crate::publication::{Publication, ReleaseOutcome};
use crate::shared::LaneEvent;
use crate::stats::count;
use aimg_domain::Position;
use aimg_wire::close::CloseCode;
use aimg_wire::topic::Topic;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Lane {
    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::Publish(publication) => self.gather(publication),
            Command::Signal { topic, kind, frame } => self.signal(topic, kind, frame),
            Command::Register(shared) => {
                self.sockets.insert(shared);
            }
            Command::ToSocket { socket, what } => {
                if let Some(slot) = self.sockets.slot(socket) {
                    self.do_for_socket(slot, what);
                }
            }
            #[allow(clippy::panic, reason = "what a lane's death does is what the test wants to see")]
            Command::Panic => panic!("killed by a test"),
        }
    }

    fn gather(&mut self, publication: Arc<Publication>) {
        let topic = publication.topic;
        // Nobody is in that room any more, or not yet: whoever comes later reads the journal.
        let Some(room) = self.rooms.get_mut(&topic) else { return };
        if room.gathered.is_empty() {
            self.active.push(topic);
        }
        room.gathered.push(publication);
    }

    fn signal(&mut self, topic: Topic, kind: Arc<str>, frame: Bytes) {
        let Some(room) = self.rooms.get_mut(&topic) else { return };
        let conflated = room.keep_signal(&kind, &frame);
        room.send_due_signals(topic, &mut self.sockets, Instant::now());
        if room.next_signal().is_some() && !self.signalling.contains(&topic) {
            self.signalling.push(topic);
        }
        count(&self.counters().conflated, conflated);
    }

    fn do_for_socket(&mut self, slot: u32, what: ToSocket) {
        match what {
            ToSocket::Send { frames, drained } => {
                self.flush_rooms_of(slot);
                frames.into_iter().for_each(|frame| self.sockets.push(slot, frame, None));
                if let Some(drained) = drained {
                    self.sockets.when_drained(slot, drained);
                }
            }
            ToSocket::Loose { frame, flag_at, flag } => {
                let dropped = self.sockets.push_loose(slot, frame, flag_at, flag);
                count(&self.counters().loose_dropped, dropped);
            }
            ToSocket::Close { code, reason } => self.close(slot, code, &reason),
            ToSocket::Attach(attach) => self.attach(slot, attach),
            ToSocket::Release {
                topic,
                attachment,
                through,
                frames,
                outcome,
            } => {
                let released = self.release(slot, topic, attachment, through, frames);
                let _ = outcome.send(released);
            }
            ToSocket::Detach { topic, attachment, reply } => {
                self.detach(slot, topic, attachment);
                reply.into_iter().for_each(|reply| self.sockets.push(slot, reply, None));
            }
            ToSocket::Policy { revoked, done } => {
                self.revoke(slot, &revoked);
                let _ = done.send(());
            }
            ToSocket::Writable => self.sockets.writable(slot),
            ToSocket::Forget => {
                // One that says goodbye does so to the end; `linger` sees to it.
                if self.sockets.get_mut(slot).is_some_and(|outlet| !outlet.is_closing()) {
                    self.remove(slot, None);
                }
            }
        }
    }

    /// What was published before is sent before.
    fn flush_rooms_of(&mut self, slot: u32) {
        if self.active.is_empty() {
            return;
        }
        let attached = self.sockets.get_mut(slot).map(|outlet| outlet.attached.clone()).unwrap_or_default();
        for (topic, _) in attached {
            self.flush_room(topic);
        }
    }

    fn attach(&mut self, slot: u32, attach: Attach) {
        let Attach {
            topic,
            attachment,
            filter,
            signal_interval,
            policy,
        } = attach;
        self.flush_room(topic);
        let Some(outlet) = self.sockets.get_mut(slot) else { return };
        let known = outlet.shared.attached.lock().get(&topic) == Some(&attachment);
        if !known {
            return;
        }
        if policy < outlet.shared.policy.load(Ordering::Acquire) || outlet.is_closing() {
            let shared = outlet.shared.clone();
            self.inside.interest.unsubscribe(&shared, topic, attachment);
            return;
        }
        outlet.attached.push((topic, attachment));
        self.rooms
            .entry(topic)
            .or_default()
            .held
            .push(Held::new(slot, attachment, filter, signal_interval));
    }

    fn release(&mut self, slot: u32, topic: Topic, attachment: u64, through: Position, frames: Vec<Bytes>) -> ReleaseOutcome {
        self.flush_room(topic);
        let held = self.rooms.get_mut(&topic).and_then(|room| room.take_held(slot, attachment));
        let Some(held) = held else { return ReleaseOutcome::Gone };
        if held.overflowed {
            count(&self.counters().hold_overflows, 1);
            self.detach(slot, topic, attachment);
            return ReleaseOutcome::Overflowed;
        }
        frames.into_iter().for_each(|frame| self.sockets.push(slot, frame, Some(topic)));
        let mut after = through;
        for (position, frame) in held.frames {
            if position > after {
                self.sockets.push(slot, frame, Some(topic));
                after = position;
            }
        }
        self.rooms.entry(topic).or_default().join(slot, held.filter, held.signal_interval, after);
        ReleaseOutcome::Released
    }

    fn detach(&mut self, slot: u32, topic: Topic, attachment: u64) {
        self.flush_room(topic);
        let Some(outlet) = self.sockets.get_mut(slot) else { return };
        let shared = outlet.shared.clone();
        let before = outlet.attached.len();
        outlet.attached.retain(|kept| *kept != (topic, attachment));
        let was_here = outlet.attached.len() < before;
        self.inside.interest.unsubscribe(&shared, topic, attachment);
        if was_here {
            self.leave_room(slot, topic);
        }
    }

    fn revoke(&mut self, slot: u32, revoked: &[Topic]) {
        let Some(outlet) = self.sockets.get_mut(slot) else { return };
        let attached: Vec<(Topic, u64)> = outlet.attached.iter().filter(|(topic, _)| revoked.contains(topic)).copied().collect();
        for (topic, attachment) in attached {
            self.detach(slot, topic, attachment);
        }
        if !self.sockets.purge(slot, revoked) {
            // Its peer has the beginning of a frame that it must not get the end of.
            self.sockets.abort(slot);
            self.remove(slot, Some(LaneEvent::Closed { code: None }));
        }
    }

    pub(super) fn close(&mut self, slot: u32, code: CloseCode, reason: &str) {
        // Dropped again where access was lost.
        self.flush_rooms_of(slot);
        self.leave_rooms(slot);
        let deadline = Instant::now() + self.inside.config.linger;
        if !self.sockets.begin_close(slot, code, reason, deadline) {
            self.sockets.abort(slot);
            self.remove(slot, Some(LaneEvent::Closed { code: Some(code.code()) }));
        }
    }
}
