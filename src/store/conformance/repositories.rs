//! The typed repositories on an adapter.

use super::{Ports, tenant_id, uuid};
use crate::StoreError;
use crate::records::{PageRequest, Scope};
use crate::repo::{Redeemed, RefreshFamily, Repos};
use crate::secrets::{Keyring, OsEntropy};
use aimg_domain::link::{AudioPolicy, ClaimBy, Claims, ControlPolicy, PbxLink, RecordingPolicy};
use aimg_domain::pbx::{AmiAccess, AriAccess, MediaAccess, MediaPorts, Pbx, TapFormat};
use aimg_domain::recording::{Recording, RecordingStatus};
use aimg_domain::secret::Secret;
use aimg_domain::tenant::{Tenant, TenantStatus};
use aimg_domain::user::User;
use aimg_domain::{CallId, PbxId, PbxLinkId, RecordingId, Role, TenantId, Timestamp, UserId};
use std::sync::Arc;

pub async fn suite(open: impl AsyncFn() -> Ports) {
    let store = open().await;
    let keyring = Arc::new(Keyring::ephemeral(Box::new(OsEntropy)).unwrap());
    let repos = Repos::new(store.records.clone(), keyring.clone());
    tenants(&repos).await;
    users(&repos).await;
    pbxs(&repos, &store).await;
    links(&repos).await;
    recordings(&repos).await;
    refresh_tokens(&repos).await;
    of_two_who_redeem_one_token_one_wins(&repos).await;
    revoked_tokens(&repos).await;
    drop((repos, store));
    let repos = Repos::new(open().await.records, keyring);
    assert_eq!(
        repos.pbxs.find(PbxId(uuid(1))).await.unwrap().unwrap().0,
        pbx(1, None),
        "all of it is there after a restart"
    );
}

fn page() -> PageRequest {
    PageRequest {
        after: None,
        limit: 100,
        descending: false,
    }
}

fn tenant(n: u64, slug: &str) -> Tenant {
    Tenant {
        id: tenant_id(n),
        name: format!("Tenant {n}"),
        slug: slug.into(),
        status: TenantStatus::Active,
        placement_key: "p".into(),
        created_at: Timestamp(1),
    }
}

async fn tenants(repos: &Repos) {
    repos.tenants.create(&tenant(1, "acme")).await.unwrap();
    assert!(matches!(
        repos.tenants.create(&tenant(2, "ACME")).await,
        Err(StoreError::Taken { field: "slug" })
    ));
    repos.tenants.create(&tenant(2, "other")).await.unwrap();
    assert_eq!(repos.tenants.by_slug("Acme").await.unwrap(), Some((tenant(1, "acme"), 1)));
    assert_eq!(repos.tenants.update(&tenant(1, "acme2"), 1).await.unwrap(), 2);
    assert_eq!(repos.tenants.by_slug("acme").await.unwrap(), None);
    assert_eq!(repos.tenants.get(tenant_id(1)).await.unwrap().unwrap().1, 2);
    assert_eq!(repos.tenants.count().await.unwrap(), Some(2));
    assert_eq!(repos.tenants.list(page()).await.unwrap(), repos.tenants.all().await.unwrap());
    repos.tenants.delete(tenant_id(1), 2).await.unwrap();
    assert_eq!(repos.tenants.get(tenant_id(1)).await.unwrap(), None);
}

async fn users(repos: &Repos) {
    let user = |n, tenant, email: &str| User {
        id: UserId(uuid(n)),
        tenant_id: tenant_id(tenant),
        email: email.into(),
        name: "Ada".into(),
        role: Role::Operator,
        disabled: false,
        password_hash: Secret::new("$argon2id$v=19$x"),
        generation: 3,
        created_at: Timestamp(-1),
    };
    repos.users.create(&user(1, 1, "Ada@Example.org")).await.unwrap();
    assert!(matches!(
        repos.users.create(&user(2, 2, "ada@example.ORG")).await,
        Err(StoreError::Taken { field: "email" })
    ));
    let (found, version) = repos.users.by_email(" ADA@example.org").await.unwrap().unwrap();
    assert_eq!((&found, version), (&user(1, 1, "ada@example.org"), 1));
    assert_eq!(found.password_hash.expose(), "$argon2id$v=19$x", "the hash is kept, not its mask");
    assert_eq!(repos.users.get(tenant_id(2), found.id).await.unwrap(), None, "not in another tenant");
    assert_eq!(repos.users.count(tenant_id(1)).await.unwrap(), Some(1));
    assert!(matches!(repos.users.update(&found, 7).await, Err(StoreError::Version { current: Some(1) })));
    repos.users.delete(tenant_id(1), found.id, 1).await.unwrap();
    assert_eq!(repos.users.all().await.unwrap(), []);
}

