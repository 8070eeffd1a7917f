//! `Journal` and `Retention`.

use super::{Ports, awkward, event, session, tenant_id, uuid};
use crate::StoreError;
use crate::journal::{Commit, Committed};
use crate::sessions::{SessionQuery, SessionRow};
use aimg_domain::{CallId, Event, NewEvent, Position, TenantId, Timestamp};
use serde_json::{Value, json};

pub async fn suite(open: impl AsyncFn() -> Ports) {
    let store = open().await;
    events_are_numbered_from_one_without_holes(&store).await;
    calls_and_pages_are_read_in_order(&store).await;
    concurrent_commits_leave_no_hole(&store).await;
    events_and_sessions_are_stored_together(&store).await;
    awkward_values_come_back(&store).await;
    forgetting_leaves_a_gap_that_names_the_oldest_valid_position(&store).await;
    drop(store);
    a_new_owner_goes_on_and_the_old_one_is_fenced(&open).await;
}

async fn commit(store: &Ports, tenant: TenantId, events: Vec<NewEvent>) -> Committed {
    let commit = Commit { events, sessions: Vec::new() };
    store.journal.commit(tenant, store.journal.epoch(), commit).await.unwrap()
}

fn offsets(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.offset).collect()
}

fn at(epoch: u64, offset: u64) -> Position {
    Position { epoch, offset }
}

const START: Position = Position { epoch: 0, offset: 0 };

async fn events_are_numbered_from_one_without_holes(store: &Ports) {
    let (tenant, other) = (tenant_id(1), tenant_id(2));
    let epoch = store.journal.epoch();
    assert_eq!(store.journal.head(tenant).await.unwrap(), START);
    assert_eq!(store.journal.read(tenant, START, 10).await.unwrap(), []);
    let first = commit(store, tenant, vec![event(1, None), event(2, None)]).await;
    assert_eq!((offsets(&first.events), first.head), (vec![1, 2], at(epoch, 2)));
    let empty = commit(store, tenant, Vec::new()).await;
    assert_eq!((empty.events.len(), empty.head), (0, at(epoch, 2)));
    let second = commit(store, tenant, vec![event(3, None)]).await;
    assert_eq!((offsets(&second.events), second.head), (vec![3], at(epoch, 3)));
    assert_eq!(commit(store, other, vec![event(4, None)]).await.head.offset, 1);
    let kept = store.journal.read(tenant, START, 10).await.unwrap();
    assert_eq!(kept, [first.events, second.events].concat(), "what was answered is what is kept");
    assert_eq!(kept[0].data, json!({"n": 1}));
    assert_eq!(kept[0].tenant_id, tenant);
}

async fn calls_and_pages_are_read_in_order(store: &Ports) {
    let tenant = tenant_id(3);
    let calls = [CallId(uuid(1)), CallId(uuid(2))];
    let events = (1..=20).map(|n| event(n, (n % 3 != 0).then(|| calls[(n % 2) as usize]))).collect();
    let head = commit(store, tenant, events).await.head;
    let journal = &store.journal;
    assert_eq!(offsets(&journal.read(tenant, START, 3).await.unwrap()), [1, 2, 3]);
    assert_eq!(offsets(&journal.read(tenant, at(head.epoch, 18), 9).await.unwrap()), [19, 20]);
    assert_eq!(journal.read(tenant, head, 9).await.unwrap(), []);
    assert_eq!(offsets(&journal.read_back(tenant, None, 3).await.unwrap()), [20, 19, 18]);
    assert_eq!(offsets(&journal.read_back(tenant, Some(at(head.epoch, 3)), 9).await.unwrap()), [2, 1]);
    let of_call = |call, after, limit| journal.read_call(tenant, call, after, limit);
    assert_eq!(offsets(&of_call(calls[0], START, 9).await.unwrap()), [2, 4, 8, 10, 14, 16, 20]);
    assert_eq!(offsets(&of_call(calls[1], at(head.epoch, 7), 2).await.unwrap()), [11, 13]);
    assert_eq!(of_call(CallId(uuid(9)), START, 9).await.unwrap(), []);
    assert_eq!(journal.read_call(tenant_id(4), calls[0], START, 9).await.unwrap(), []);
}

