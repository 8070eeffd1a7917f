//! An edge on a socket with two tenants and a person of every role in each.

use crate::pretended::Pretended;
use aimg_actors::platform::NewConnection;
use aimg_domain::call::{AudioState, Party, RecordingState};
use aimg_domain::secret::Secret;
use aimg_domain::tenant::{Tenant, TenantStatus};
use aimg_domain::user::User;
use aimg_domain::{CallId, CallSession, CallState, Clock, Direction, IdSource, NewEvent, Outcome, PbxId, PbxLinkId, Role, TenantId, Timestamp, UserId};
use aimg_edge::{Edge, EdgeConfig, EdgeParts, auth};
use aimg_store::blobs::ObjectStore;
use aimg_store::blobs::object_store::memory::InMemory;
use aimg_store::journal::{Commit, Committed, Journal};
use aimg_store::memory::{MemoryCalls, MemoryRecords, MemoryShared};
use aimg_store::repo::Repos;
use aimg_store::secrets::{Keyring, OsEntropy};
use aimg_store::sessions::SessionRow;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery";

/// A clock that stands until it is moved.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.load(SeqCst)).unwrap())
    }
}

pub struct Ids;

impl IdSource for Ids {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

pub struct Rig {
    pub address: SocketAddr,
    pub platform: Arc<Pretended>,
    pub kept: Arc<MemoryCalls>,
    pub repos: Repos,
    pub blobs: Arc<dyn ObjectStore>,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<HandClock>,
    pub client: Client,
    pub connections: Mutex<mpsc::UnboundedReceiver<NewConnection>>,
    /// Two tenants.
    pub a: TenantId,
    pub b: TenantId,
    stop: Option<oneshot::Sender<()>>,
    pub served: Option<tokio::task::JoinHandle<()>>,
}

fn hash() -> Secret {
    static HASH: OnceLock<Secret> = OnceLock::new();
    HASH.get_or_init(|| auth::hash_password(PASSWORD).unwrap()).clone()
}

impl Rig {
    pub async fn start() -> Rig {
        Rig::with(EdgeConfig::default()).await
    }

