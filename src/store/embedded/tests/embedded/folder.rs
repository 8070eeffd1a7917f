//! The folder as a whole.

use crate::options;
use aimg_domain::TenantId;
use aimg_store::StoreError;
use aimg_store::blobs::{self, BlobPath, ObjectStore};
use aimg_store::conformance::{event, tenant_id};
use aimg_store::journal::Commit;
use aimg_store_embedded::{Embedded, Options};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

fn commit_of(bytes: usize) -> Commit {
    let mut event = event(1, None);
    event.data = json!("x".repeat(bytes));
    Commit {
        events: vec![event],
        sessions: Vec::new(),
    }
}

const TENANT: fn(u64) -> TenantId = tenant_id;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_folder_is_refused_until_the_first_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let first = Embedded::open(data.path(), options()).unwrap();
    let Err(StoreError::Unavailable(refused)) = Embedded::open(data.path(), options()) else {
        panic!("the folder is in use");
    };
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
    drop(first);
    Embedded::open(data.path(), options()).unwrap();
    let mode = |name: &str| std::fs::metadata(data.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("keys"), mode("open"), mode("blobs")), (0o700, 0o700, 0o700));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_refuses_and_has_kept_what_it_took() {
    let data = tempfile::tempdir().unwrap();
    let store = Embedded::open(data.path(), options()).unwrap();
    let epoch = store.journal.epoch();
    store.journal.commit(TENANT(1), epoch, commit_of(1)).await.unwrap();
    store.close();
    let refused = store.journal.commit(TENANT(1), epoch, commit_of(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    drop(store);
    let store = Embedded::open(data.path(), options()).unwrap();
    assert_eq!(store.journal.head(TENANT(1)).await.unwrap().offset, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_beyond_the_queues_bound_is_refused_and_its_room_comes_back() {
    let data = tempfile::tempdir().unwrap();
    let small = Options {
        commit_queue_bytes: 20_000,
        ..options()
    };
    let store = Embedded::open(data.path(), small).unwrap();
    let epoch = store.journal.epoch();
    let refused = store.journal.commit(TENANT(1), epoch, commit_of(30_000)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    for n in 1..=10 {
        let done = store.journal.commit(TENANT(1), epoch, commit_of(15_000)).await.unwrap();
        assert_eq!(done.head.offset, n, "the refused one took no offset");
    }
    assert_eq!(store.commit_queue_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_blob_and_is_read_whole_and_in_ranges() {
    let data = tempfile::tempdir().unwrap();
    let store = Embedded::open(data.path(), options()).unwrap();
    let blobs: &dyn ObjectStore = store.blobs.as_ref();
    // Larger than two parts of an upload.
    let bytes: Vec<u8> = (0..12_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = store.open_folder.join("segment");
    std::fs::write(&file, &bytes).unwrap();
    let path = BlobPath::from("t1/recordings/r1/caller.pcm");
    assert_eq!(blobs::put_file(blobs, &path, &file).await.unwrap(), bytes.len() as u64);
    assert_eq!(blobs::size(blobs, &path).await.unwrap(), Some(bytes.len() as u64));
    for (range, expected) in [
        (0..10, &bytes[..10]),
        (5_242_870..5_242_890, &bytes[5_242_870..5_242_890]),
        (11_999_990..99_000_000, &bytes[11_999_990..]),
        (12_000_000..12_000_001, &bytes[..0]),
        (7..7, &bytes[..0]),
    ] {
        let read = blobs::get_range(blobs, &path, range.clone()).await.unwrap().unwrap();
        assert_eq!(read, expected, "{range:?}");
    }
    let whole = blobs::get(blobs, &path, None).await.unwrap().unwrap();
    assert_eq!((whole.size, whole.range), (12_000_000, 0..12_000_000));
    let empty = BlobPath::from("t1/empty");
    std::fs::write(&file, b"").unwrap();
    assert_eq!(blobs::put_file(blobs, &empty, &file).await.unwrap(), 0);
    assert_eq!(blobs::size(blobs, &empty).await.unwrap(), Some(0));
    assert!(blobs::delete(blobs, &path).await.unwrap());
    assert!(blobs::get(blobs, &path, None).await.unwrap().is_none());
    assert!(blobs::get_range(blobs, &path, 0..1).await.unwrap().is_none());
}
