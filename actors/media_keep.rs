//! What of a call's audio goes on while its actor is being restarted: streams, tap, recording, listeners. A crash of
//! `CallMedia` therefore costs no sample.

use crate::calls::tap::TapMachine;
use crate::pbx_handle::TapSlot;
use crate::recorder::RecorderKeep;
use aimg_domain::TrackId;
use aimg_media_pump::StreamLease;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

#[derive(Default)]
pub struct MediaKeep {
    pub tap: Option<TapMachine>,
    /// Names of the snoops by their ids: AMI knows a channel by its name from the first moment, ARI only once it is in
    /// its application.
    pub names: Arc<Mutex<HashMap<String, String>>>,
    pub streams: BTreeMap<TrackId, Arc<StreamLease>>,
    /// The making that flows now.
    pub flowing: Option<u32>,
    pub slot: Option<TapSlot>,
    pub listeners: usize,
    /// The policy or somebody wants this call recorded.
    pub record: bool,
    pub recorder: Option<Arc<Mutex<RecorderKeep>>>,
    /// Tracks whose quality was said to be bad.
    pub degraded: Vec<TrackId>,
    pub call_ended: bool,
}