fn pbx(n: u64, tenant: Option<TenantId>) -> Pbx {
    Pbx {
        id: PbxId(uuid(n)),
        tenant_id: tenant,
        name: "head office".into(),
        ami: AmiAccess {
            host: "pbx.example.org".into(),
            port: 5038,
            tls: true,
            username: "aimg".into(),
            secret: Secret::new("ami password"),
        },
        ari: Some(AriAccess {
            url: "http://pbx.example.org:8088".into(),
            username: "aimg".into(),
            password: Secret::new("ari password"),
        }),
        media: MediaAccess {
            address: None,
            ports: MediaPorts::Shared,
            format: TapFormat::Ulaw,
        },
        trunks: vec!["PJSIP/trunk-*".into()],
        extensions: Vec::new(),
        country: Some("DE".into()),
        national_prefix: None,
        timezone: None,
        placement_key: "p".into(),
        detached: n == 3,
        created_at: Timestamp(0),
    }
}

async fn pbxs(repos: &Repos, store: &Ports) {
    let here = Scope::Tenant(tenant_id(1));
    repos.pbxs.create(&pbx(1, None)).await.unwrap();
    repos.pbxs.create(&pbx(2, Some(tenant_id(1)))).await.unwrap();
    repos.pbxs.create(&pbx(3, Some(tenant_id(1)))).await.unwrap();
    assert_eq!(repos.pbxs.get(here, PbxId(uuid(2))).await.unwrap(), Some((pbx(2, Some(tenant_id(1))), 1)));
    assert_eq!(repos.pbxs.get(here, PbxId(uuid(1))).await.unwrap(), None);
    assert_eq!(repos.pbxs.find(PbxId(uuid(1))).await.unwrap(), Some((pbx(1, None), 1)));
    assert_eq!(repos.pbxs.list(here, page()).await.unwrap().len(), 2);
    let ids = |pbxs: Vec<(Pbx, u64)>| pbxs.into_iter().map(|(pbx, _)| pbx.id.0).collect::<Vec<_>>();
    assert_eq!(ids(repos.pbxs.all_attached().await.unwrap()), [uuid(1), uuid(2)]);
    assert_eq!(ids(repos.pbxs.all().await.unwrap()), [uuid(1), uuid(2), uuid(3)]);
    for document in store.records.all(&crate::kinds::PBX, page()).await.unwrap() {
        let body = String::from_utf8_lossy(&document.body).into_owned();
        assert!(!body.contains("password\":\"a") && !body.contains("ami password") && !body.contains("***"));
    }
    let elsewhere = Repos::new(store.records.clone(), Arc::new(Keyring::ephemeral(Box::new(OsEntropy)).unwrap()));
    assert!(
        matches!(elsewhere.pbxs.find(PbxId(uuid(1))).await, Err(StoreError::Corrupt(_))),
        "another key opens nothing"
    );
}

async fn links(repos: &Repos) {
    let link = |n, tenant, pbx| PbxLink {
        id: PbxLinkId(uuid(n)),
        tenant_id: tenant_id(tenant),
        pbx_id: PbxId(uuid(pbx)),
        claims: Claims {
            by: ClaimBy::Context,
            values: vec!["from-*".into()],
        },
        audio: AudioPolicy::OnDemand,
        recording: RecordingPolicy::OnDemand,
        control: ControlPolicy::Observe,
        tap_budget: 10,
        created_at: Timestamp(0),
    };
    for (n, tenant, pbx) in [(1, 1, 1), (2, 1, 2), (3, 2, 1)] {
        repos.links.create(&link(n, tenant, pbx)).await.unwrap();
    }
    let ids = |links: Vec<(PbxLink, u64)>| links.into_iter().map(|(link, _)| link.id.0).collect::<Vec<_>>();
    assert_eq!(ids(repos.links.list(tenant_id(1), page()).await.unwrap()), [uuid(1), uuid(2)]);
    assert_eq!(ids(repos.links.by_pbx(PbxId(uuid(1))).await.unwrap()), [uuid(1), uuid(3)]);
    assert_eq!(ids(repos.links.list_by_pbx(tenant_id(1), PbxId(uuid(1)), page()).await.unwrap()), [uuid(1)]);
    assert_eq!(ids(repos.links.all().await.unwrap()), [uuid(1), uuid(2), uuid(3)]);
    let (mut moved, version) = repos.links.get(tenant_id(1), PbxLinkId(uuid(1))).await.unwrap().unwrap();
    moved.pbx_id = PbxId(uuid(2));
    repos.links.update(&moved, version).await.unwrap();
    assert_eq!(ids(repos.links.by_pbx(PbxId(uuid(1))).await.unwrap()), [uuid(3)]);
}

