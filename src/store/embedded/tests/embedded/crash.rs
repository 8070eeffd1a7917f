//! Killed at random moments, the store keeps all it acknowledged: this process commits in a child, kills it,
//! opens the folder and compares.

use crate::options;
use aimg_domain::{CallId, Position, TenantId};
use aimg_store::conformance::{event, session, tenant_id, uuid};
use aimg_store::journal::Commit;
use aimg_store::sessions::{SessionQuery, SessionRow};
use aimg_store_embedded::Embedded;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "AIMG_CRASH_FOLDER";
const ROUNDS: u32 = 20;
const WRITERS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_store_keeps_every_acknowledged_commit() {
    let data = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::default();
    let mut acknowledged = [0; WRITERS as usize];
    let mut killed_at_work = 0;
    for _ in 0..ROUNDS {
        let lines = (1..60_usize).new_tree(&mut runner).unwrap().current();
        let seen = run_and_kill(data.path(), lines, &mut acknowledged);
        killed_at_work += u32::from(seen >= lines);
        verify(data.path(), &acknowledged).await;
    }
    assert_eq!(killed_at_work, ROUNDS, "each child was at work when it was killed");
}

/// Reads acknowledgements until there are `lines`, kills, then reads what the pipe still holds.
fn run_and_kill(data: &Path, lines: usize, acknowledged: &mut [u64]) -> usize {
    let mut child = spawn(data);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut seen = 0;
    loop {
        if seen == lines {
            child.kill().unwrap();
        }
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // A line that the kill cut in two acknowledges nothing.
        let Some(("ack", rest)) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let (writer, offset) = rest.split_once(' ').unwrap();
        acknowledged[writer.parse::<usize>().unwrap()] = offset.parse().unwrap();
        seen += 1;
    }
    child.wait().unwrap();
    seen
}

fn spawn(data: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::commits_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child of the test above"]
async fn commits_until_it_is_killed() {
    let Ok(data) = std::env::var(FOLDER) else { return };
    let store = Embedded::open(Path::new(&data), options()).unwrap();
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write_for_ever(store.clone(), writer)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Each commit is two events and the session they belong to, whose `seq` is the last event's.
async fn write_for_ever(store: Embedded, writer: u64) {
    let tenant = tenant_id(writer);
    let mut n = store.journal.head(tenant).await.unwrap().offset;
    loop {
        let commit = commit_of(tenant, n);
        let done = store.journal.commit(tenant, store.journal.epoch(), commit).await.unwrap();
        n += 2;
        assert_eq!(done.head.offset, n);
        std::io::stdout().write_all(format!("ack {writer} {n}\n").as_bytes()).unwrap();
    }
}

fn commit_of(tenant: TenantId, n: u64) -> Commit {
    let call = CallId(uuid(call_number(n)));
    let mut session = session(call_number(n), tenant);
    session.seq = n + 2;
    session.caller.number = Some(format!("{}", n % 7));
    Commit {
        events: vec![event(n + 1, Some(call)), event(n + 2, Some(call))],
        sessions: vec![SessionRow { session, resume: Value::Null }],
    }
}

fn call_number(n: u64) -> u64 {
    1 + n / 10
}

async fn verify(data: &Path, acknowledged: &[u64]) {
    let store = Embedded::open(data, options()).unwrap();
    for (writer, acknowledged) in (0..).zip(acknowledged) {
        let tenant = tenant_id(writer);
        let head = store.journal.head(tenant).await.unwrap();
        assert!(head.offset >= *acknowledged, "{} of {acknowledged}", head.offset);
        assert_eq!(head.offset % 2, 0, "a commit is whole or not there");
        let mut events = Vec::new();
        while events.len() < head.offset as usize {
            let after = events.last().map_or(Position::default(), aimg_domain::Event::position);
            events.extend(store.journal.read(tenant, after, 1000).await.unwrap());
        }
        for (offset, kept) in (1..).zip(&events) {
            assert_eq!((kept.offset, kept.seq), (offset, offset));
        }
        let calls = if head.offset == 0 { 0 } else { call_number(head.offset - 2) };
        let sessions = store.sessions.list(tenant, &SessionQuery::default(), None, 10_000).await.unwrap().sessions;
        assert_eq!(sessions.len() as u64, calls);
        for session in sessions {
            let last = events.iter().rfind(|event| event.call_id == Some(session.id)).unwrap();
            assert_eq!(session.seq, last.seq, "a session agrees with its events");
            let number = SessionQuery {
                number: session.caller.number.clone(),
                ..SessionQuery::default()
            };
            let found = store.sessions.list(tenant, &number, None, 10_000).await.unwrap().sessions;
            assert!(found.contains(&session), "indexes agree with sessions");
        }
    }
}
