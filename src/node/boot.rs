//! Starting a node: the only file that names concrete adapters.

use crate::config::Config;
use crate::operator::Operator;
use crate::system::{SystemClock, SystemIds};
use crate::telemetry;
use aimg_actors::connection::{ConnectionDeps, ConnectionLimits};
use aimg_actors::deps::Deps;
use aimg_actors::live::LiveCalls;
use aimg_actors::node_platform::{LiveListener, NodePlatform};
use aimg_actors::pbx_handle::PbxHandles;
use aimg_actors::relay::{EventRelay, RelayDeps};
use aimg_actors::root::NodeTree;
use aimg_domain::user::User;
use aimg_domain::{Clock, IdSource};
use aimg_edge::auth::{AdminSeed, ensure_admin, hash_password, issue_token};
use aimg_edge::{Edge, EdgeConfig, EdgeParts};
use aimg_fanout::{Lanes, LanesConfig};
use aimg_media_pump::{PumpConfig, PumpSet};
use aimg_recording::WriterPool;
use aimg_store_embedded::{Embedded, Options};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Node {
    address: SocketAddr,
    tree: Arc<NodeTree>,
    store: Embedded,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    lanes: Arc<Lanes>,
    pumps: Arc<PumpSet>,
    writers: Arc<WriterPool>,
    keys: PathBuf,
    opened: watch::Sender<bool>,
    shutdown: watch::Sender<bool>,
    edge: JoinHandle<()>,
    admin: parking_lot::Mutex<Option<User>>,
}

/// Everything in the order in which it is needed: folder, threads, tree, and the edge last, so that nobody is
/// answered before there is something to answer.
pub async fn start(config: &Config) -> Result<Node, String> {
    let metrics = telemetry::metrics()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
    let listener = aimg_edge::bind(config.listen).map_err(|error| format!("listen: {}: {error}; is another node running there?", config.listen))?;
    let address = listener.local_addr().map_err(|error| format!("listen: {error}"))?;
    let store = open_store(config, clock.clone()).await?;
    let pumps = open_pumps(config, clock.clone())?;
    let lanes = LanesConfig {
        lanes: config.limits.lanes,
        ..LanesConfig::new(tokio::runtime::Handle::current())
    };
    let lanes = Arc::new(Lanes::start(lanes).map_err(|error| format!("lanes: {error}"))?);
    let writers = WriterPool::start(1, clock.clone()).map_err(|error| format!("recording threads: {error}"))?;
    let writers = Arc::new(writers);
    let threads = Threads {
        pumps: pumps.clone(),
        writers: writers.clone(),
        lanes: lanes.clone(),
    };
    let deps = Arc::new(deps(config, &store, clock.clone(), ids.clone(), threads));
    let tree = Arc::new(start_tree(config, &deps, lanes.clone()).await?);
    let parts = EdgeParts {
        platform: Arc::new(NodePlatform { node: tree.clone() }),
        repos: store.repos.clone(),
        sessions: store.sessions.clone(),
        journal: store.journal.clone(),
        blobs: store.blobs.clone(),
        keyring: store.keyring.clone(),
        shared: store.shared.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        metrics: Arc::new(move || metrics.render()),
        config: EdgeConfig {
            max_sockets: config.limits.connections,
            max_sockets_per_user: config.limits.connections_per_user,
            ..EdgeConfig::default()
        },
    };
    let edge = Edge::new(parts).map_err(|error| format!("edge: {error}"))?;
    let (opened, mut opening) = watch::channel(false);
    let (shutdown, mut stopping) = watch::channel(false);
    let edge = tokio::spawn(async move {
        if opening.wait_for(|open| *open).await.is_err() {
            return;
        }
        let ordered = async move {
            // A sender that is gone means the node is: stop too.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        if let Err(error) = edge.serve(listener, ordered).await {
            tracing::error!(%error, "the edge ended");
        }
    });
    let keys = config.data.join("keys");
    Ok(Node {
        address,
        tree,
        store,
        clock,
        ids,
        lanes,
        pumps,
        writers,
        keys,
        opened,
        shutdown,
        edge,
        admin: parking_lot::Mutex::new(None),
    })
}

async fn open_store(config: &Config, clock: Arc<dyn Clock>) -> Result<Embedded, String> {
    let (data, options) = (config.data.clone(), Options::new(config.node.clone(), clock));
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&data, options)).await;
    opened
        .map_err(|error| format!("opening the data folder: {error}"))?
        .map_err(|error| format!("data: {}: {error}", config.data.display()))
}

