#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::platform::{ConnectionPurpose, LiveTrack};
use crate::relay::RelayDeps;
use aimg_actor_kit::{Root, Tree};
use aimg_domain::{EventKind, IdSource, NewEvent, Role, TenantId, Timestamp, TrackId};
use aimg_fanout::LanesConfig;
use aimg_media::ring::FrameHead;
use aimg_media::{FrameKind, FrameRing};
use aimg_store::journal::Commit;
use aimg_store::memory::MemoryCalls;
use aimg_wire::audio;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;
use tokio_tungstenite::{WebSocketStream, tungstenite};
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(20);

struct RealTime(Instant);

impl Clock for RealTime {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Counted(AtomicU64);

impl IdSource for Counted {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

struct OneCall {
    call: CallId,
    ring: Arc<FrameRing>,
    lease: Arc<()>,
}

#[async_trait]
impl Listener for OneCall {
    async fn listen(&self, call: CallId, _: Asked<ListenPurpose>) -> Result<LiveAudio, Fault> {
        if call != self.call {
            return Err(Fault::not_found("live call"));
        }
        let track = LiveTrack {
            track: TrackId::Caller,
            sample_rate: 8000,
            reader: self.ring.reader(),
        };
        Ok(LiveAudio {
            tracks: vec![track],
            lease: self.lease.clone(),
        })
    }
}

struct World {
    journal: Arc<MemoryCalls>,
    relay: EventRelay,
    ring: Arc<FrameRing>,
    lease: Arc<()>,
    root: Root<ConnectionSupervisor>,
}

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

fn call() -> CallId {
    CallId(Uuid::from_u128(100))
}

fn caller(role: Role) -> Caller {
    Caller {
        user: UserId(Uuid::from_u128(2)),
        email: "a@example.org".into(),
        role,
        tenant: tenant(),
    }
}

fn all() -> String {
    format!("tenant:{}:calls", tenant())
}

impl World {
    async fn new(limits: ConnectionLimits) -> World {
        let clock: Arc<dyn Clock> = Arc::new(RealTime(Instant::now()));
        let journal = Arc::new(MemoryCalls::new("n1"));
        let lanes = Arc::new(Lanes::start(LanesConfig::new(tokio::runtime::Handle::current())).unwrap());
        let relay = EventRelay::new(RelayDeps {
            lanes: lanes.clone(),
            journal: journal.clone(),
            clock: clock.clone(),
            ids: Arc::new(Counted(AtomicU64::new(1))),
            node: "n1".into(),
            generation: 7,
        });
        let (ring, lease) = (FrameRing::new(64), Arc::new(()));
        let listener = Arc::new(OneCall {
            call: call(),
            ring: ring.clone(),
            lease: lease.clone(),
        });
        let deps = ConnectionDeps {
            lanes,
            relay: relay.clone(),
            journal: journal.clone(),
            listener,
            clock: clock.clone(),
            limits,
        };
        let make = move |_| {
            let supervisor = ConnectionSupervisor::new(deps.clone());
            async move { Ok(supervisor) }
        };
        let root = Tree::new(clock.clone()).spawn_root::<ConnectionSupervisor, _, _>("n1", make).await.unwrap();
        World {
            journal,
            relay,
            ring,
            lease,
            root,
        }
    }

    async fn commit(&self, events: u64) -> Vec<aimg_domain::Event> {
        let event = |n: u64| NewEvent {
            id: Uuid::from_u128(u128::from(n)),
            call_id: Some(call()),
            event: if n.is_multiple_of(2) {
                EventKind::CallAnswered
            } else {
                EventKind::CallStarted
            },
            at: Timestamp(0),
            seq: n + 1,
            data: json!({"n": n}),
        };
        let commit = Commit {
            events: (0..events).map(event).collect(),
            sessions: Vec::new(),
        };
        self.journal.commit(tenant(), self.journal.epoch(), commit).await.unwrap().events
    }

    async fn publish(&self, events: u64) {
        let committed = self.commit(events).await;
        self.relay.publish(tenant(), committed);
    }

