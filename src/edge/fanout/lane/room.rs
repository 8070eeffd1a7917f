//! The subscribers of a topic on this lane, those with the same filter together.

use super::sockets::Sockets;
use crate::publication::Publication;
use aimg_domain::Position;
use aimg_wire::filter::Filter;
use aimg_wire::topic::{Source, Topic};
use aimg_wire::ws::push;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frames are joined to at most this many bytes.
const JOINED_MAX: usize = 64 * 1024;
/// Kinds of signals that a topic may have.
const KINDS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Room {
    groups: Vec<Group>,
    pub held: Vec<Held>,
    /// Publications of this round.
    pub gathered: Vec<Arc<Publication>>,
    /// The newest publication that came by.
    last: Option<(Position, Source)>,
}

struct Group {
    filter: Filter,
    signal_interval: Option<Duration>,
    members: Vec<Member>,
    /// The newest position that members were sent, by push or by mark.
    told: Position,
    /// Latest of each kind, and whether it is still to be sent.
    signals: Vec<(Arc<str>, Bytes, bool)>,
    signal_due: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Member {
    slot: u32,
    /// It has everything up to here.
    after: Position,
}

/// Subscribed, but its history is still being read.
pub(super) struct Held {
    slot: u32,
    attachment: u64,
    pub filter: Filter,
    pub signal_interval: Option<Duration>,
    pub frames: VecDeque<(Position, Bytes)>,
    bytes: usize,
    pub overflowed: bool,
}

impl Held {
    pub fn new(slot: u32, attachment: u64, filter: Filter, signal_interval: Option<Duration>) -> Held {
        Held {
            slot,
            attachment,
            filter,
            signal_interval,
            frames: VecDeque::new(),
            bytes: 0,
            overflowed: false,
        }
    }

    fn keep(&mut self, publication: &Publication, bytes_max: usize) {
        if self.overflowed || !self.filter.passes(publication.event, &publication.data) {
            return;
        }
        self.bytes += publication.frame.len();
        self.frames.push_back((publication.position, publication.frame.clone()));
        if self.bytes > bytes_max {
            self.overflowed = true;
            self.frames = VecDeque::new();
        }
    }
}

impl Room {
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.held.is_empty()
    }

    pub fn take_held(&mut self, slot: u32, attachment: u64) -> Option<Held> {
        let at = self.held.iter().position(|held| held.slot == slot && held.attachment == attachment)?;
        Some(self.held.swap_remove(at))
    }

    pub fn join(&mut self, slot: u32, filter: Filter, signal_interval: Option<Duration>, after: Position) {
        let member = Member { slot, after };
        let found = self
            .groups
            .iter_mut()
            .find(|group| group.filter == filter && group.signal_interval == signal_interval);
        match found {
            Some(group) => group.members.push(member),
            None => {
                let group = Group {
                    filter,
                    signal_interval,
                    members: vec![member],
                    told: Position::default(),
                    signals: Vec::new(),
                    signal_due: None,
                };
                self.groups.push(group);
            }
        }
    }

    pub fn leave(&mut self, slot: u32) {
        self.held.retain(|held| held.slot != slot);
        for group in &mut self.groups {
            if let Some(at) = group.members.iter().position(|member| member.slot == slot) {
                group.members.swap_remove(at);
            }
        }
        self.groups.retain(|group| !group.members.is_empty());
    }

    /// Hands what was gathered to the sockets; how many deliveries that were.
    pub fn flush(&mut self, topic: Topic, sockets: &mut Sockets, hold_bytes_max: usize) -> u64 {
        let gathered = std::mem::take(&mut self.gathered);
        let Some(last) = gathered.last() else { return 0 };
        self.last = Some((last.position, last.source.clone()));
        for held in &mut self.held {
            gathered.iter().for_each(|publication| held.keep(publication, hold_bytes_max));
        }
        self.groups.iter_mut().map(|group| group.deliver(topic, &gathered, sockets)).sum()
    }

