//! The edge: HTTP and websocket handshakes in, requests to the tree and reads of the store out.
//!
//! It holds no state of its own that a restart may not lose, and it must never know of actors' addresses, of
//! Asterisk's syntax or of a database driver. A request: accept → limits → route (one table) → caller → tenant →
//! permission → handler → reply. warp is named here and nowhere else.

mod accept;
mod ask;
pub mod auth;
mod body;
mod caller;
mod config;
mod faults;
mod gate;
mod idempotency;
mod metrics;
mod openapi;
mod page;
mod reply;
mod route;
mod routes;
mod socket;
mod spec;

pub use accept::bind;
pub use config::EdgeConfig;
pub use metrics::RenderMetrics;
pub use openapi::document as openapi_document;

use aimg_actors::platform::Platform;
use aimg_domain::{Clock, IdSource};
use aimg_store::blobs::ObjectStore;
use aimg_store::journal::Journal;
use aimg_store::repo::Repos;
use aimg_store::secrets::Keyring;
use aimg_store::sessions::Sessions;
use aimg_store::shared::Shared;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What the edge stands on. The node brings it.
pub struct EdgeParts {
    pub platform: Arc<dyn Platform>,
    pub repos: Repos,
    pub sessions: Arc<dyn Sessions>,
    pub journal: Arc<dyn Journal>,
    pub blobs: Arc<dyn ObjectStore>,
    pub keyring: Arc<Keyring>,
    pub shared: Arc<dyn Shared>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    /// The text of `/metrics`.
    pub metrics: RenderMetrics,
    pub config: EdgeConfig,
}

#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error(transparent)]
    Table(#[from] route::BadTable),
    #[error("the key that signs tokens is unusable: {0}")]
    Key(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub struct Edge {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) repos: Repos,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    pub(crate) shared: Arc<dyn Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) metrics: RenderMetrics,
    pub(crate) config: EdgeConfig,
    pub(crate) tokens: auth::Tokens,
    pub(crate) passwords: auth::Passwords,
    pub(crate) sockets: Arc<socket::Sockets>,
    pub(crate) table: route::Table,
    pub(crate) openapi: Bytes,
    /// Held while it is decided whether a super_admin is the last one.
    pub(crate) admin_changes: tokio::sync::Mutex<()>,
    /// Recordings being sent: each holds a thread.
    pub(crate) downloads: Arc<tokio::sync::Semaphore>,
}

impl Edge {
    pub fn new(parts: EdgeParts) -> Result<Arc<Edge>, EdgeError> {
        let table = route::Table::new(routes::all())?;
        let openapi = openapi::render(table.routes());
        let config = parts.config;
        Ok(Arc::new(Edge {
            tokens: auth::Tokens::new(&parts.keyring).map_err(|error| EdgeError::Key(error.to_string()))?,
            passwords: auth::Passwords::new(config.password_checks, config.password_checks_waiting),
            sockets: Arc::new(socket::Sockets::new(config.max_sockets, config.max_sockets_per_user)),
            platform: parts.platform,
            repos: parts.repos,
            sessions: parts.sessions,
            journal: parts.journal,
            blobs: parts.blobs,
            shared: parts.shared,
            clock: parts.clock,
            ids: parts.ids,
            metrics: parts.metrics,
            table,
            openapi,
            admin_changes: tokio::sync::Mutex::new(()),
            downloads: Arc::new(tokio::sync::Semaphore::new(config.max_downloads)),
            config,
        }))
    }

    /// Serves until `shutdown` resolves; open requests then have `shutdown_grace` to end.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> Result<(), EdgeError> {
        let config = self.config.clone();
        let _housekeeping = Housekeeping(tokio::spawn(forget_expired(self.repos.clone(), self.clock.clone())));
        accept::serve(listener, gate::filter(self), config, shutdown).await?;
        Ok(())
    }
}

const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(3600);

/// Deletes what is remembered of tokens that are over.
async fn forget_expired(repos: Repos, clock: Arc<dyn Clock>) {
    let mut every = tokio::time::interval(HOUSEKEEPING_EVERY);
    loop {
        every.tick().await;
        let now = clock.now();
        let purged = async { Ok::<_, aimg_store::StoreError>((repos.refresh_tokens.purge(now).await?, repos.revoked_tokens.purge(now).await?)) };
        if let Err(error) = purged.await {
            tracing::warn!(%error, "expired tokens could not be forgotten");
        }
    }
}

struct Housekeeping(tokio::task::JoinHandle<()>);

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}
