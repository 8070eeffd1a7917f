//! `Sessions`: random commits and queries against a list that is filtered and sorted anew each time.

use super::{Ports, awkward, session, tenant_id, uuid};
use crate::journal::Commit;
use crate::limits;
use crate::sessions::{SessionCursor, SessionQuery, SessionRow};
use aimg_domain::call::{CallSession, CallState, Direction, Outcome, Party};
use aimg_domain::quality::{CallQuality, TrackQualitySummary, Vantage};
use aimg_domain::{CallId, PbxId, TenantId, Timestamp, TrackId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub async fn suite(open: impl AsyncFn() -> Ports) {
    let store = open().await;
    the_resume_of_an_ended_session_is_dropped(&store).await;
    awkward_numbers_and_times_are_found(&store).await;
    what_could_not_be_read_back_is_refused(&store).await;
    only_an_ended_session_is_forgotten(&store).await;
    a_count_above_the_bound_is_not_told(&store).await;
    drop(store);
    random_operations_agree_with_a_model(&open).await;
}

async fn store_all(store: &Ports, tenant: TenantId, sessions: Vec<CallSession>) {
    let rows = sessions.into_iter().map(|session| SessionRow {
        session,
        resume: json!({"taps": [1]}),
    });
    let commit = Commit {
        events: Vec::new(),
        sessions: rows.collect(),
    };
    store.journal.commit(tenant, store.journal.epoch(), commit).await.unwrap();
}

fn ended(mut session: CallSession) -> CallSession {
    session.state = CallState::Ended;
    session.outcome = Some(Outcome::Answered);
    session
}

async fn the_resume_of_an_ended_session_is_dropped(store: &Ports) {
    let tenant = tenant_id(1);
    let call = CallId(uuid(1));
    store_all(store, tenant, vec![session(1, tenant)]).await;
    assert_eq!(store.sessions.get(tenant, call).await.unwrap().unwrap().resume, json!({"taps": [1]}));
    assert_eq!(store.sessions.get(tenant_id(2), call).await.unwrap(), None);
    store_all(store, tenant, vec![ended(session(1, tenant))]).await;
    assert_eq!(store.sessions.get(tenant, call).await.unwrap().unwrap().resume, Value::Null);
}

async fn awkward_numbers_and_times_are_found(store: &Ports) {
    let tenant = tenant_id(3);
    let mut sessions = Vec::new();
    for (n, text) in (1..).zip(awkward::texts()) {
        let mut session = session(n, tenant);
        session.caller = Party {
            number: Some(text.clone()),
            e164: None,
            name: Some(text.chars().take(9).collect()),
        };
        session.started_at = Timestamp(awkward::TIMES[n as usize % awkward::TIMES.len()]);
        sessions.push(session);
    }
    for session in &sessions {
        store_all(store, tenant, vec![session.clone()]).await;
    }
    for session in &sessions {
        let query = SessionQuery {
            number: session.caller.number.clone(),
            ..SessionQuery::default()
        };
        let page = store.sessions.list(tenant, &query, None, 10).await.unwrap();
        assert_eq!(page.sessions, std::slice::from_ref(session));
    }
    let all = store.sessions.list(tenant, &SessionQuery::default(), None, 1000).await.unwrap();
    assert!(all.next.is_none() && all.sessions.len() == sessions.len());
    assert!(
        all.sessions
            .windows(2)
            .all(|pair| (pair[0].started_at, pair[0].id) > (pair[1].started_at, pair[1].id))
    );
}

async fn what_could_not_be_read_back_is_refused(store: &Ports) {
    let tenant = tenant_id(6);
    let good = session(1, tenant);
    let mut timeless = good.clone();
    timeless.answered_at = Some(Timestamp(i64::MAX));
    let mut unmeasured = good.clone();
    unmeasured.quality = Some(CallQuality {
        tracks: vec![TrackQualitySummary {
            track: TrackId::Caller,
            vantage: Vantage::PbxToUs,
            packets: 0,
            lost: 0,
            loss_percent: 0.0,
            jitter_ms: 0.0,
            jitter_ms_max: 0.0,
            mos: f64::NAN,
            mos_min: 1.0,
            level_dbov: -96.0,
        }],
    });
    for bad in [timeless, unmeasured] {
        let row = SessionRow {
            session: bad,
            resume: Value::Null,
        };
        let commit = Commit {
            events: Vec::new(),
            sessions: vec![row],
        };
        store.journal.commit(tenant, store.journal.epoch(), commit).await.unwrap_err();
    }
    store_all(store, tenant, vec![good.clone()]).await;
    assert_eq!(store.sessions.get(tenant, good.id).await.unwrap().unwrap().session, good);
}

async fn only_an_ended_session_is_forgotten(store: &Ports) {
    let tenant = tenant_id(4);
    let call = CallId(uuid(1));
    assert!(!store.retention.forget_session(tenant, call).await.unwrap());
    let mut live = session(1, tenant);
    live.caller.number = Some("1001".into());
    store_all(store, tenant, vec![live.clone()]).await;
    assert!(!store.retention.forget_session(tenant, call).await.unwrap());
    store_all(store, tenant, vec![ended(live)]).await;
    assert!(store.retention.forget_session(tenant, call).await.unwrap());
    assert_eq!(store.sessions.get(tenant, call).await.unwrap(), None);
    for number in [None, Some("1001".to_owned())] {
        let query = SessionQuery {
            number,
            ..SessionQuery::default()
        };
        assert_eq!(store.sessions.list(tenant, &query, None, 9).await.unwrap().sessions, []);
    }
}

async fn a_count_above_the_bound_is_not_told(store: &Ports) {
    let tenant = tenant_id(5);
    let many: Vec<_> = (1..=limits::COUNT + 1).map(|n| session(n, tenant)).collect();
    for some in many[..many.len() - 1].chunks(1000) {
        store_all(store, tenant, some.to_vec()).await;
    }
    let all = SessionQuery::default();
    assert_eq!(store.sessions.count(tenant, &all).await.unwrap(), Some(limits::COUNT));
    store_all(store, tenant, many[many.len() - 1..].to_vec()).await;
    assert_eq!(store.sessions.count(tenant, &all).await.unwrap(), None);
    let none = SessionQuery { active: Some(false), ..all };
    assert_eq!(store.sessions.count(tenant, &none).await.unwrap(), Some(0));
}

const STATES: [CallState; 4] = [CallState::Detected, CallState::Ringing, CallState::Up, CallState::Ended];
const OUTCOMES: [Outcome; 3] = [Outcome::Answered, Outcome::Busy, Outcome::Merged];
const DIRECTIONS: [Direction; 4] = [Direction::Inbound, Direction::Outbound, Direction::Internal, Direction::Unknown];
const NUMBERS: [&str; 5] = ["1001", "1002", "+4930123456", "030123456", ""];

fn number() -> impl Strategy<Value = Option<String>> {
    prop::option::of(select(&NUMBERS[..]).prop_map(str::to_owned))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-3..3_i64).prop_map(|n| Timestamp(n * 1000))
}