fn open_pumps(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<PumpSet>, String> {
    let pumps = PumpConfig {
        threads: config.media.threads,
        jitter_delay: Duration::from_millis(config.media.jitter_delay_ms),
        ..PumpConfig::new(config.media.bind, config.media_ports())
    };
    PumpSet::start(pumps, clock).map_err(|error| format!("media: {}: {error}", config.media.bind))
}

struct Threads {
    pumps: Arc<PumpSet>,
    writers: Arc<WriterPool>,
    lanes: Arc<Lanes>,
}

fn deps(config: &Config, store: &Embedded, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>, threads: Threads) -> Deps {
    let repos = &store.repos;
    let relay = EventRelay::new(RelayDeps {
        lanes: threads.lanes,
        journal: store.journal.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        node: config.node.clone(),
        generation: store.journal.epoch(),
    });
    let seed = u64::from_be_bytes(ids.uuid().as_bytes()[8..].try_into().unwrap_or_default());
    Deps {
        node: config.node.clone(),
        cluster: config.cluster.clone(),
        clock,
        ids,
        tenants: repos.tenants.clone(),
        pbxs: repos.pbxs.clone(),
        links: repos.links.clone(),
        recordings: repos.recordings.clone(),
        journal: store.journal.clone(),
        sessions: store.sessions.clone(),
        series: store.series.clone(),
        blobs: store.blobs.clone(),
        open: store.open_folder.clone(),
        pumps: threads.pumps,
        media_bind: config.media.bind,
        writers: threads.writers,
        relay,
        live: LiveCalls::default(),
        seed,
    }
}

async fn start_tree(config: &Config, deps: &Arc<Deps>, lanes: Arc<Lanes>) -> Result<NodeTree, String> {
    let limits = ConnectionLimits {
        connections: config.limits.connections,
        connections_per_user: config.limits.connections_per_user,
        ..ConnectionLimits::default()
    };
    let connections = ConnectionDeps {
        lanes: lanes.clone(),
        relay: deps.relay.clone(),
        journal: deps.journal.clone(),
        listener: Arc::new(LiveListener(deps.live.clone())),
        clock: deps.clock.clone(),
        limits,
    };
    NodeTree::start(deps.clone(), PbxHandles::default(), lanes, connections)
        .await
        .map_err(|error| error.to_string())
}

impl Node {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets callers in: from now on it may be ready. Until then they wait, for the first administrator above all.
    pub fn open(&self) {
        self.opened.send_replace(true);
    }

    /// Makes the administrator and the home tenant unless they are there. True if they were made now.
    pub async fn ensure_admin(&self, email: &str, password: &str, tenant: &str, slug: &str) -> Result<bool, String> {
        let seed = AdminSeed {
            email,
            password,
            name: "Administrator",
            tenant_slug: slug,
            tenant_name: tenant,
        };
        // A later start without a name given must not make a second administrator.
        if let Some(user) = self.known_admin().await? {
            Operator::of(&user).write(&self.keys)?;
            *self.admin.lock() = Some(user);
            return Ok(false);
        }
        let made = ensure_admin(&self.store.repos, self.clock.as_ref(), self.ids.as_ref(), seed).await;
        let (user, made) = made.map_err(|fault| format!("the first administrator could not be made: {fault}"))?;
        Operator::of(&user).write(&self.keys)?;
        *self.admin.lock() = Some(user);
        Ok(made)
    }

    async fn known_admin(&self) -> Result<Option<User>, String> {
        let Some(operator) = Operator::read(&self.keys)? else { return Ok(None) };
        let found = self.store.repos.users.by_email(&operator.email).await.map_err(|error| error.to_string())?;
        Ok(found.map(|(user, _)| user))
    }

    /// Gives a user a new password; everything the user held ends. The password, for convenience.
    pub async fn reset_password(&self, email: &str, password: &str) -> Result<String, String> {
        let users = &self.store.repos.users;
        let found = users.by_email(email).await.map_err(|error| error.to_string())?;
        let (mut user, version) = found.ok_or_else(|| format!("no user {email}"))?;
        user.password_hash = hash_password(password).map_err(|fault| fault.to_string())?;
        user.generation += 1;
        users.update(&user, version).await.map_err(|error| error.to_string())?;
        Operator::of(&user).write(&self.keys)?;
        *self.admin.lock() = Some(user);
        Ok(password.to_owned())
    }

    pub fn admin_token(&self, life: Duration) -> Result<String, String> {
        let admin = self.admin.lock().clone().ok_or("there is no administrator yet")?;
        let token = issue_token(&self.store.keyring, &admin, self.ids.uuid(), self.clock.now(), life);
        token.map(|token| token.expose().to_owned()).map_err(|error| error.to_string())
    }

    pub async fn ended(&self) {
        self.tree.ended().await;
    }

    /// The edge first, then the leaves of the tree, then threads, then the files.
    pub async fn stop(self, within: Duration) {
        self.shutdown.send_replace(true);
        drop(self.opened);
        if !self.tree.stop(within).await {
            tracing::warn!("the tree did not stop in time");
        }
        if tokio::time::timeout(Duration::from_secs(5), self.edge).await.is_err() {
            tracing::warn!("the edge did not stop in time");
        }
        self.writers.stop();
        self.pumps.stop();
        drop(self.lanes);
        let store = self.store;
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

/// 20 characters, about 100 bits.
pub fn random_password() -> String {
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = rand::random::<[u8; 20]>();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}
