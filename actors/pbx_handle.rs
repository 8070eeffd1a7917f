//! What the rest of the tree knows of a pbx: its state, its commands, its links. Stays valid while the
//! PbxConnection is being restarted.

use crate::pbx_connection::PbxConnectionMessage;
use crate::routing::SharedDirectory;
use aimg_actor_kit::Address;
use aimg_domain::link::PbxLink;
use aimg_domain::pbx::{Pbx, PbxState, PbxStatus};
use aimg_domain::{Fault, PbxId, PbxLinkId, TenantId};
use aimg_pbx_link::PbxCommands;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub struct PbxHandle {
    pub pbx: Pbx,
    /// Commands of the connection that is there now.
    pub commands: RwLock<Option<PbxCommands>>,
    pub status: RwLock<PbxStatus>,
    /// The websocket of the taps is open: what we make is told.
    pub taps_up: AtomicBool,
    /// Its CDR engine knew a channel of ours when it was last asked.
    pub keeps_cdrs: Arc<AtomicBool>,
    pub directory: SharedDirectory,
    pub connection: Address<PbxConnectionMessage>,
    links: RwLock<HashMap<PbxLinkId, Arc<LinkEntry>>>,
}

impl PbxHandle {
    pub fn new(pbx: Pbx, status: PbxStatus, directory: SharedDirectory, connection: Address<PbxConnectionMessage>) -> PbxHandle {
        PbxHandle {
            pbx,
            commands: RwLock::new(None),
            status: RwLock::new(status),
            taps_up: AtomicBool::new(false),
            keeps_cdrs: Arc::new(AtomicBool::new(true)),
            directory,
            connection,
            links: RwLock::default(),
        }
    }

    /// Commands, or why there are none.
    pub fn commands(&self) -> Result<PbxCommands, Fault> {
        let status = self.status.read();
        if status.state == PbxState::Attached
            && let Some(commands) = self.commands.read().clone()
        {
            return Ok(commands);
        }
        let reason = status.reason.clone().unwrap_or_else(|| "not attached yet".into());
        Err(Fault::PbxDown { since: status.since, reason })
    }

    pub fn set_link(&self, link: PbxLink) {
        let mut links = self.links.write();
        let taps = links.get(&link.id).map(|entry| entry.taps.clone()).unwrap_or_default();
        links.insert(link.id, Arc::new(LinkEntry { link, taps }));
    }

    pub fn remove_link(&self, id: PbxLinkId) {
        self.links.write().remove(&id);
    }

    /// Whether a link of the tenant is tied to it.
    pub fn serves(&self, tenant: TenantId) -> bool {
        self.links.read().values().any(|entry| entry.link.tenant_id == tenant)
    }

    pub fn link(&self, id: PbxLinkId) -> Option<Arc<LinkEntry>> {
        self.links.read().get(&id).cloned()
    }
}

/// A link as it is now, and how many of its calls are tapped.
pub struct LinkEntry {
    pub link: PbxLink,
    taps: Arc<AtomicU32>,
}

/// A call's share of the link's tap budget; given back when dropped.
pub struct TapSlot {
    taps: Arc<AtomicU32>,
}

impl LinkEntry {
    pub fn take_tap(&self) -> Result<TapSlot, String> {
        let budget = self.link.tap_budget;
        let taken = self
            .taps
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < budget).then_some(used + 1));
        match taken {
            Ok(_) => Ok(TapSlot { taps: self.taps.clone() }),
            Err(_) => Err(format!("the link's tap budget of {budget} calls is used up")),
        }
    }
}

impl Drop for TapSlot {
    fn drop(&mut self) {
        self.taps.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pbxs of this node.
#[derive(Clone, Default)]
pub struct PbxHandles {
    handles: Arc<RwLock<HashMap<PbxId, Arc<PbxHandle>>>>,
}

impl PbxHandles {
    pub fn insert(&self, handle: Arc<PbxHandle>) {
        self.handles.write().insert(handle.pbx.id, handle);
    }

    pub fn remove(&self, pbx: PbxId) -> Option<Arc<PbxHandle>> {
        self.handles.write().remove(&pbx)
    }

    pub fn get(&self, pbx: PbxId) -> Option<Arc<PbxHandle>> {
        self.handles.read().get(&pbx).cloned()
    }

    pub fn all(&self) -> Vec<Arc<PbxHandle>> {
        self.handles.read().values().cloned().collect()
    }
}