fn any_session() -> impl Strategy<Value = CallSession> {
    let parties = (number(), number(), number(), number());
    let kinds = (select(&STATES[..]), select(&OUTCOMES[..]), select(&DIRECTIONS[..]), 0..3_u64);
    (0..2_u64, 1..30_u64, kinds, parties, time()).prop_map(|(tenant, n, (state, outcome, direction, pbx), parties, started_at)| CallSession {
        state,
        outcome: (state == CallState::Ended).then_some(outcome),
        direction,
        pbx_id: PbxId(uuid(pbx)),
        caller: Party {
            number: parties.0,
            e164: parties.1,
            name: None,
        },
        callee: Party {
            number: parties.2,
            e164: parties.3,
            name: None,
        },
        started_at,
        ..session(n, tenant_id(100 + tenant))
    })
}

fn any_query() -> impl Strategy<Value = SessionQuery> {
    let lists = (
        subsequence(STATES.to_vec(), 0..=3),
        subsequence(OUTCOMES.to_vec(), 0..=2),
        subsequence(DIRECTIONS.to_vec(), 0..=2),
    );
    let rare = |p| prop::option::weighted(p, 0..3_u64);
    (
        prop::option::weighted(0.4, any::<bool>()),
        lists,
        rare(0.3),
        number(),
        prop::option::of(time()),
        prop::option::of(time()),
        any::<bool>(),
    )
        .prop_map(
            |(active, (states, outcomes, directions), pbx, number, started_after, started_before, ascending)| SessionQuery {
                active,
                states,
                outcomes,
                directions,
                pbx: pbx.map(|pbx| PbxId(uuid(pbx))),
                number,
                started_after,
                started_before,
                ascending,
            },
        )
}

