//! From the directory's outputs to the actors they concern. Held by whoever feeds a directory.

use crate::call_session::CallSessionMessage;
use crate::call_supervisor::{Begin, CallSupervisorMessage};
use crate::calls::directory::{CallDirectory, DirectoryOutput};
use crate::live::LiveCalls;
use aimg_actor_kit::{Address, Refused};
use aimg_domain::{CallId, TenantId};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;

/// A pbx's directory: owned by the Shard, lent to the PbxConnection and the PbxLinks.
pub type SharedDirectory = Arc<Mutex<CallDirectory>>;

#[derive(Clone)]
pub struct Router {
    live: LiveCalls,
    supervisors: Arc<RwLock<HashMap<TenantId, Address<CallSupervisorMessage>>>>,
}

impl Router {
    pub fn new(live: LiveCalls) -> Router {
        Router {
            live,
            supervisors: Arc::default(),
        }
    }

    pub fn serve_tenant(&self, tenant: TenantId, supervisor: Address<CallSupervisorMessage>) {
        self.supervisors.write().insert(tenant, supervisor);
    }

    /// Changes the directory and delivers what follows, in one step: outputs of two callers never cross.
    pub fn with<T>(&self, directory: &SharedDirectory, change: impl FnOnce(&mut CallDirectory) -> (T, Vec<DirectoryOutput>)) -> T {
        let mut locked = directory.lock();
        let (result, outputs) = change(&mut locked);
        for output in outputs {
            self.deliver(output);
        }
        result
    }

    pub fn apply(&self, directory: &SharedDirectory, change: impl FnOnce(&mut CallDirectory) -> Vec<DirectoryOutput>) {
        self.with(directory, |directory| ((), change(directory)));
    }

    fn deliver(&self, output: DirectoryOutput) {
        let call = output.session();
        match output {
            DirectoryOutput::Opened(opened) => {
                let live = self.live.open(call, opened.tenant, opened.pbx, opened.link);
                self.begin(opened.tenant, call, Begin::Opened { opened, live });
            }
            DirectoryOutput::Closed { why, .. } => self.tell(call, CallSessionMessage::Closed(why)),
            DirectoryOutput::Told { told, .. } => self.tell(call, CallSessionMessage::Told(told)),
            DirectoryOutput::Withdrawn { uniqueid, .. } => self.tell(call, CallSessionMessage::Withdrawn { uniqueid }),
            DirectoryOutput::Merged { from, into } => {
                self.tell(into, CallSessionMessage::MergedFrom(from));
                self.tell(from, CallSessionMessage::MergedInto(into));
            }
            DirectoryOutput::Blind { since, .. } => self.tell(call, CallSessionMessage::Blind { since }),
            DirectoryOutput::Reconciled { part, .. } => self.tell(call, CallSessionMessage::Reconciled(part)),
        }
    }

    /// A stored call goes on.
    pub fn restore(&self, tenant: TenantId, call: CallId, begin: Begin) {
        self.begin(tenant, call, begin);
    }

    fn begin(&self, tenant: TenantId, call: CallId, begin: Begin) {
        let supervisor = self.supervisors.read().get(&tenant).cloned();
        let refused = match supervisor {
            Some(supervisor) => supervisor.cast(CallSupervisorMessage::Begin(Box::new(begin))),
            None => Err(Refused::Gone),
        };
        if let Err(refused) = refused {
            metrics::counter!("aimg_calls_refused_total").increment(1);
            tracing::error!(%tenant, %call, ?refused, "a call finds no supervisor");
            self.live.close(call);
        }
    }

    fn tell(&self, call: CallId, message: CallSessionMessage) {
        let Some(live) = self.live.get(call) else { return };
        if live.session.cast(message) == Err(Refused::Full) {
            metrics::counter!("aimg_call_facts_dropped_total").increment(1);
        }
    }
}