async fn recordings(repos: &Repos) {
    let recording = |n, status| Recording {
        id: RecordingId(uuid(n)),
        tenant_id: tenant_id(1),
        call_session_id: CallId(uuid(7)),
        status,
        started_at: Timestamp(0),
        ended_at: None,
        duration_ms: 0,
        channels: 2,
        sample_rate: 8000,
        bytes: 0,
        sha256: None,
        renderer_version: 1,
        tracks: Vec::new(),
        segments: Vec::new(),
        gaps: Vec::new(),
        reason: None,
    };
    repos.recordings.create(&recording(1, RecordingStatus::Active)).await.unwrap();
    repos.recordings.create(&recording(2, RecordingStatus::Paused)).await.unwrap();
    repos.recordings.create(&recording(3, RecordingStatus::Saved)).await.unwrap();
    assert_eq!(repos.recordings.by_call(tenant_id(1), CallId(uuid(7)), page()).await.unwrap().len(), 3);
    assert_eq!(repos.recordings.unfinished(tenant_id(1), page()).await.unwrap().len(), 2);
    repos.recordings.update(&recording(1, RecordingStatus::Partial), 1).await.unwrap();
    let unfinished = repos.recordings.unfinished(tenant_id(1), page()).await.unwrap();
    assert_eq!(unfinished, [(recording(2, RecordingStatus::Paused), 1)]);
    assert_eq!(repos.recordings.unfinished(tenant_id(2), page()).await.unwrap(), []);
}

fn family(n: u64, token: u64) -> RefreshFamily {
    RefreshFamily {
        id: uuid(n),
        user: UserId(uuid(5)),
        tenant: tenant_id(1),
        current: uuid(token),
        expires_at: Timestamp(1000),
        created_at: Timestamp(0),
        refreshed_at: Timestamp(0),
        revoked: None,
    }
}

async fn refresh_tokens(repos: &Repos) {
    let tokens = &repos.refresh_tokens;
    let redeem = |n, token, next, now| tokens.redeem(tenant_id(1), uuid(n), uuid(token), uuid(next), Timestamp(now), Timestamp(now + 1000));
    tokens.begin(&family(1, 100)).await.unwrap();
    let Redeemed::Rotated(rotated) = redeem(1, 100, 101, 500).await.unwrap() else {
        panic!("a good token")
    };
    assert_eq!(
        (rotated.current, rotated.expires_at, rotated.refreshed_at),
        (uuid(101), Timestamp(1500), Timestamp(500))
    );
    assert!(matches!(redeem(1, 100, 102, 600).await.unwrap(), Redeemed::Reused(_)));
    assert_eq!(redeem(1, 101, 102, 600).await.unwrap(), Redeemed::Revoked, "reuse ends the whole family");
    assert_eq!(redeem(9, 101, 102, 600).await.unwrap(), Redeemed::Unknown);
    tokens.begin(&family(2, 200)).await.unwrap();
    assert_eq!(redeem(2, 200, 201, 1000).await.unwrap(), Redeemed::Expired);
    tokens.begin(&family(3, 300)).await.unwrap();
    assert!(matches!(redeem(3, 300, 301, 900).await.unwrap(), Redeemed::Rotated(_)));
    assert_eq!(tokens.by_user(tenant_id(1), UserId(uuid(5)), page()).await.unwrap().len(), 3);
    assert_eq!(tokens.revoke_user(tenant_id(1), UserId(uuid(5)), "password changed").await.unwrap(), 2);
    assert_eq!(redeem(3, 301, 302, 950).await.unwrap(), Redeemed::Revoked);
    assert_eq!(tokens.purge(Timestamp(1000)).await.unwrap(), 1);
    assert_eq!(tokens.purge(Timestamp(9000)).await.unwrap(), 2);
    assert_eq!(tokens.by_user(tenant_id(1), UserId(uuid(5)), page()).await.unwrap(), []);
}

async fn of_two_who_redeem_one_token_one_wins(repos: &Repos) {
    repos.refresh_tokens.begin(&family(4, 400)).await.unwrap();
    let rivals = (0..4).map(|n| {
        let tokens = repos.refresh_tokens.clone();
        tokio::spawn(async move {
            let outcome = tokens.redeem(tenant_id(1), uuid(4), uuid(400), uuid(401 + n), Timestamp(1), Timestamp(2)).await;
            matches!(outcome.unwrap(), Redeemed::Rotated(_))
        })
    });
    let mut won = 0;
    for rival in rivals.collect::<Vec<_>>() {
        won += u32::from(rival.await.unwrap());
    }
    assert_eq!(won, 1);
    let (family, _) = repos.refresh_tokens.get(tenant_id(1), uuid(4)).await.unwrap().unwrap();
    assert_eq!(family.revoked.as_deref(), Some("reused"));
}

async fn revoked_tokens(repos: &Repos) {
    let tokens = &repos.revoked_tokens;
    assert!(!tokens.is_revoked(uuid(1)).await.unwrap());
    tokens.revoke(uuid(1), Timestamp(100)).await.unwrap();
    tokens.revoke(uuid(1), Timestamp(100)).await.unwrap();
    tokens.revoke(uuid(2), Timestamp(200)).await.unwrap();
    assert!(tokens.is_revoked(uuid(1)).await.unwrap());
    assert_eq!(tokens.all().await.unwrap().len(), 2);
    assert_eq!(tokens.purge(Timestamp(100)).await.unwrap(), 1);
    assert_eq!(tokens.all().await.unwrap(), [(uuid(2), Timestamp(200))]);
}
