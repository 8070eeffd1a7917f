//! One link to one PBX, kept for ever: the AMI connection, the websockets of the stable application and of the
//! taps' application, their reconnections, and one ordered stream of what they tell.
//!
//! Order: `Up` comes before every fact of its connection; facts that arrived while the snapshot was taken follow
//! it, so some of them may already be contained in it. AMI and ARI have no mutual order.

mod follow;
mod listen;

use crate::ari::AriClient;
use crate::backoff::Waits;
use crate::commands::{Circuit, LinkState, PbxCommands, Shared};
use crate::config::LinkConfig;
use crate::error::PbxError;
use aimg_domain::pbx::PbxState;
use aimg_domain::{Clock, Timestamp};
use aimg_pbx::ari::{Application, AriEvent};
use aimg_pbx::fact::{Snapshot, Told};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Events on their way to the consumer. When it is full, AMI facts are held back in their own bounded backlog
/// and ARI waits up to `Deadlines::overrun`; then that part of the link is dropped as overrun and reconnects.
const EVENTS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AriApp {
    /// `PbxId::stasis_app`: calls that a dialplan sends to us.
    Stable,
    /// `PbxId::tap_app`: what this owner makes.
    Taps,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// An attempt to connect AMI begins; the first is 1.
    Connecting {
        attempt: u32,
    },
    /// Signed in, with the PBX's truth at this moment.
    Up(Box<LinkUp>),
    Facts(Vec<Told>),
    Ari {
        app: AriApp,
        event: Box<AriEvent>,
    },
    /// The websocket is open. What it missed before is lost: `application` says what is in it now.
    AriUp {
        app: AriApp,
        application: Application,
    },
    AriDown {
        app: AriApp,
        reason: String,
        since: Timestamp,
    },
    /// The AMI is not connected; said after each attempt that failed, with the same `since`.
    Down {
        reason: String,
        since: Timestamp,
    },
    /// The PBX answers but does not let us in, or not do what we must. Attempts go on.
    Refused {
        reason: String,
        what_to_do: String,
        since: Timestamp,
    },
    /// Another connection took the application. This one stays silent until `PbxCommands::reclaim`.
    Replaced {
        app: AriApp,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct LinkUp {
    /// Of the interface: `11.0.0`.
    pub ami_version: String,
    /// `22.10.1+dfsg…`
    pub asterisk_version: Option<String>,
    /// The prefix of its uniqueids, where one is configured.
    pub system_name: Option<String>,
    pub booted_at: Option<Timestamp>,
    pub boot_source: BootSource,
    pub snapshot: Snapshot,
}

/// How exact `booted_at` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootSource {
    /// ARI's `startup_time`: the same at every question.
    Ari,
    /// Now less the whole seconds of `FullyBooted`: may differ by a second or two from one question to the next.
    Uptime,
    /// The PBX's own local time, read as if it were UTC: tells one boot from another, off by its time zone.
    LocalTime,
    Unknown,
}

/// Owns the tasks of a link; dropping it ends them at once.
#[derive(Debug)]
pub struct PbxLinkDriver {
    tasks: Vec<JoinHandle<()>>,
    stopping: watch::Sender<bool>,
}

impl PbxLinkDriver {
    /// Starts to connect. Fails only where the access itself cannot be used (`PbxError::Invalid`).
    pub fn start(config: LinkConfig, clock: Arc<dyn Clock>) -> Result<(PbxLinkDriver, PbxCommands, mpsc::Receiver<LinkEvent>), PbxError> {
        let ari = match &config.ari {
            Some(access) => Some(AriClient::new(access, config.deadlines.connect)?),
            None => None,
        };
        let has_ari = ari.is_some();
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (stopping, _) = watch::channel(false);
        let link = Arc::new(Link {
            config,
            shared: Arc::new(Shared::new(clock, ari)),
            events,
            stopping: stopping.clone(),
        });
        let commands = PbxCommands { shared: link.shared.clone() };
        let mut parts = vec![Part::Ami];
        if has_ari {
            parts.extend([Part::Websocket(AriApp::Stable), Part::Websocket(AriApp::Taps)]);
        }
        let tasks = parts.into_iter().map(|part| tokio::spawn(keep(link.clone(), part))).collect();
        Ok((PbxLinkDriver { tasks, stopping }, commands, receiver))
    }

    /// Takes leave of the PBX (logoff, close frames), within `within`.
    pub async fn stop(mut self, within: Duration) {
        self.stopping.send_replace(true);
        let leave = async {
            for task in &mut self.tasks {
                // A task that was ended from outside has nothing left to say.
                let _ = task.await;
            }
        };
        let _ = timeout(within, leave).await;
    }
}

impl Drop for PbxLinkDriver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Ami,
    Websocket(AriApp),
}

