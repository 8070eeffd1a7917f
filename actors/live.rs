//! The calls that live on this node, and how each is reached. Mailboxes are made here, before the actors that
//! read them, so that what is told of a call never waits for a spawn and never gets lost in a restart.

use crate::call_media::CallMediaMessage;
use crate::call_session::CallSessionMessage;
use aimg_actor_kit::{Address, Overflow};
use aimg_domain::{CallId, CallSession, PbxId, PbxLinkId, TenantId};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Facts a call may have waiting: its actor is being restarted, or the store is slow. Beyond it the call is
/// corrected by the next reconciliation.
const SESSION_BOUND: usize = 4096;
const MEDIA_BOUND: usize = 512;

#[derive(Clone)]
pub struct LiveCall {
    pub tenant: TenantId,
    pub pbx: PbxId,
    pub link: PbxLinkId,
    pub session: Address<CallSessionMessage>,
    pub media: Address<CallMediaMessage>,
    /// The session as it is now, for reading without asking; `None` before its first fact.
    pub view: Arc<RwLock<Option<CallSession>>>,
}

#[derive(Clone, Default)]
pub struct LiveCalls {
    calls: Arc<RwLock<HashMap<CallId, LiveCall>>>,
}

impl LiveCalls {
    pub fn open(&self, call: CallId, tenant: TenantId, pbx: PbxId, link: PbxLinkId) -> LiveCall {
        let live = LiveCall {
            tenant,
            pbx,
            link,
            session: Address::prepare(SESSION_BOUND, Overflow::Refuse),
            media: Address::prepare(MEDIA_BOUND, Overflow::Refuse),
            view: Arc::default(),
        };
        self.calls.write().insert(call, live.clone());
        live
    }

    pub fn get(&self, call: CallId) -> Option<LiveCall> {
        self.calls.read().get(&call).cloned()
    }

    /// Another tenant's call is not there.
    pub fn of_tenant(&self, tenant: TenantId, call: CallId) -> Option<LiveCall> {
        self.get(call).filter(|live| live.tenant == tenant)
    }

    pub fn close(&self, call: CallId) {
        if let Some(live) = self.calls.write().remove(&call) {
            live.session.close();
            live.media.close();
        }
    }

    pub fn all_of_tenant(&self, tenant: TenantId) -> Vec<(CallId, LiveCall)> {
        self.matching(|live| live.tenant == tenant)
    }

    pub fn all_of_pbx(&self, pbx: PbxId) -> Vec<(CallId, LiveCall)> {
        self.matching(|live| live.pbx == pbx)
    }

    fn matching(&self, wanted: impl Fn(&LiveCall) -> bool) -> Vec<(CallId, LiveCall)> {
        let calls = self.calls.read();
        calls.iter().filter(|(_, live)| wanted(live)).map(|(id, live)| (*id, live.clone())).collect()
    }

    pub fn count(&self) -> usize {
        self.calls.read().len()
    }
}