type Model = BTreeMap<(TenantId, CallId), CallSession>;

async fn random_operations_agree_with_a_model(open: &impl AsyncFn() -> Ports) {
    let mut runner = TestRunner::deterministic();
    let mut model = Model::new();
    for _ in 0..25 {
        let store = open().await;
        let batches = vec(vec(any_session(), 1..4), 1..6).new_tree(&mut runner).unwrap().current();
        for sessions in batches {
            let tenant = sessions[0].tenant_id;
            let sessions: Vec<_> = sessions.into_iter().filter(|session| session.tenant_id == tenant).collect();
            for session in &sessions {
                model.insert((tenant, session.id), session.clone());
            }
            store_all(&store, tenant, sessions).await;
        }
        for _ in 0..20 {
            let (query, limit, tenant) = (any_query(), 1..7_usize, 0..2_u64).new_tree(&mut runner).unwrap().current();
            compare(&store, &model, tenant_id(100 + tenant), &query, limit).await;
        }
        compare_active(&store, &model).await;
    }
}

/// Written without what the adapters use, on purpose.
fn holds(query: &SessionQuery, session: &CallSession) -> bool {
    let ended = session.state == CallState::Ended;
    let parties = [&session.caller, &session.callee];
    let known: Vec<&String> = parties.iter().flat_map(|party| [&party.number, &party.e164]).flatten().collect();
    let wrong = [
        query.active == Some(ended),
        !query.states.is_empty() && !query.states.contains(&session.state),
        !query.outcomes.is_empty() && !session.outcome.is_some_and(|outcome| query.outcomes.contains(&outcome)),
        !query.directions.is_empty() && !query.directions.contains(&session.direction),
        query.pbx.is_some_and(|pbx| pbx != session.pbx_id),
        query.number.as_ref().is_some_and(|number| !known.contains(&number)),
        query.started_after.is_some_and(|after| session.started_at < after),
        query.started_before.is_some_and(|before| session.started_at >= before),
    ];
    !wrong.contains(&true)
}

async fn compare(store: &Ports, model: &Model, tenant: TenantId, query: &SessionQuery, limit: usize) {
    let mut expected: Vec<&CallSession> = model.values().filter(|session| session.tenant_id == tenant && holds(query, session)).collect();
    expected.sort_by_key(|session| (session.started_at, session.id));
    if !query.ascending {
        expected.reverse();
    }
    let mut seen = Vec::new();
    let mut after: Option<SessionCursor> = None;
    for round in 0.. {
        assert!(round <= expected.len(), "pages come to an end");
        let page = store.sessions.list(tenant, query, after, limit).await.unwrap();
        assert!(page.sessions.len() <= limit);
        seen.extend(page.sessions);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(seen.iter().eq(expected.iter().copied()), "{query:?}: {seen:#?} instead of {expected:#?}");
    assert_eq!(store.sessions.count(tenant, query).await.unwrap(), Some(expected.len() as u64));
}

async fn compare_active(store: &Ports, model: &Model) {
    for pbx in 0..3 {
        let pbx = PbxId(uuid(pbx));
        let rows = store.sessions.active_of_pbx(pbx).await.unwrap();
        let mut seen: Vec<CallSession> = rows.into_iter().map(|row| row.session).collect();
        // Other parts of the suite leave sessions of their own tenants.
        seen.retain(|session| session.tenant_id >= tenant_id(100));
        seen.sort_by_key(|session| (session.tenant_id, session.id));
        let expected = model.values().filter(|session| session.pbx_id == pbx && session.state != CallState::Ended);
        assert!(seen.iter().eq(expected));
    }
}