async fn concurrent_commits_leave_no_hole(store: &Ports) {
    let tenant = tenant_id(5);
    let writers = (0..8_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for n in 0..25 {
                let done = commit(&store, tenant, vec![event(writer * 1000 + n * 2, None), event(writer * 1000 + n * 2 + 1, None)]).await;
                assert_eq!(done.events[1].offset, done.events[0].offset + 1, "a commit stays together");
                assert!(done.events[0].offset > last, "a writer's commits keep their order");
                last = done.events[1].offset;
                assert!(store.journal.head(tenant).await.unwrap().offset >= last, "acknowledged is readable");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let kept = store.journal.read(tenant, START, 1000).await.unwrap();
    assert_eq!(offsets(&kept), (1..=400).collect::<Vec<_>>());
}

async fn events_and_sessions_are_stored_together(store: &Ports) {
    let tenant = tenant_id(6);
    let epoch = store.journal.epoch();
    let row = |n| SessionRow {
        session: session(n, tenant),
        resume: json!({"n": n}),
    };
    let both = Commit {
        events: vec![event(1, Some(CallId(uuid(1))))],
        sessions: vec![row(1), row(2)],
    };
    store.journal.commit(tenant, epoch, both.clone()).await.unwrap();
    assert_eq!(store.sessions.get(tenant, CallId(uuid(2))).await.unwrap(), Some(row(2)));
    let foreign = Commit {
        events: vec![event(2, None)],
        sessions: vec![
            row(3),
            SessionRow {
                session: session(4, tenant_id(7)),
                resume: Value::Null,
            },
        ],
    };
    store.journal.commit(tenant, epoch, foreign).await.unwrap_err();
    for bad in [epoch + 1, epoch.saturating_sub(1)] {
        let refused = store.journal.commit(tenant, bad, both.clone()).await;
        assert!(matches!(refused, Err(StoreError::Fenced { epoch }) if epoch == bad));
    }
    assert_eq!(store.journal.head(tenant).await.unwrap(), at(epoch, 1), "a refused commit leaves no event");
    assert_eq!(store.sessions.get(tenant, CallId(uuid(3))).await.unwrap(), None, "and no session");
    assert_eq!(store.sessions.count(tenant, &SessionQuery::default()).await.unwrap(), Some(2));
}

async fn awkward_values_come_back(store: &Ports) {
    let tenant = tenant_id(8);
    let mut events = Vec::new();
    for (n, text) in (1..).zip(awkward::texts()) {
        let data = json!({ "text": text, "list": [1, -1, 1.5, u64::MAX, i64::MIN, null, true] });
        let at = Timestamp(awkward::TIMES[n as usize % awkward::TIMES.len()]);
        events.push(NewEvent { at, data, ..event(n, None) });
    }
    for event in events.clone() {
        commit(store, tenant, vec![event]).await;
    }
    let kept = store.journal.read(tenant, START, 1000).await.unwrap();
    assert_eq!(kept.len(), events.len());
    for (kept, event) in kept.iter().zip(&events) {
        assert_eq!((kept.id, kept.at, &kept.data), (event.id, event.at, &event.data));
    }
    let huge = NewEvent {
        data: json!("x".repeat(2 << 20)),
        ..event(1, None)
    };
    let huge = Commit {
        events: vec![huge],
        sessions: Vec::new(),
    };
    let refused = store.journal.commit(tenant, store.journal.epoch(), huge).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    let timeless = NewEvent {
        at: Timestamp(i64::MAX),
        ..event(1, None)
    };
    let timeless = Commit {
        events: vec![timeless],
        sessions: Vec::new(),
    };
    let refused = store.journal.commit(tenant, store.journal.epoch(), timeless).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { what: "year", .. })));
    assert_eq!(store.journal.head(tenant).await.unwrap().offset, events.len() as u64);
}