    pub async fn with(config: EdgeConfig) -> Rig {
        let clock = Arc::new(HandClock(AtomicI64::new(1_800_000_000_000)));
        let keyring = Arc::new(Keyring::ephemeral(Box::new(OsEntropy)).unwrap());
        let repos = Repos::new(Arc::new(MemoryRecords::new()), keyring.clone());
        let kept = Arc::new(MemoryCalls::new("n1"));
        let blobs: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (platform, connections) = Pretended::new();
        let platform = Arc::new(platform);
        let edge = Edge::new(EdgeParts {
            platform: platform.clone(),
            repos: repos.clone(),
            sessions: kept.clone(),
            journal: kept.clone(),
            blobs: blobs.clone(),
            keyring: keyring.clone(),
            shared: Arc::new(MemoryShared::new(clock.clone(), 10_000)),
            clock: clock.clone(),
            ids: Arc::new(Ids),
            metrics: Arc::new(|| "# TYPE aimg_up gauge\naimg_up 1\n".into()),
            config,
        })
        .unwrap();
        let listener = aimg_edge::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            edge.serve(listener, shutdown).await.unwrap();
        });
        let mut rig = Rig {
            address,
            platform,
            kept,
            repos,
            blobs,
            keyring,
            clock,
            client: Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            connections: Mutex::new(connections),
            a: TenantId(Uuid::nil()),
            b: TenantId(Uuid::nil()),
            stop: Some(stop),
            served: Some(served),
        };
        rig.a = rig.tenant("alpha").await;
        rig.b = rig.tenant("beta").await;
        for tenant in [("alpha", rig.a), ("beta", rig.b)] {
            for role in Role::ALL {
                rig.user(tenant.1, role, &format!("{role}@{}.org", tenant.0)).await;
            }
        }
        rig
    }

    /// Stores sessions and events as their tenant's journal does.
    pub async fn keep(&self, tenant: TenantId, sessions: &[CallSession], events: Vec<NewEvent>) -> Committed {
        let sessions = sessions.iter().map(|session| SessionRow {
            session: session.clone(),
            resume: Value::Null,
        });
        let commit = Commit {
            events,
            sessions: sessions.collect(),
        };
        self.kept.commit(tenant, self.kept.epoch(), commit).await.unwrap()
    }

    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    async fn tenant(&self, slug: &str) -> TenantId {
        let id = TenantId(Uuid::now_v7());
        let tenant = Tenant {
            id,
            name: slug.to_uppercase(),
            slug: slug.into(),
            status: TenantStatus::Active,
            placement_key: id.to_string(),
            created_at: self.clock.now(),
        };
        self.repos.tenants.create(&tenant).await.unwrap();
        id
    }

    pub async fn user(&self, tenant: TenantId, role: Role, email: &str) -> UserId {
        let user = User {
            id: UserId(Uuid::now_v7()),
            tenant_id: tenant,
            email: email.into(),
            name: role.to_string(),
            role,
            disabled: false,
            password_hash: hash(),
            generation: 1,
            created_at: self.clock.now(),
        };
        self.repos.users.create(&user).await.unwrap();
        user.id
    }

    pub async fn stored_user(&self, email: &str) -> User {
        self.repos.users.by_email(email).await.unwrap().unwrap().0
    }

    /// An access token of the person with this email, as the CLI makes it.
    pub async fn token(&self, email: &str) -> String {
        let user = self.stored_user(email).await;
        let life = Duration::from_secs(600);
        auth::issue_token(&self.keyring, &user, Uuid::now_v7(), self.clock.now(), life)
            .unwrap()
            .expose()
            .to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn by(&self, email: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.token(email).await)
    }

    pub async fn get(&self, email: &str, path: &str) -> (u16, Value) {
        answer(self.by(email, Method::GET, path).await).await
    }

    pub async fn post(&self, email: &str, path: &str, body: Value) -> (u16, Value) {
        answer(self.by(email, Method::POST, path).await.json(&body)).await
    }

    pub async fn patch(&self, email: &str, path: &str, body: Value) -> (u16, Value) {
        answer(self.by(email, Method::PATCH, path).await.json(&body)).await
    }

    pub async fn delete(&self, email: &str, path: &str) -> (u16, Value) {
        answer(self.by(email, Method::DELETE, path).await).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> (u16, Value) {
        let body = serde_json::json!({"email": email, "password": password});
        answer(self.request(Method::POST, "/api/v1/auth/token").json(&body)).await
    }
}

/// Status and JSON body; every 2xx is checked against the document on the way.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    read(&method, &path, client.execute(request).await.unwrap()).await
}

pub async fn read(method: &Method, path: &str, response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let problem = response.headers().get("content-type").is_some_and(|value| value == "application/problem+json");
    let text = response.text().await.unwrap();
    let body: Value = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    if status >= 400 {
        assert!(problem, "{method} {path}: {status} is no problem+json");
        assert_eq!(body["status"], status, "{body}");
        assert!(body["code"].is_string() && body["detail"].is_string() && body["errors"].is_array(), "{body}");
    }
    crate::shape::check(method.as_str(), path, status, &body);
    (status, body)
}

pub fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

pub fn call(tenant: TenantId, at: i64) -> CallSession {
    CallSession {
        id: CallId(Uuid::now_v7()),
        tenant_id: tenant,
        pbx_id: PbxId(Uuid::from_u128(1)),
        link_id: PbxLinkId(Uuid::from_u128(2)),
        direction: Direction::Inbound,
        state: CallState::Ended,
        outcome: Some(Outcome::Answered),
        caller: Party {
            number: Some("1001".into()),
            e164: None,
            name: None,
        },
        callee: Party::default(),
        started_at: Timestamp(at),
        answered_at: Some(Timestamp(at + 2000)),
        connected_at: None,
        ended_at: Some(Timestamp(at + 10_000)),
        hangup: None,
        legs: Vec::new(),
        linkedids: vec!["1.1".into()],
        merged_into: None,
        merged_from: Vec::new(),
        recording: RecordingState::None,
        audio: AudioState::None,
        in_stasis: false,
        quality: None,
        blind: Vec::new(),
        dtmf: Vec::new(),
        flags: Vec::new(),
        seq: 3,
    }
}

pub fn live(tenant: TenantId, at: i64) -> CallSession {
    CallSession {
        state: CallState::Up,
        outcome: None,
        ended_at: None,
        ..call(tenant, at)
    }
}
