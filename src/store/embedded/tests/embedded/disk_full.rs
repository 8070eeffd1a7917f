//! A full disk, for true: a child may write no file beyond a size (RLIMIT_FSIZE, EFBIG), then it may again.

use crate::options;
use aimg_store::StoreError;
use aimg_store::conformance::{event, session, tenant_id};
use aimg_store::journal::Commit;
use aimg_store::sessions::{SessionQuery, SessionRow};
use aimg_store_embedded::Embedded;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const FOLDER: &str = "AIMG_DISK_FULL_FOLDER";

#[test]
fn on_a_full_disk_commits_are_refused_and_later_ones_work_again() {
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "disk_full::fills_the_disk", "--ignored", "--nocapture"])
        .env(FOLDER, data.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// For the whole process, which is why it is a child.
fn limit_files(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: plain system calls on a value of ours.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

async fn commit(store: &Embedded, n: u64) -> Result<u64, StoreError> {
    let tenant = tenant_id(1);
    let mut event = event(n, None);
    event.data = json!("x".repeat(100_000));
    let commit = Commit {
        events: vec![event],
        sessions: vec![SessionRow {
            session: session(n, tenant),
            resume: Value::Null,
        }],
    };
    Ok(store.journal.commit(tenant, store.journal.epoch(), commit).await?.head.offset)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child of the test above"]
async fn fills_the_disk() {
    let data = std::env::var(FOLDER).unwrap();
    let store = Embedded::open(Path::new(&data), options()).unwrap();
    let size = std::fs::metadata(Path::new(&data).join("calls.redb")).unwrap().len();
    assert_eq!(commit(&store, 1).await.unwrap(), 1);
    limit_files(size + 3_000_000);
    let mut last = 1;
    let refused = loop {
        match commit(&store, last + 1).await {
            Ok(offset) => last = offset,
            Err(error) => break error,
        }
        assert!(last < 1000, "the disk is never full");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    // What was acknowledged can still be read, and refusing goes on.
    for _ in 0..3 {
        assert_eq!(store.journal.head(tenant_id(1)).await.unwrap().offset, last);
        assert!(matches!(commit(&store, last + 1).await, Err(StoreError::Unavailable(_))));
    }
    limit_files(libc::RLIM_INFINITY);
    for n in last + 1..last + 50 {
        assert_eq!(commit(&store, n).await.unwrap(), n, "nothing of the refused ones was stored");
    }
    drop(store);
    let store = Embedded::open(Path::new(&data), options()).unwrap();
    let count = store.sessions.count(tenant_id(1), &SessionQuery::default()).await.unwrap();
    assert_eq!(count, Some(last + 49));
    let events = store.journal.read(tenant_id(1), Default::default(), 10_000).await.unwrap();
    assert_eq!(events.len() as u64, last + 49);
}
