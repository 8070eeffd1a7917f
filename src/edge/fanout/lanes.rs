//! All lanes of a node: where to register, publish and look after them.

use crate::config::LanesConfig;
use crate::inbox::{Command, Inbox};
use crate::lane::Lane;
use crate::publication::Publication;
use crate::shared::{Interest, LaneEvent, LaneListener, Registry, Shared, Writer};
use crate::socket::LaneSocket;
use crate::stats::{Counters, LaneStats, count};
use aimg_wire::topic::Topic;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;

pub(crate) struct Inside {
    pub config: LanesConfig,
    pub inboxes: Vec<Inbox>,
    pub counters: Vec<Counters>,
    pub interest: Interest,
    pub registry: Registry,
    pub next_id: AtomicU64,
    pub stopped: AtomicBool,
}

struct Watched {
    thread: Option<JoinHandle<()>>,
    beat: u64,
    /// When the beat was last seen to move, on the caller's monotonic clock.
    moved_at: Option<Duration>,
}

/// Cheap to clone. The threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Lanes {
    owner: Arc<Owner>,
}

struct Owner {
    inside: Arc<Inside>,
    watched: Mutex<Vec<Watched>>,
}

/// A lane whose thread was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub lane: usize,
    /// Closed because something of theirs was not completely written.
    pub closed: usize,
    /// Registered again, without their subscriptions.
    pub adopted: usize,
}

impl Lanes {
    pub fn start(mut config: LanesConfig) -> io::Result<Lanes> {
        config.lanes = config.lanes.max(1);
        let inside = Arc::new(Inside {
            inboxes: (0..config.lanes).map(|_| Inbox::new(config.inbox_bytes_max)).collect(),
            counters: (0..config.lanes).map(|_| Counters::default()).collect(),
            interest: Interest::new(config.lanes),
            registry: Registry::default(),
            next_id: AtomicU64::new(1),
            stopped: AtomicBool::new(false),
            config,
        });
        let mut watched = Vec::new();
        for lane in 0..inside.config.lanes {
            watched.push(Watched {
                thread: Some(spawn(&inside, lane, Vec::new())?),
                beat: 0,
                moved_at: None,
            });
        }
        Ok(Lanes {
            owner: Arc::new(Owner {
                inside,
                watched: Mutex::new(watched),
            }),
        })
    }

    /// From here on a lane writes this socket, and nobody else. The caller goes on reading it.
    pub fn register(&self, stream: Arc<TcpStream>, listener: LaneListener) -> LaneSocket {
        let inside = &self.owner.inside;
        let lane = (0..inside.inboxes.len())
            .min_by_key(|&lane| inside.counters[lane].sockets.load(Ordering::Relaxed))
            .unwrap_or(0);
        // Lanes join what they write; waiting for more would only add delay.
        let _ = stream.set_nodelay(true);
        let shared = Arc::new(Shared {
            id: inside.next_id.fetch_add(1, Ordering::Relaxed),
            lane,
            stream,
            listener,
            attached: Mutex::new(HashMap::new()),
            writer: Mutex::new(Writer {
                incarnation: inside.inboxes[lane].incarnation.load(Ordering::Acquire),
                mid_frame: false,
            }),
            clean: AtomicBool::new(true),
            policy: AtomicU64::new(0),
        });
        inside.registry.insert(shared.clone(), &inside.counters[lane]);
        inside.inboxes[lane].push(Command::Register(shared.clone()));
        LaneSocket {
            shared,
            inside: inside.clone(),
        }
    }

    /// Whether anybody on this node is subscribed: if not, nothing need be encoded.
    pub fn wanted(&self, topic: &Topic) -> bool {
        self.owner.inside.interest.any(topic)
    }

