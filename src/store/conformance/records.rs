//! `Records`.

use super::{Ports, awkward, tenant_id, uuid};
use crate::records::{Document, Kind, PageRequest, Put, Records, Scope};
use crate::{StoreError, limits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

static THING: Kind = Kind {
    name: "thing",
    unique: &["code", "badge"],
    lookup: &["colour", "size"],
};
/// Its name is the beginning of the other's.
static THIN: Kind = Kind {
    name: "thin",
    unique: &["code"],
    lookup: &["colour"],
};

const SCOPES: [Scope; 3] = [
    Scope::Platform,
    Scope::Tenant(aimg_domain::TenantId(Uuid::nil())),
    Scope::Tenant(aimg_domain::TenantId(Uuid::max())),
];

pub async fn suite(open: impl AsyncFn() -> Ports) {
    let store = open().await.records;
    versions_are_compared_and_set(&store).await;
    a_unique_value_is_of_one_document_in_any_scope(&store).await;
    an_id_is_of_one_scope(&store).await;
    pages_run_in_both_directions(&store).await;
    awkward_values_come_back(&store).await;
    of_many_who_change_one_version_one_wins(&store).await;
    what_is_too_large_is_refused(&store).await;
    drop(store);
    random_operations_agree_with_a_model(&open).await;
}

fn put(kind: &'static Kind, scope: Scope, n: u64, expect: Option<u64>) -> Put {
    Put {
        kind,
        scope,
        id: uuid(n),
        body: format!("body {n} after {expect:?}").into_bytes(),
        expect,
        keys: Vec::new(),
    }
}

fn keyed(kind: &'static Kind, scope: Scope, n: u64, expect: Option<u64>, keys: &[(&'static str, &str)]) -> Put {
    let keys = keys.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
    Put {
        keys,
        ..put(kind, scope, n, expect)
    }
}

fn page(after: Option<Uuid>, limit: usize, descending: bool) -> PageRequest {
    PageRequest { after, limit, descending }
}

async fn versions_are_compared_and_set(store: &Arc<dyn Records>) {
    let scope = Scope::Tenant(tenant_id(1));
    let get = || store.get(&THING, scope, uuid(1));
    assert_eq!(get().await.unwrap(), None);
    assert!(matches!(
        store.put(put(&THING, scope, 1, Some(1))).await,
        Err(StoreError::Version { current: None })
    ));
    assert_eq!(store.put(put(&THING, scope, 1, None)).await.unwrap(), 1);
    assert!(matches!(
        store.put(put(&THING, scope, 1, None)).await,
        Err(StoreError::Version { current: Some(1) })
    ));
    assert!(matches!(
        store.put(put(&THING, scope, 1, Some(2))).await,
        Err(StoreError::Version { current: Some(1) })
    ));
    assert_eq!(store.put(put(&THING, scope, 1, Some(1))).await.unwrap(), 2);
    let document = get().await.unwrap().unwrap();
    assert_eq!((document.version, document.body.as_slice()), (2, b"body 1 after Some(1)".as_slice()));
    assert!(matches!(
        store.delete(&THING, scope, uuid(1), 1).await,
        Err(StoreError::Version { current: Some(2) })
    ));
    assert!(matches!(
        store.delete(&THING, Scope::Platform, uuid(1), 2).await,
        Err(StoreError::Version { current: None })
    ));
    store.delete(&THING, scope, uuid(1), 2).await.unwrap();
    assert_eq!(get().await.unwrap(), None);
    assert_eq!(store.put(put(&THING, scope, 1, None)).await.unwrap(), 1);
    store.delete(&THING, scope, uuid(1), 1).await.unwrap();
}