async fn forgetting_leaves_a_gap_that_names_the_oldest_valid_position(store: &Ports) {
    let tenant = tenant_id(9);
    let call = CallId(uuid(1));
    let epoch = store.journal.epoch();
    assert_eq!(store.retention.forget_events(tenant, 5).await.unwrap(), 0);
    commit(store, tenant, (1..=10).map(|n| event(n, Some(call))).collect()).await;
    assert_eq!(store.retention.forget_events(tenant, 4).await.unwrap(), 4);
    assert_eq!(store.retention.forget_events(tenant, 4).await.unwrap(), 0);
    let journal = &store.journal;
    for old in [START, at(epoch, 1), at(epoch, 3)] {
        let refused = journal.read(tenant, old, 10).await;
        assert!(
            matches!(refused, Err(StoreError::Gap { valid }) if valid == at(epoch, 4)),
            "{old:?}: {refused:?}"
        );
    }
    assert_eq!(offsets(&journal.read(tenant, at(epoch, 4), 2).await.unwrap()), [5, 6]);
    assert_eq!(
        offsets(&journal.read_call(tenant, call, START, 2).await.unwrap()),
        [5, 6],
        "a call is read as far as it is kept"
    );
    assert!(journal.read_call(tenant, call, at(epoch, 2), 2).await.is_err());
    assert_eq!(offsets(&journal.read_back(tenant, Some(at(epoch, 7)), 9).await.unwrap()), [6, 5]);
    assert_eq!(store.retention.forget_events(tenant, u64::MAX).await.unwrap(), 5, "the last event stays");
    assert_eq!(offsets(&journal.read_back(tenant, None, 9).await.unwrap()), [10]);
    assert_eq!(commit(store, tenant, vec![event(11, None)]).await.head, at(epoch, 11));
    // Beyond what was ever written.
    for (ahead, valid) in [(at(epoch, 12), at(epoch, 11)), (at(epoch + 1, 11), at(epoch, 11))] {
        let refused = journal.read(tenant, ahead, 10).await;
        assert!(
            matches!(refused, Err(StoreError::Gap { valid: told }) if told == valid),
            "{ahead:?}: {refused:?}"
        );
    }
}

async fn a_new_owner_goes_on_and_the_old_one_is_fenced(open: &impl AsyncFn() -> Ports) {
    let tenant = tenant_id(10);
    let first = open().await;
    let old = first.journal.epoch();
    commit(&first, tenant, vec![event(1, None), event(2, None)]).await;
    drop(first);
    drop(open().await);
    let store = open().await;
    let new = store.journal.epoch();
    assert!(new > old + 1, "every opening raises the epoch, also one that wrote nothing");
    let commit_old = Commit {
        events: vec![event(3, None)],
        sessions: Vec::new(),
    };
    assert!(matches!(store.journal.commit(tenant, old, commit_old).await, Err(StoreError::Fenced { .. })));
    let journal = &store.journal;
    assert_eq!(journal.head(tenant).await.unwrap(), at(old, 2), "the head is the last event's");
    for same in [at(old, 2), at(old + 1, 2), at(new, 2)] {
        assert_eq!(journal.read(tenant, same, 9).await.unwrap(), [], "a new epoch alone is no gap");
    }
    assert_eq!(commit(&store, tenant, vec![event(3, None)]).await.head, at(new, 3), "offsets never restart");
    assert_eq!(offsets(&journal.read(tenant, at(old, 1), 9).await.unwrap()), [2, 3]);
    // Somebody who saw offset 3 under the old epoch saw an event that is not kept.
    let refused = journal.read(tenant, at(old, 3), 9).await;
    assert!(matches!(refused, Err(StoreError::Gap { valid }) if valid == at(old, 2)), "{refused:?}");
}