    /// After the commit, and in the order of positions: the caller sees to both.
    pub fn publish(&self, publication: Publication) {
        let inside = &self.owner.inside;
        let publication = Arc::new(publication);
        inside
            .interest
            .for_each(&publication.topic, |lane| inside.inboxes[lane].push(Command::Publish(publication.clone())));
    }

    /// True only now: a later one of the same kind replaces it on the way.
    pub fn signal(&self, topic: Topic, kind: &Arc<str>, frame: Bytes) {
        let inside = &self.owner.inside;
        inside.interest.for_each(&topic, |lane| {
            inside.inboxes[lane].push(Command::Signal {
                topic,
                kind: kind.clone(),
                frame: frame.clone(),
            })
        });
    }

    /// A figure for each lane.
    pub fn stats(&self) -> Vec<LaneStats> {
        self.owner.inside.counters.iter().map(Counters::snapshot).collect()
    }

    pub fn totals(&self) -> LaneStats {
        let mut totals = LaneStats::default();
        self.stats().iter().for_each(|lane| totals.add(lane));
        totals
    }

    /// Replaces lanes whose thread died or was silent for too long. To be called every second or so; `now` is monotonic.
    pub fn check(&self, now: Duration) -> Vec<Replaced> {
        let inside = &self.owner.inside;
        let mut watched = self.owner.watched.lock();
        let mut replaced = Vec::new();
        for (lane, watch) in watched.iter_mut().enumerate() {
            let beat = inside.inboxes[lane].beat.load(Ordering::Relaxed);
            if watch.moved_at.is_none() || beat != watch.beat {
                (watch.beat, watch.moved_at) = (beat, Some(now));
            }
            let silent = watch.moved_at.is_some_and(|at| now.saturating_sub(at) > inside.config.silent_after);
            let dead = watch.thread.as_ref().is_none_or(JoinHandle::is_finished);
            if !silent && !dead {
                continue;
            }
            let (report, thread) = replace(inside, lane);
            tracing::error!(lane, silent, dead, closed = report.closed, adopted = report.adopted, "fan-out lane replaced");
            *watch = Watched {
                thread,
                beat,
                moved_at: Some(now),
            };
            replaced.push(report);
        }
        replaced
    }

    /// Lets a lane's thread die, to see what becomes of its sockets.
    #[doc(hidden)]
    pub fn kill_lane_for_test(&self, lane: usize) {
        self.owner.inside.inboxes[lane].push(Command::Panic);
    }
}

fn spawn(inside: &Arc<Inside>, lane: usize, adopted: Vec<(Arc<Shared>, Vec<Topic>)>) -> io::Result<JoinHandle<()>> {
    let incarnation = inside.inboxes[lane].incarnation.load(Ordering::Acquire);
    let inside = inside.clone();
    std::thread::Builder::new()
        .name(format!("lane-{lane}"))
        .spawn(move || Lane::new(inside, lane, incarnation).run(adopted))
}

fn replace(inside: &Arc<Inside>, lane: usize) -> (Replaced, Option<JoinHandle<()>>) {
    let incarnation = inside.inboxes[lane].incarnation.fetch_add(1, Ordering::AcqRel) + 1;
    count(&inside.counters[lane].replaced, 1);
    let mut report = Replaced { lane, closed: 0, adopted: 0 };
    let mut adopted = Vec::new();
    for shared in inside.registry.of_lane(lane) {
        let topics = inside.interest.unsubscribe_all(&shared);
        if shared.take_over(incarnation) {
            report.adopted += 1;
            adopted.push((shared, topics));
        } else {
            report.closed += 1;
            shared.shutdown(Shutdown::Both);
            if inside.registry.remove(&shared, &inside.counters[lane]) {
                (shared.listener)(LaneEvent::Closed { code: None });
            }
        }
    }
    // Without a thread now the next check tries again.
    (report, spawn(inside, lane, adopted).ok())
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.inside.stopped.store(true, Ordering::Release);
        self.inside.inboxes.iter().for_each(Inbox::wake);
    }
}