async fn a_unique_value_is_of_one_document_in_any_scope(store: &Arc<dyn Records>) {
    let (here, there) = (Scope::Tenant(tenant_id(1)), Scope::Tenant(tenant_id(2)));
    let find = |value: &'static str| store.by_unique(&THING, "code", value);
    store.put(keyed(&THING, here, 1, None, &[("code", "a"), ("badge", "b")])).await.unwrap();
    assert!(matches!(
        store.put(keyed(&THING, there, 2, None, &[("code", "a")])).await,
        Err(StoreError::Taken { field: "code" })
    ));
    assert_eq!(store.get(&THING, there, uuid(2)).await.unwrap(), None, "nothing of a refused write stays");
    // The same value in another field or kind is another value.
    store.put(keyed(&THING, there, 2, None, &[("code", "b"), ("badge", "a")])).await.unwrap();
    store.put(keyed(&THIN, there, 3, None, &[("code", "a")])).await.unwrap();
    assert_eq!(find("a").await.unwrap().unwrap().id, uuid(1));
    // A document keeps its own value, gives up an old one, and a refused change gives up nothing.
    store.put(keyed(&THING, here, 1, Some(1), &[("code", "a"), ("badge", "b")])).await.unwrap();
    assert!(store.put(keyed(&THING, here, 1, Some(2), &[("code", "b")])).await.is_err());
    assert_eq!(find("a").await.unwrap().unwrap().version, 2);
    store.put(keyed(&THING, here, 1, Some(2), &[("code", "c")])).await.unwrap();
    assert_eq!(find("a").await.unwrap(), None);
    store.put(keyed(&THING, there, 2, Some(1), &[("code", "a"), ("badge", "b")])).await.unwrap();
    store.delete(&THING, here, uuid(1), 3).await.unwrap();
    assert_eq!(find("c").await.unwrap(), None);
    store.delete(&THING, there, uuid(2), 2).await.unwrap();
    store.delete(&THIN, there, uuid(3), 1).await.unwrap();
}

async fn an_id_is_of_one_scope(store: &Arc<dyn Records>) {
    let (here, there) = (Scope::Tenant(tenant_id(1)), Scope::Tenant(tenant_id(2)));
    store.put(put(&THING, here, 1, None)).await.unwrap();
    assert!(matches!(store.put(put(&THING, there, 1, None)).await, Err(StoreError::Taken { field: "id" })));
    assert!(matches!(
        store.put(put(&THING, there, 1, Some(1))).await,
        Err(StoreError::Version { current: None })
    ));
    assert_eq!(store.get(&THING, there, uuid(1)).await.unwrap(), None);
    store.put(put(&THIN, there, 1, None)).await.unwrap();
    store.delete(&THIN, there, uuid(1), 1).await.unwrap();
    store.delete(&THING, here, uuid(1), 1).await.unwrap();
}

async fn pages_run_in_both_directions(store: &Arc<dyn Records>) {
    let (here, there) = (SCOPES[1], SCOPES[2]);
    for n in 1..=9 {
        let scope = if n % 3 == 0 { there } else { here };
        let colour = if n % 2 == 0 { "red" } else { "reddish" };
        store.put(keyed(&THING, scope, n, None, &[("colour", colour)])).await.unwrap();
    }
    let ids = |documents: Vec<Document>| documents.into_iter().map(|document| document.id).collect::<Vec<_>>();
    let at = |list: &[u64]| list.iter().map(|n| uuid(*n)).collect::<Vec<_>>();
    for (request, all, here_only) in [
        (page(None, 4, false), vec![1, 2, 3, 4], vec![1, 2, 4, 5]),
        (page(Some(uuid(4)), 3, false), vec![5, 6, 7], vec![5, 7, 8]),
        (page(Some(uuid(3)), 9, false), vec![4, 5, 6, 7, 8, 9], vec![4, 5, 7, 8]),
        (page(None, 3, true), vec![9, 8, 7], vec![8, 7, 5]),
        (page(Some(uuid(4)), 9, true), vec![3, 2, 1], vec![2, 1]),
        (page(Some(uuid(9)), 9, false), vec![], vec![]),
        (page(Some(uuid(1)), 9, true), vec![], vec![]),
        (page(None, 0, false), vec![], vec![]),
    ] {
        assert_eq!(ids(store.all(&THING, request.clone()).await.unwrap()), at(&all), "{request:?}");
        assert_eq!(ids(store.page(&THING, here, request.clone()).await.unwrap()), at(&here_only), "{request:?}");
    }
    let red = |scope, request| store.by_lookup(&THING, scope, "colour", "red", request);
    assert_eq!(ids(red(here, page(None, 9, false)).await.unwrap()), at(&[2, 4, 8]));
    assert_eq!(ids(red(here, page(Some(uuid(2)), 1, false)).await.unwrap()), at(&[4]));
    assert_eq!(ids(red(here, page(Some(uuid(8)), 9, true)).await.unwrap()), at(&[4, 2]));
    assert_eq!(ids(red(there, page(None, 9, false)).await.unwrap()), at(&[6]));
    assert_eq!(ids(red(Scope::Platform, page(None, 9, false)).await.unwrap()), at(&[]));
    assert_eq!(store.count(&THING, here).await.unwrap(), Some(6));
    assert_eq!(store.count(&THING, Scope::Platform).await.unwrap(), Some(0));
    for n in 1..=9 {
        let scope = if n % 3 == 0 { there } else { here };
        store.delete(&THING, scope, uuid(n), 1).await.unwrap();
    }
    assert_eq!(ids(store.all(&THING, page(None, 9, false)).await.unwrap()), at(&[]));
}

