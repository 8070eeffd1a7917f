//! A full disk, for true. In a child: that may write no file beyond a size (RLIMIT_FSIZE, EFBIG), and, where
//! mounting is allowed, on a small file system of its own (ENOSPC, in the midst of a commit).

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

/// A file whose deletion makes the space come back.
const BALLAST: &str = "AIMG_DISK_FULL_BALLAST";
const CHILD: [&str; 4] = ["--exact", "disk_full::fills_the_disk", "--ignored", "--nocapture"];

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "the child ran: {told}");
}

#[test]
fn on_a_full_disk_commits_are_refused_and_later_ones_work_again() {
    let data = tempfile::tempdir().unwrap();
    run(Command::new(std::env::current_exe().unwrap()).args(CHILD).env(FOLDER, data.path()));
}

#[test]
#[ignore = "needs the right to mount"]
fn on_a_full_file_system_commits_are_refused_and_later_ones_work_again() {
    let disk = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=12m tmpfs "$1" && dd if=/dev/zero of="$1/ballast" bs=1M count=6 && shift && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(disk.path());
    command.arg(std::env::current_exe().unwrap()).args(CHILD);
    run(command.env(FOLDER, disk.path().join("data")).env(BALLAST, disk.path().join("ballast")));
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
    let Ok(data) = std::env::var(FOLDER) else { return };
    let ballast = std::env::var(BALLAST).ok();
    let store = Embedded::open(Path::new(&data), options()).unwrap();
    let size = std::fs::metadata(Path::new(&data).join("calls.redb")).unwrap().len();
    assert_eq!(commit(&store, 1).await.unwrap(), 1);
    if ballast.is_none() {
        limit_files(size + 3_000_000);
    }
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
    match ballast {
        Some(ballast) => std::fs::remove_file(ballast).unwrap(),
        None => limit_files(libc::RLIM_INFINITY),
    }
    for n in last + 1..last + 20 {
        assert_eq!(commit(&store, n).await.unwrap(), n, "nothing of the refused ones was stored");
    }
    drop(store);
    let store = Embedded::open(Path::new(&data), options()).unwrap();
    let count = store.sessions.count(tenant_id(1), &SessionQuery::default()).await.unwrap();
    assert_eq!(count, Some(last + 19));
    let events = store.journal.read(tenant_id(1), Default::default(), 10_000).await.unwrap();
    assert_eq!(events.len() as u64, last + 19);
}
