//! What others hold of a link: a handle to act through it, and its state.

use crate::ami::AmiHandle;
use crate::ari::AriClient;
use crate::error::PbxError;
use aimg_domain::pbx::PbxState;
use aimg_domain::{Clock, Timestamp};
use aimg_pbx::ami::{Action, Response};
use aimg_pbx::ari::{Answer, Request};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

/// ARI requests under way at once: Asterisk's `sessionlimit` is 100 by default, for all its clients.
const REQUESTS_MAX: usize = 32;

/// The state of each part of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    pub ami: Circuit,
    /// The websocket of the stable application; `Detached` where no ARI is configured.
    pub stable: Circuit,
    /// That of the taps' application.
    pub taps: Circuit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    pub state: PbxState,
    pub since: Timestamp,
    pub reason: Option<String>,
}

impl Circuit {
    pub(crate) fn new(state: PbxState, since: Timestamp) -> Circuit {
        Circuit { state, since, reason: None }
    }

    /// `Err(Down)` unless attached.
    fn check(&self) -> Result<(), PbxError> {
        match self.state {
            PbxState::Attached => Ok(()),
            state => Err(PbxError::Down {
                since: self.since,
                reason: self.reason.clone().unwrap_or_else(|| format!("{state:?}").to_lowercase()),
            }),
        }
    }
}

pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: watch::Sender<LinkState>,
    pub(crate) ari: Option<AriClient>,
    pub(crate) ari_slots: Semaphore,
    ami: RwLock<Option<AmiHandle>>,
    /// Counts signs of life: a part that waits for its next attempt makes it at once.
    pub(crate) nudge: watch::Sender<u64>,
    /// Counts `reclaim`s.
    pub(crate) reclaim: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(clock: Arc<dyn Clock>, ari: Option<AriClient>) -> Shared {
        let now = clock.now();
        let websocket = if ari.is_some() { PbxState::Connecting } else { PbxState::Detached };
        Shared {
            state: watch::Sender::new(LinkState {
                ami: Circuit::new(PbxState::Connecting, now),
                stable: Circuit::new(websocket, now),
                taps: Circuit::new(websocket, now),
            }),
            clock,
            ari,
            ari_slots: Semaphore::new(REQUESTS_MAX),
            ami: RwLock::new(None),
            nudge: watch::Sender::new(0),
            reclaim: watch::Sender::new(0),
        }
    }

    pub(crate) fn set_ami(&self, handle: Option<AmiHandle>) {
        *self.ami.write().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    /// One part has reached the PBX.
    pub(crate) fn nudge(&self) {
        self.nudge.send_modify(|count| *count += 1);
    }

    fn ami(&self) -> Option<AmiHandle> {
        self.ami.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Acts through a link, whichever connection it has. Cheap to clone.
#[derive(Clone)]
pub struct PbxCommands {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for PbxCommands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PbxCommands({:?})", self.state().ami.state)
    }
}

impl PbxCommands {
    /// Fails at once with `Down` while the AMI is down.
    pub async fn ami(&self, action: Action, deadline: Duration) -> Result<Response, PbxError> {
        self.shared.state.borrow().ami.check()?;
        match self.shared.ami() {
            Some(handle) if !handle.is_over() => handle.action(action, deadline).await,
            _ => Err(PbxError::Down {
                since: self.shared.clock.now(),
                reason: "the connection has just ended".into(),
            }),
        }
    }

    /// Fails at once with `Down` while the websocket of the stable application is down, and with `NoAri` where
    /// there is none.
    pub async fn ari(&self, request: &Request, deadline: Duration) -> Result<Answer, PbxError> {
        let Some(client) = &self.shared.ari else { return Err(PbxError::NoAri) };
        self.shared.state.borrow().stable.check()?;
        let until = Instant::now() + deadline;
        let Ok(Ok(_slot)) = timeout(deadline, self.shared.ari_slots.acquire()).await else {
            return Err(PbxError::Busy);
        };
        client.send(request, until.saturating_duration_since(Instant::now())).await
    }

    /// The same, read as `T`.
    pub async fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request, deadline: Duration) -> Result<T, PbxError> {
        let answer = self.ari(request, deadline).await?;
        answer.json().map_err(|text| PbxError::Refused { status: answer.status, text })
    }

    pub fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    /// Follows the state.
    pub fn watch(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    /// After `Replaced`: takes the applications back. Only for one that knows it owns the PBX.
    pub fn reclaim(&self) {
        self.shared.reclaim.send_modify(|count| *count += 1);
    }
}