async fn awkward_values_come_back(store: &Arc<dyn Records>) {
    let texts = awkward::texts();
    for (n, text) in (1..).zip(&texts) {
        let mut put = keyed(&THING, SCOPES[2], n, None, &[("code", text), ("colour", text)]);
        put.body = text.as_bytes().to_vec();
        store.put(put).await.unwrap();
    }
    for (n, text) in (1..).zip(&texts) {
        let document = store.by_unique(&THING, "code", text).await.unwrap().unwrap();
        assert_eq!((document.id, document.body.as_slice()), (uuid(n), text.as_bytes()));
        let found = store.by_lookup(&THING, SCOPES[2], "colour", text, page(None, 9, false)).await.unwrap();
        assert_eq!(found, vec![document]);
    }
    for n in (1..).take(texts.len()) {
        store.delete(&THING, SCOPES[2], uuid(n), 1).await.unwrap();
    }
}

async fn of_many_who_change_one_version_one_wins(store: &Arc<dyn Records>) {
    let scope = SCOPES[1];
    store.put(put(&THING, scope, 1, None)).await.unwrap();
    for version in 1..=5 {
        let rivals = (0..8).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.put(put(&THING, scope, 1, Some(version))).await })
        });
        let mut won = 0;
        for rival in rivals.collect::<Vec<_>>() {
            match rival.await.unwrap() {
                Ok(new) => {
                    assert_eq!(new, version + 1);
                    won += 1;
                }
                Err(StoreError::Version { current }) => assert_eq!(current, Some(version + 1)),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won, 1);
    }
    store.delete(&THING, scope, uuid(1), 6).await.unwrap();
}

