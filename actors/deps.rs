//! What the actors work with, handed in at boot. Concrete adapters are chosen by the node alone.

use crate::live::LiveCalls;
use crate::relay::EventRelay;
use aimg_domain::{Clock, IdSource};
use aimg_media_pump::PumpSet;
use aimg_recording::WriterPool;
use aimg_store::blobs::ObjectStore;
use aimg_store::journal::Journal;
use aimg_store::repo::{Links, Pbxs, Recordings, Tenants};
use aimg_store::series::Series;
use aimg_store::sessions::Sessions;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Deps {
    /// This node's name.
    pub node: String,
    /// Names the installation in the ids of what we make on PBXs.
    pub cluster: String,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub tenants: Tenants,
    pub pbxs: Pbxs,
    pub links: Links,
    pub recordings: Recordings,
    pub journal: Arc<dyn Journal>,
    pub sessions: Arc<dyn Sessions>,
    pub series: Arc<dyn Series>,
    pub blobs: Arc<dyn ObjectStore>,
    /// Folder of the segments that are being written.
    pub open: PathBuf,
    pub pumps: Arc<PumpSet>,
    /// Where the pumps' sockets are bound.
    pub media_bind: IpAddr,
    /// Threads that write recordings.
    pub writers: Arc<WriterPool>,
    pub relay: EventRelay,
    pub live: LiveCalls,
    /// Seeds the jitter of reconnects.
    pub seed: u64,
}

impl Deps {
    /// The epoch this node writes and taps under.
    pub fn epoch(&self) -> u64 {
        self.journal.epoch()
    }
}