    /// How many values were replaced unsent.
    pub fn keep_signal(&mut self, kind: &Arc<str>, frame: &Bytes) -> u64 {
        let groups = self
            .groups
            .iter_mut()
            .filter(|group| group.signal_interval.is_some() && group.filter.passes_name(kind));
        groups.map(|group| group.keep_signal(kind, frame)).sum()
    }

    pub fn next_signal(&self) -> Option<Instant> {
        self.groups
            .iter()
            .filter(|group| group.signals.iter().any(|(_, _, waits)| *waits))
            .filter_map(|group| group.signal_due)
            .min()
    }

    pub fn send_due_signals(&mut self, topic: Topic, sockets: &mut Sockets, now: Instant) {
        self.groups.iter_mut().for_each(|group| group.send_due_signals(topic, sockets, now));
    }

    /// Tells filtered subscribers how far the topic is, when nothing passed their filter since.
    pub fn mark(&mut self, topic: &Topic, sockets: &mut Sockets) {
        let Some((position, source)) = &self.last else { return };
        for group in self.groups.iter_mut().filter(|group| !group.filter.is_all() && group.told < *position) {
            let frame = sockets.add(push::mark(topic, source, *position), Some(*topic));
            for member in group.members.iter_mut().filter(|member| member.after < *position) {
                sockets.push_added(member.slot, frame);
                member.after = *position;
            }
            group.told = *position;
        }
    }
}

impl Group {
    fn deliver(&mut self, topic: Topic, gathered: &[Arc<Publication>], sockets: &mut Sockets) -> u64 {
        let passing: Vec<&Arc<Publication>> = gathered
            .iter()
            .filter(|publication| self.filter.passes(publication.event, &publication.data))
            .collect();
        let (Some(first), Some(last)) = (passing.first(), passing.last()) else {
            return 0;
        };
        let (first, last) = (first.position, last.position);
        let joined = join(&passing);
        let joined: Vec<u32> = joined.into_iter().map(|frames| sockets.add(frames, Some(topic))).collect();
        let mut delivered = 0;
        for member in &mut self.members {
            if member.after < first {
                joined.iter().for_each(|frames| sockets.push_added(member.slot, *frames));
                delivered += passing.len() as u64;
            } else {
                for publication in passing.iter().filter(|publication| publication.position > member.after) {
                    sockets.push(member.slot, publication.frame.clone(), Some(topic));
                    delivered += 1;
                }
            }
            member.after = member.after.max(last);
        }
        self.told = self.told.max(last);
        delivered
    }

    fn keep_signal(&mut self, kind: &Arc<str>, frame: &Bytes) -> u64 {
        if let Some((_, latest, waits)) = self.signals.iter_mut().find(|(known, _, _)| known == kind) {
            *latest = frame.clone();
            return u64::from(std::mem::replace(waits, true));
        }
        if self.signals.len() == KINDS_MAX {
            return 1;
        }
        self.signals.push((kind.clone(), frame.clone(), true));
        0
    }

    fn send_due_signals(&mut self, topic: Topic, sockets: &mut Sockets, now: Instant) {
        let Some(interval) = self.signal_interval else { return };
        let waits = self.signals.iter().any(|(_, _, waits)| *waits);
        if !waits || self.signal_due.is_some_and(|due| now < due) {
            self.signal_due = self.signal_due.or(waits.then_some(now));
            return;
        }
        self.signal_due = Some(now + interval);
        for (kind, frame, waits) in self.signals.iter_mut().filter(|(_, _, waits)| *waits) {
            *waits = false;
            self.members.iter().for_each(|member| sockets.push_signal(member.slot, topic, kind, frame));
        }
    }
}

/// One piece where possible: each socket then has one thing to write.
fn join(passing: &[&Arc<Publication>]) -> Vec<Bytes> {
    if let [only] = passing {
        return vec![only.frame.clone()];
    }
    let mut pieces = Vec::new();
    let mut piece = BytesMut::new();
    for publication in passing {
        if !piece.is_empty() && piece.len() + publication.frame.len() > JOINED_MAX {
            pieces.push(piece.split().freeze());
        }
        piece.extend_from_slice(&publication.frame);
    }
    pieces.push(piece.freeze());
    pieces
}
