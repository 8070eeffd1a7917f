//! Random subscribing, publishing, unsubscribing, revoking and dying: no gap, no duplicate, order, nothing after a revocation.

use super::rig::{DEADLINE, Pair, at, connect, event, lanes, topic};
use aimg_fanout::{Attachment, LaneEvent, Lanes, ReleaseOutcome};
use aimg_wire::filter::Filter;
use aimg_wire::ws::frame;
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

const SOCKETS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Publish(u8),
    /// With events committed and published between the attach, the reading and the release.
    Subscribe {
        socket: usize,
        filtered: bool,
        before: u8,
        between: u8,
    },
    Unsubscribe(usize),
    Revoke(usize),
    Kill(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let socket = 0..SOCKETS;
    prop_oneof![
        5 => (1u8..6).prop_map(Op::Publish),
        4 => (socket.clone(), any::<bool>(), 0u8..4, 0u8..4).prop_map(|(socket, filtered, before, between)| Op::Subscribe { socket, filtered, before, between }),
        2 => socket.clone().prop_map(Op::Unsubscribe),
        1 => socket.prop_map(Op::Revoke),
        1 => (0usize..2).prop_map(Op::Kill),
    ]
}

struct Side {
    pair: Pair,
    attachment: Option<Attachment>,
    filtered: bool,
    policy: u64,
    dead: bool,
}

struct World {
    lanes: Lanes,
    sides: Vec<Side>,
    head: u64,
}

impl World {
    fn publish(&mut self, events: u8) {
        for _ in 0..events {
            self.head += 1;
            self.lanes.publish(event(self.head));
        }
    }

    /// What the lanes have told so far.
    fn listen(&mut self) {
        for side in &mut self.sides {
            while let Ok(event) = side.pair.events.try_recv() {
                side.attachment = None;
                side.dead |= matches!(event, LaneEvent::Closed { .. });
            }
        }
    }

    async fn subscribe(&mut self, socket: usize, filtered: bool, before: u8, between: u8) {
        let side = &mut self.sides[socket];
        if side.attachment.is_some() || side.dead {
            return;
        }
        let filter = if filtered {
            Filter::parse(&json!({"events": ["even"]})).unwrap()
        } else {
            Filter::ALL
        };
        let Ok(attachment) = side.pair.socket.attach_held(topic(), filter, None, side.policy) else {
            return;
        };
        self.publish(before);
        let read = self.head;
        self.publish(between);
        let side = &mut self.sides[socket];
        let reply = frame::text(&format!("sub:{read}:{filtered}"));
        match side.pair.socket.release(attachment, at(read), vec![reply]).await {
            ReleaseOutcome::Released => (side.attachment, side.filtered) = (Some(attachment), filtered),
            ReleaseOutcome::Gone | ReleaseOutcome::Overflowed => {}
        }
    }

    async fn apply(&mut self, op: Op) {
        self.listen();
        match op {
            Op::Publish(events) => self.publish(events),
            Op::Subscribe {
                socket,
                filtered,
                before,
                between,
            } => self.subscribe(socket, filtered, before, between).await,
            Op::Unsubscribe(socket) => {
                if let Some(attachment) = self.sides[socket].attachment.take() {
                    self.sides[socket].pair.socket.detach(attachment, Some(frame::text("off")));
                }
            }
            Op::Revoke(socket) => {
                let side = &mut self.sides[socket];
                side.policy += 1;
                side.attachment = None;
                side.pair.socket.set_policy(side.policy, vec![topic()]).await;
                side.pair.socket.send(frame::text("off"));
            }
            Op::Kill(lane) => {
                self.lanes.kill_lane_for_test(lane);
                while self.lanes.check(Duration::ZERO).is_empty() {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// What one client saw, judged.
struct Seen {
    next: Option<u64>,
    filtered: bool,
}

impl Seen {
    fn see(&mut self, text: &str) {
        if let Some(offset) = text.strip_prefix("e:") {
            let offset: u64 = offset.parse().unwrap();
            assert_eq!(self.next, Some(offset), "a gap, a duplicate, or after the end");
            self.next = Some(self.after(offset));
        } else if let Some(reply) = text.strip_prefix("sub:") {
            let (read, filtered) = reply.split_once(':').unwrap();
            self.filtered = filtered == "true";
            self.next = Some(self.after(read.parse().unwrap()));
        } else {
            assert!(text == "off" || text.contains("\"unsubscribed\":true"), "{text}");
            self.next = None;
        }
    }

    fn after(&self, offset: u64) -> u64 {
        if self.filtered { offset + 2 - offset % 2 } else { offset + 1 }
    }
}

async fn run(ops: Vec<Op>) {
    let lanes = lanes(|config| config.gather = Duration::from_micros(200));
    let mut sides = Vec::new();
    for _ in 0..SOCKETS {
        sides.push(Side {
            pair: connect(&lanes).await,
            attachment: None,
            filtered: false,
            policy: 0,
            dead: false,
        });
    }
    let mut world = World { lanes, sides, head: 0 };
    for op in ops {
        world.apply(op).await;
    }
    for side in &world.sides {
        // False when the socket died with its lane.
        side.pair.socket.send_paced(vec![frame::text("end")], DEADLINE).await;
    }
    world.listen();
    for side in &mut world.sides {
        let mut seen = Seen { next: None, filtered: false };
        loop {
            match side.pair.client.next().await {
                Some((1, text)) if text == b"end" => break,
                Some((1, text)) => seen.see(std::str::from_utf8(&text).unwrap()),
                Some((opcode, _)) => panic!("a frame of kind {opcode}"),
                None => {
                    assert!(side.dead, "a socket ended without being told");
                    break;
                }
            }
        }
        if !side.dead && side.attachment.is_some() {
            assert_eq!(seen.filtered, side.filtered);
            assert!(
                seen.next.is_some_and(|next| next > world.head),
                "subscribed, but {:?} of {} never came",
                seen.next,
                world.head
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_gap_no_duplicate_order_and_nothing_after_a_revocation(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(ops));
    }
}