impl LinkState {
    fn circuit(&self, part: Part) -> &Circuit {
        match part {
            Part::Ami => &self.ami,
            Part::Websocket(AriApp::Stable) => &self.stable,
            Part::Websocket(AriApp::Taps) => &self.taps,
        }
    }

    fn circuit_mut(&mut self, part: Part) -> &mut Circuit {
        match part {
            Part::Ami => &mut self.ami,
            Part::Websocket(AriApp::Stable) => &mut self.stable,
            Part::Websocket(AriApp::Taps) => &mut self.taps,
        }
    }
}

/// Ends a part with whoever keeps it.
struct Kept(JoinHandle<()>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Supervision: a part that panicked is started anew after a second; it takes no other part with it.
async fn keep(link: Arc<Link>, part: Part) {
    loop {
        let mut task = Kept(match part {
            Part::Ami => tokio::spawn(follow::follow(link.clone())),
            Part::Websocket(app) => tokio::spawn(listen::listen(link.clone(), app)),
        });
        match (&mut task.0).await {
            Ok(()) => return,
            Err(error) => tracing::error!(pbx = %link.config.pbx, ?part, %error, "a part of the PBX link failed and is started anew"),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// What the parts share.
struct Link {
    config: LinkConfig,
    shared: Arc<Shared>,
    events: mpsc::Sender<LinkEvent>,
    stopping: watch::Sender<bool>,
}

/// The consumer is gone: the link ends.
struct Gone;

impl Link {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    async fn emit(&self, event: LinkEvent) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }

    fn app_name(&self, app: AriApp) -> String {
        match app {
            AriApp::Stable => self.config.pbx.stasis_app(),
            AriApp::Taps => self.config.pbx.tap_app(self.config.epoch),
        }
    }

    /// Jitter differs from part to part, or all three would knock at once.
    fn waits(&self, part: u64) -> Waits {
        Waits::new(self.config.backoff, self.config.seed.wrapping_add(part))
    }

    /// Waits for the next attempt; less where another part reaches the PBX meanwhile.
    async fn pause(&self, waits: &mut Waits) {
        let mut nudge = self.shared.nudge.subscribe();
        let shortly = waits.shortly();
        let nudged = async {
            // The sender is ours: it cannot be gone.
            let _ = nudge.changed().await;
            sleep(shortly).await;
        };
        tokio::select! {
            () = sleep(waits.next()) => {}
            () = nudged => {}
            () = self.stopped() => {}
        }
    }

    async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Loud once: a PBX that stays down is not told again at each attempt.
    fn log_down(&self, part: Part, reason: &str) {
        let state = self.shared.state.borrow();
        let circuit = state.circuit(part);
        if circuit.state == PbxState::Attached || circuit.reason.is_none() {
            tracing::warn!(pbx = %self.config.pbx, ?part, reason, "PBX link is down");
        } else {
            tracing::debug!(pbx = %self.config.pbx, ?part, reason, "PBX link is still down");
        }
    }

    /// Sets a circuit; `since` is kept while it stays down.
    fn set_circuit(&self, part: Part, state: PbxState, reason: Option<String>) -> Timestamp {
        let now = self.now();
        let mut since = now;
        self.shared.state.send_modify(|link| {
            let circuit = link.circuit_mut(part);
            if circuit.state == PbxState::Attached || state == PbxState::Attached {
                circuit.since = now;
            }
            since = circuit.since;
            circuit.state = state;
            circuit.reason = reason;
        });
        since
    }
}

/// What a person can do about a refusal; `None` where it is no refusal but an outage.
fn what_to_do(error: &PbxError, ari: bool) -> Option<&'static str> {
    match (error, ari) {
        (PbxError::Unauthorized, false) => Some("check user name and secret in manager.conf, and its permit/deny lists"),
        (PbxError::Forbidden(_), false) => Some("give the account write = system,call,originate,reporting in manager.conf"),
        (PbxError::Unauthorized, true) => Some("check user name and password in ari.conf"),
        (PbxError::Forbidden(_), true) => Some("set read_only = no for the user in ari.conf"),
        (PbxError::NotFound(_), true) => Some("set enabled = yes in ari.conf and http.conf, and load res_ari"),
        (PbxError::Invalid(_), _) => Some("correct the access data"),
        _ => None,
    }
}