    async fn connect_as(&self, role: Role, purpose: ConnectionPurpose, expires_in_ms: Option<u64>) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let connection = NewConnection {
            stream,
            leftover: bytes::Bytes::new(),
            caller: caller(role),
            peer,
            purpose,
            expires_in_ms,
            slot: None,
        };
        self.root.address.cast(ConnectionSupervisorMessage::Accept(Box::new(connection))).unwrap();
        Client(WebSocketStream::from_raw_socket(client, Side::Client, None).await)
    }

    async fn connect(&self) -> Client {
        self.connect_as(Role::Viewer, ConnectionPurpose::Topics, None).await
    }
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn ask(&mut self, command: Value) {
        self.0.send(Message::text(command.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Result<Message, tungstenite::Error> {
        tokio::time::timeout(DEADLINE, self.0.next()).await.expect("nothing came in time").unwrap()
    }

    async fn json(&mut self) -> Value {
        match self.message().await.unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(Some(close)) = self.message().await.unwrap() {
                return close.code.into();
            }
        }
    }

    async fn offsets(&mut self, count: usize) -> Vec<u64> {
        let mut offsets = Vec::new();
        for _ in 0..count {
            offsets.push(self.json().await["offset"].as_u64().unwrap());
        }
        offsets
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_gets_what_comes_with_prev_and_stops_getting_it() {
    let world = World::new(ConnectionLimits::default()).await;
    world.publish(2).await;
    let mut client = world.connect().await;
    client.ask(json!({"id": 1, "subscribe": {"topic": all()}})).await;
    let reply = client.json().await;
    assert_eq!(
        (&reply["id"], &reply["recovered"], &reply["offset"], &reply["publications"]),
        (&json!(1), &json!(true), &json!(2), &json!([]))
    );
    world.publish(1).await;
    let push = client.json().await;
    assert_eq!(
        (&push["offset"], &push["prev"]["offset"], &push["event"]),
        (&json!(3), &json!(2), &json!("call.answered"))
    );
    assert_eq!((&push["source"], &push["topic"]), (&reply["source"], &json!(all())));
    client.ask(json!({"id": 2, "unsubscribe": {"topic": all()}})).await;
    assert_eq!(client.json().await["unsubscribed"], true);
    world.publish(1).await;
    client.ask(json!({"id": 3, "ping": {}})).await;
    assert_eq!(client.json().await, json!({"id": 3, "pong": true}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_is_recovered_from_also_over_many_pages_and_by_call() {
    let world = World::new(ConnectionLimits::default()).await;
    world.publish(1300).await;
    for topic in [all(), format!("call:{}", call().0)] {
        let mut client = world.connect().await;
        client
            .ask(json!({"id": 1, "subscribe": {"topic": topic, "recover": {"epoch": 1, "offset": 20}}}))
            .await;
        let reply = client.json().await;
        assert_eq!(
            (&reply["recovered"], &reply["more"], &reply["offset"]),
            (&json!(true), &json!(true), &json!(520))
        );
        let publications: Vec<u64> = reply["publications"]
            .as_array()
            .unwrap()
            .iter()
            .map(|push| push["offset"].as_u64().unwrap())
            .collect();
        assert_eq!(publications, (21..=520).collect::<Vec<_>>());
        assert_eq!(client.offsets(780).await, (521..=1300).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_beyond_its_epoch_is_not_recovered_and_the_last_valid_one_is_named() {
    let world = World::new(ConnectionLimits::default()).await;
    world.publish(3).await;
    let mut client = world.connect().await;
    client
        .ask(json!({"id": 1, "subscribe": {"topic": all(), "recover": {"epoch": 1, "offset": 50}}}))
        .await;
    let reply = client.json().await;
    assert_eq!((&reply["recovered"], &reply["valid"]), (&json!(false), &json!({"epoch": 1, "offset": 3})));
    world.publish(1).await;
    assert_eq!(client.offsets(1).await, [4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_but_not_published_comes_with_the_next_publication() {
    let world = World::new(ConnectionLimits::default()).await;
    let mut client = world.connect().await;
    client
        .ask(json!({"id": 1, "subscribe": {"topic": all(), "filter": {"events": ["call.*"]}}}))
        .await;
    client.json().await;
    world.publish(1).await;
    world.commit(3).await;
    world.publish(2).await;
    assert_eq!(client.offsets(6).await, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_subscribed_to_is_refused_with_the_reason() {
    let world = World::new(ConnectionLimits::default()).await;
    world.publish(1).await;
    let mut client = world.connect().await;
    let other = format!("tenant:{}:calls", Uuid::from_u128(9));
    for (topic, code) in [
        (other, "forbidden"),
        (format!("call:{}", Uuid::from_u128(9)), "not_found"),
        ("admin:alerts".into(), "not_possible_here"),
        ("x".into(), "invalid"),
    ] {
        client.ask(json!({"id": "a", "subscribe": {"topic": topic}})).await;
        let reply = client.json().await;
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!("a"), &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_answers_the_newest_or_what_follows_a_position() {
    let world = World::new(ConnectionLimits::default()).await;
    world.publish(10).await;
    let mut client = world.connect().await;
    let offsets = |reply: &Value| {
        reply["publications"]
            .as_array()
            .unwrap()
            .iter()
            .map(|push| push["offset"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    client.ask(json!({"id": 1, "history": {"topic": all(), "limit": 3}})).await;
    assert_eq!(offsets(&client.json().await), [8, 9, 10]);
    client
        .ask(json!({"id": 2, "history": {"topic": all(), "limit": 2, "after": {"epoch": 1, "offset": 4}}}))
        .await;
    assert_eq!(offsets(&client.json().await), [5, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systems_status_reaches_whom_it_concerns_and_is_recovered_from_memory() {
    let world = World::new(ConnectionLimits::default()).await;
    let (mut tenants, mut platforms) = (world.connect().await, world.connect_as(Role::SuperAdmin, ConnectionPurpose::Topics, None).await);
    for client in [&mut tenants, &mut platforms] {
        client.ask(json!({"id": 1, "subscribe": {"topic": "system:status"}})).await;
        assert_eq!(client.json().await["source"], "node:n1");
    }
    world.relay.service_down("store", TenantId(Uuid::from_u128(9)), Timestamp(0), "/secret/path");
    world.relay.service_down("store", tenant(), Timestamp(0), "/secret/path");
    world.relay.system(EventKind::ServiceRecovered, json!({"service": "all"}));
    assert_eq!(tenants.offsets(2).await, [2, 3]);
    let first = platforms.json().await;
    assert_eq!(
        (&first["offset"], &first["epoch"], &first["event"]),
        (&json!(1), &json!(7), &json!("service.down"))
    );
    assert!(!first.to_string().contains("secret"));
    assert_eq!(platforms.offsets(2).await, [2, 3]);
    let mut late = world.connect().await;
    late.ask(json!({"id": 1, "subscribe": {"topic": "system:status", "recover": {"epoch": 7, "offset": 0}}}))
        .await;
    let reply = late.json().await;
    assert_eq!((&reply["recovered"], reply["publications"].as_array().unwrap().len()), (&json!(true), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_audio_is_announced_sent_and_ended() {
    let world = World::new(ConnectionLimits::default()).await;
    let purpose = ConnectionPurpose::Audio {
        call: call(),
        tenant: tenant(),
    };
    let mut client = world.connect_as(Role::Viewer, purpose, None).await;
    assert_eq!(
        client.json().await["audio"]["tracks"][0],
        json!({"track": "caller", "index": 0, "sample_rate": 8000, "encoding": "pcm16le"})
    );
    let writer = world.ring.writer();
    let head = FrameHead {
        media_time: 0,
        rate: 8000,
        kind: FrameKind::Audio,
        samples: 160,
        received_at: Duration::ZERO,
    };
    writer.write(head, &[7; 160]);
    writer.write(
        FrameHead {
            media_time: 160,
            kind: FrameKind::Lost,
            ..head
        },
        &[],
    );
    let mut pieces = Vec::new();
    for _ in 0..2 {
        let Message::Binary(payload) = client.message().await.unwrap() else {
            panic!("no audio")
        };
        pieces.push(audio::read(&payload).unwrap());
    }
    assert_eq!(
        (pieces[0].0.sequence, pieces[0].0.media_time, pieces[0].1.as_slice()),
        (0, 0, [7; 160].as_slice())
    );
    assert_eq!((pieces[1].0.flags, pieces[1].0.samples, pieces[1].1.len()), (audio::GAP, 160, 0));
    world.ring.close();
    assert_eq!(client.json().await, json!({"audio": {"ended": true}}));
    assert_eq!(client.close_code().await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_who_leaves_gives_the_tap_back() {
    let world = World::new(ConnectionLimits::default()).await;
    let purpose = ConnectionPurpose::Audio {
        call: call(),
        tenant: tenant(),
    };
    let mut client = world.connect_as(Role::Viewer, purpose, None).await;
    client.json().await;
    let mine = Arc::strong_count(&world.lease);
    assert_eq!(mine, 3);
    drop(client);
    let until = Instant::now() + DEADLINE;
    while Arc::strong_count(&world.lease) > 2 {
        assert!(Instant::now() < until, "the lease is still held");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_of_another_tenant_or_of_no_call_is_refused() {
    let world = World::new(ConnectionLimits::default()).await;
    let foreign = ConnectionPurpose::Audio {
        call: call(),
        tenant: TenantId(Uuid::from_u128(9)),
    };
    assert_eq!(world.connect_as(Role::Viewer, foreign, None).await.close_code().await, 4003);
    let nothing = ConnectionPurpose::Audio {
        call: CallId(Uuid::nil()),
        tenant: tenant(),
    };
    assert_eq!(world.connect_as(Role::Viewer, nothing, None).await.close_code().await, 4040);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_rights_end_what_they_covered_before_the_answer() {
    let world = World::new(ConnectionLimits::default()).await;
    let mut client = world.connect_as(Role::SuperAdmin, ConnectionPurpose::Topics, None).await;
    client.ask(json!({"id": 1, "subscribe": {"topic": "system:status"}})).await;
    client.json().await;
    let change = |caller| {
        move |done| ConnectionSupervisorMessage::PolicyChanged {
            user: UserId(Uuid::from_u128(2)),
            caller,
            done,
        }
    };
    assert_eq!(world.root.address.call(change(Some(caller(Role::Viewer))), DEADLINE).await, Ok(1));
    world.relay.system(EventKind::ServiceDown, json!({}));
    let end = client.json().await;
    assert_eq!((&end["unsubscribed"], &end["code"]), (&json!(true), &json!("forbidden")));
    client.ask(json!({"id": 2, "ping": {}})).await;
    assert_eq!(client.json().await["id"], 2);
    assert_eq!(world.root.address.call(change(None), DEADLINE).await, Ok(1));
    assert_eq!(client.close_code().await, 4001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_expiry_silence_and_draining_close_with_their_codes() {
    let world = World::new(ConnectionLimits {
        connections_per_user: 1,
        ping_after: Duration::from_millis(50),
        ..ConnectionLimits::default()
    })
    .await;
    let silent = world.connect().await;
    assert_eq!(world.connect().await.close_code().await, 4029);
    // Read as bytes: nobody answers the ping.
    let mut bytes = Vec::new();
    let read = silent.0.into_inner().read_to_end(&mut bytes).await;
    assert!(read.is_ok() && bytes.starts_with(&[0x89, 0]), "{read:?} {bytes:?}");
    assert_eq!(bytes[4..6], 4080u16.to_be_bytes());
    let world = World::new(ConnectionLimits::default()).await;
    assert_eq!(
        world.connect_as(Role::Viewer, ConnectionPurpose::Topics, Some(1)).await.close_code().await,
        4001
    );
    let mut client = world.connect().await;
    client.ask(json!({"id": 1, "ping": {}})).await;
    client.json().await;
    world.root.address.cast(ConnectionSupervisorMessage::Drain).unwrap();
    assert_eq!(client.close_code().await, 4010);
    assert_eq!(world.connect().await.close_code().await, 4010);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocol_violations_and_goodbyes_are_answered() {
    let world = World::new(ConnectionLimits::default()).await;
    let mut client = world.connect().await;
    client.0.send(Message::text("{")).await.unwrap();
    assert_eq!(client.json().await["error"]["code"], "invalid");
    client.0.send(Message::Ping("hello".into())).await.unwrap();
    assert_eq!(client.message().await.unwrap(), Message::Pong("hello".into()));
    client.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(client.close_code().await, 1002);
    let mut client = world.connect().await;
    client.0.send(Message::text("x".repeat(70_000))).await.unwrap();
    assert_eq!(client.close_code().await, 1009);
    let mut client = world.connect().await;
    client.0.close(None).await.unwrap();
    assert_eq!(client.close_code().await, 1000);
}
