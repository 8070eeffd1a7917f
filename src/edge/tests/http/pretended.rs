//! A tree that answers what a test tells it to, and remembers what it was asked.

use aimg_actors::platform::{ListenPurpose, LiveAudio, NewConnection, Platform, Readiness, ReadinessCheck};
use aimg_domain::actor::{ActorCounters, ActorInfo, ActorState};
use aimg_domain::pbx::{PbxState, PbxStatus, PbxTest, PbxTestStep};
use aimg_domain::{CallId, CallSession, Caller, Fault, PbxId, Timestamp, UserId};
use aimg_wire::request::{Asked, CallAction, CallDetail, CallReply, CallRequest, TenantReply, TenantRequest};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::mpsc;

/// Which requests are refused, and with what.
pub type Refusal = (fn(&TenantRequest) -> bool, Fault);

pub struct Pretended {
    pub asked: Mutex<Vec<Asked<TenantRequest>>>,
    pub acted: Mutex<Vec<(CallId, CallAction)>>,
    pub live: Mutex<HashMap<CallId, CallSession>>,
    pub statuses: Mutex<HashMap<PbxId, PbxStatus>>,
    pub refuse: Mutex<Option<Refusal>>,
    pub act_fault: Mutex<Option<Fault>>,
    pub cut_off: Mutex<Vec<UserId>>,
    pub ready: Mutex<bool>,
    pub restarted: Mutex<Vec<(String, String)>>,
    pub originated: CallId,
    connections: mpsc::UnboundedSender<NewConnection>,
}

impl Pretended {
    pub fn new() -> (Pretended, mpsc::UnboundedReceiver<NewConnection>) {
        let (connections, taken) = mpsc::unbounded_channel();
        let tree = Pretended {
            asked: Mutex::default(),
            acted: Mutex::default(),
            live: Mutex::default(),
            statuses: Mutex::default(),
            refuse: Mutex::default(),
            act_fault: Mutex::default(),
            cut_off: Mutex::default(),
            ready: Mutex::new(true),
            restarted: Mutex::default(),
            originated: CallId(uuid::Uuid::now_v7()),
            connections,
        };
        (tree, taken)
    }

    fn detail(session: CallSession) -> Box<CallDetail> {
        Box::new(CallDetail {
            session,
            actions: vec![("hangup".into(), None), ("hold".into(), Some("a plain dialplan call".into()))],
        })
    }
}

pub fn attached() -> PbxStatus {
    PbxStatus {
        state: PbxState::Attached,
        since: Timestamp(1_800_000_000_000),
        reason: None,
        version: Some("22.1.0".into()),
        booted_at: Some(Timestamp(1_790_000_000_000)),
        last_gap: None,
    }
}

#[async_trait]
impl Platform for Pretended {
    async fn tenant(&self, asked: Asked<TenantRequest>) -> Result<TenantReply, Fault> {
        self.asked.lock().push(asked.clone());
        if let Some((which, fault)) = &*self.refuse.lock()
            && which(&asked.body)
        {
            return Err(fault.clone());
        }
        Ok(match asked.body {
            TenantRequest::PbxStatuses => TenantReply::Statuses(self.statuses.lock().iter().map(|(id, status)| (*id, status.clone())).collect()),
            TenantRequest::TestPbx { access } => TenantReply::Tested(PbxTest {
                ok: false,
                version: None,
                steps: vec![PbxTestStep {
                    step: "ami.connect".into(),
                    ok: false,
                    detail: format!("nothing listens at {}:{}", access.ami.host, access.ami.port),
                }],
            }),
            TenantRequest::Originate(_) => TenantReply::Originated(self.originated),
            TenantRequest::ActiveCalls => {
                let live = self.live.lock();
                TenantReply::Calls(live.values().filter(|session| session.tenant_id == asked.tenant).cloned().collect())
            }
            _ => TenantReply::Done,
        })
    }

    async fn call(&self, call: CallId, asked: Asked<CallRequest>) -> Result<CallReply, Fault> {
        let found = self.live.lock().get(&call).filter(|session| session.tenant_id == asked.tenant).cloned();
        let session = found.ok_or_else(|| Fault::not_found("call"))?;
        if let CallRequest::Act(action) = asked.body {
            if let Some(fault) = self.act_fault.lock().clone() {
                return Err(fault);
            }
            self.acted.lock().push((call, action));
            return Ok(CallReply::Done {
                call: Pretended::detail(session),
                recording: None,
            });
        }
        Ok(CallReply::Call(Pretended::detail(session)))
    }

    async fn listen(&self, _: CallId, _: Asked<ListenPurpose>) -> Result<LiveAudio, Fault> {
        Err(Fault::not_possible("nothing is heard here"))
    }

    async fn connect(&self, connection: NewConnection) -> Result<(), Fault> {
        self.connections.send(connection).map_err(|_| Fault::unavailable("the test"))
    }

    async fn policy_changed(&self, user: UserId, caller: Option<Caller>) -> Result<(), Fault> {
        assert!(caller.is_none(), "tokens ended: nothing may go on");
        self.cut_off.lock().push(user);
        Ok(())
    }

    fn tree(&self) -> Vec<ActorInfo> {
        ["node:root", "pbx:1", "call:1"]
            .into_iter()
            .map(|id| ActorInfo {
                id: id.into(),
                kind: id.split(':').next().unwrap().into(),
                subject: id.split(':').nth(1).unwrap().into(),
                parent: (id != "node:root").then(|| "node:root".into()),
                since: Timestamp(0),
                state: ActorState::Running,
                messages: ActorCounters::default(),
                depth: 0,
                depth_max: 1,
                bound: 64,
                overflow: "refuse".into(),
                restarts: Vec::new(),
                note: None,
            })
            .collect()
    }

    fn restart_actor(&self, id: &str, by: &Caller) -> Result<(), Fault> {
        assert!(id != "node:root", "a part of the tree that panics");
        if !self.tree().iter().any(|actor| actor.id == id) {
            return Err(Fault::not_found("actor"));
        }
        self.restarted.lock().push((id.into(), by.email.clone()));
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        let ready = *self.ready.lock();
        Readiness {
            ready,
            missing: if ready { Vec::new() } else { vec!["the store is down".into()] },
            checks: vec![ReadinessCheck {
                name: "store".into(),
                ok: ready,
                detail: "embedded".into(),
            }],
        }
    }
}