async fn what_is_too_large_is_refused(store: &Arc<dyn Records>) {
    let mut large = put(&THING, SCOPES[0], 1, None);
    large.body = vec![0; limits::DOCUMENT_BYTES + 1];
    assert!(matches!(store.put(large).await, Err(StoreError::TooLarge { .. })));
    let key = "x".repeat(limits::KEY_BYTES + 1);
    let large = keyed(&THING, SCOPES[0], 1, None, &[("code", &key)]);
    assert!(matches!(store.put(large).await, Err(StoreError::TooLarge { what: "code", .. })));
    assert_eq!(store.get(&THING, SCOPES[0], uuid(1)).await.unwrap(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        scope: usize,
        n: u64,
        known: bool,
        code: Option<u8>,
        colour: Option<u8>,
    },
    Delete {
        scope: usize,
        n: u64,
        known: bool,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let field = || prop::option::of(0..4_u8);
    prop_oneof![
        8 => (0..3_usize, 1..8_u64, any::<bool>(), field(), field())
            .prop_map(|(scope, n, known, code, colour)| Step::Put { scope, n, known, code, colour }),
        3 => (0..3_usize, 1..8_u64, any::<bool>()).prop_map(|(scope, n, known)| Step::Delete { scope, n, known }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model(BTreeMap<u64, (usize, u64, Option<u8>, Option<u8>)>);

async fn random_operations_agree_with_a_model(open: &impl AsyncFn() -> Ports) {
    let mut runner = TestRunner::deterministic();
    let steps = vec(step(), 300).new_tree(&mut runner).unwrap().current();
    let mut store = Some(open().await.records);
    let mut model = Model::default();
    for step in steps {
        if matches!(step, Step::Reopen) {
            store = None;
            store.replace(open().await.records);
        }
        let store = store.as_ref().unwrap();
        match step {
            Step::Put { scope, n, known, code, colour } => model.put(store, scope, n, known, code, colour).await,
            Step::Delete { scope, n, known } => model.delete(store, scope, n, known).await,
            Step::Reopen => {}
        }
        model.compare(store).await;
    }
    let store = store.unwrap();
    for (n, (scope, version, ..)) in model.0 {
        store.delete(&THIN, SCOPES[scope], uuid(n), version).await.unwrap();
    }
}

impl Model {
    async fn put(&mut self, store: &Arc<dyn Records>, scope: usize, n: u64, known: bool, code: Option<u8>, colour: Option<u8>) {
        let held = self.0.get(&n).copied();
        let here = held.filter(|held| held.0 == scope).map(|held| held.1);
        let expect = if known { here } else { None };
        let keys = [("code", code), ("colour", colour)];
        let keys = keys.into_iter().filter_map(|(field, value)| Some((field, value?.to_string()))).collect();
        let outcome = store
            .put(Put {
                keys,
                ..put(&THIN, SCOPES[scope], n, expect)
            })
            .await;
        let taken = code.is_some() && self.0.iter().any(|(m, held)| *m != n && held.2 == code);
        match outcome {
            Err(StoreError::Version { current }) => assert!(current == here && current != expect),
            Err(StoreError::Taken { field: "id" }) => assert!(here.is_none() && held.is_some()),
            Err(StoreError::Taken { .. }) => assert!(taken),
            Ok(version) => {
                assert!(!taken && held.is_none() == here.is_none() && expect == here);
                assert_eq!(version, here.unwrap_or(0) + 1);
                self.0.insert(n, (scope, version, code, colour));
            }
            Err(other) => panic!("{other}"),
        }
    }

    async fn delete(&mut self, store: &Arc<dyn Records>, scope: usize, n: u64, known: bool) {
        let here = self.0.get(&n).filter(|held| held.0 == scope).map(|held| held.1);
        let expect = here.filter(|_| known).unwrap_or(99);
        match store.delete(&THIN, SCOPES[scope], uuid(n), expect).await {
            Ok(()) => {
                assert_eq!(here, Some(expect));
                self.0.remove(&n);
            }
            Err(StoreError::Version { current }) => assert!(current == here && here != Some(expect)),
            Err(other) => panic!("{other}"),
        }
    }

    async fn compare(&self, store: &Arc<dyn Records>) {
        let everything = page(None, 100, false);
        let all = store.all(&THIN, everything.clone()).await.unwrap();
        let seen: Vec<_> = all.iter().map(|document| (document.id, document.scope, document.version)).collect();
        let expected: Vec<_> = self.0.iter().map(|(n, held)| (uuid(*n), SCOPES[held.0], held.1)).collect();
        assert_eq!(seen, expected);
        for code in 0..4_u8 {
            let found = store.by_unique(&THIN, "code", &code.to_string()).await.unwrap();
            let owner = self.0.iter().find(|(_, held)| held.2 == Some(code));
            assert_eq!(found.map(|document| document.id), owner.map(|(n, _)| uuid(*n)));
            for (at, scope) in SCOPES.into_iter().enumerate() {
                let found = store.by_lookup(&THIN, scope, "colour", &code.to_string(), everything.clone()).await.unwrap();
                let expected = self.0.iter().filter(|(_, held)| held.0 == at && held.3 == Some(code));
                assert!(found.iter().map(|document| document.id).eq(expected.map(|(n, _)| uuid(*n))));
            }
        }
    }
}
