//! `ConnectionSupervisor`: every websocket of this node, each with a `Connection` of its own.

mod actor;
mod audio;
mod machine;
mod reader;
mod subscribe;

pub use actor::ConnectionMessage;

use crate::platform::{ListenPurpose, LiveAudio, NewConnection};
use crate::relay::EventRelay;
use actor::{Connection, Opening};
use aimg_actor_kit::{ActorError, Address, ChildGone, Context, Dispatch, Reply, Restart};
use aimg_domain::{CallId, Caller, Clock, Fault, UserId};
use aimg_fanout::{LaneSocket, Lanes};
use aimg_store::journal::Journal;
use aimg_wire::close::CloseCode;
use aimg_wire::request::Asked;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where live audio comes from: the tree.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    async fn listen(&self, call: CallId, asked: Asked<ListenPurpose>) -> Result<LiveAudio, Fault>;
}

#[derive(Clone)]
pub struct ConnectionDeps {
    pub lanes: Arc<Lanes>,
    pub relay: EventRelay,
    pub journal: Arc<dyn Journal>,
    pub listener: Arc<dyn Listener>,
    pub clock: Arc<dyn Clock>,
    pub limits: ConnectionLimits,
}

#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    pub connections: usize,
    pub connections_per_user: usize,
    pub subscriptions: usize,
    /// A connection that was quiet for so long is pinged, and closed after as long again without a sign of life.
    pub ping_after: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            connections: 50_000,
            connections_per_user: 1000,
            subscriptions: 256,
            ping_after: Duration::from_secs(20),
        }
    }
}

pub enum ConnectionSupervisorMessage {
    Accept(Box<NewConnection>),
    /// What a user may do has changed; `None`: nothing any more. Answered, with how many connections that were, when every lane has
    /// confirmed: from then on nothing is sent that is not allowed now.
    PolicyChanged {
        user: UserId,
        caller: Option<Caller>,
        done: Reply<usize>,
    },
    /// The node is about to go: clients are told to connect elsewhere.
    Drain,
}

/// How long all connections of a user may take to confirm.
const CONFIRM: Duration = Duration::from_secs(10);

struct Open {
    user: UserId,
    address: Address<ConnectionMessage>,
    /// To end it past a mailbox that does not answer.
    socket: Weak<LaneSocket>,
}

pub struct ConnectionSupervisor {
    deps: ConnectionDeps,
    /// By the child's subject.
    open: HashMap<String, Open>,
    per_user: HashMap<UserId, usize>,
    draining: bool,
}

impl ConnectionSupervisor {
    pub fn new(deps: ConnectionDeps) -> ConnectionSupervisor {
        ConnectionSupervisor {
            deps,
            open: HashMap::new(),
            per_user: HashMap::new(),
            draining: false,
        }
    }

    async fn accept(&mut self, connection: NewConnection, context: &mut Context<Self>) -> Result<(), ActorError> {
        let user = connection.caller.user;
        let limits = self.deps.limits;
        let refusal = if self.draining {
            Some(CloseCode::Draining)
        } else if self.open.len() >= limits.connections || self.per_user.get(&user).is_some_and(|open| *open >= limits.connections_per_user) {
            Some(CloseCode::Limit)
        } else {
            None
        };
        if let Some(code) = refusal {
            metrics::counter!("aimg_connections_refused_total").increment(1);
            reader::refuse(&self.deps.lanes, connection.stream, code);
            return Ok(());
        }
        let opening = Opening::new(&self.deps, connection);
        let subject = opening.subject();
        let socket = Arc::downgrade(&opening.socket);
        // Not restarted: a failure ends the socket and the client resumes. So it is made once.
        let opening = Arc::new(Mutex::new(Some(opening)));
        let make = move |address| {
            let opening = opening.lock().take();
            async move {
                opening
                    .map(|opening| Connection::open(opening, address))
                    .ok_or_else(|| ActorError::new("a connection is made once"))
            }
        };
        let address = context.spawn::<Connection, _, _>(subject.clone(), Restart::Never, make).await?;
        self.open.insert(subject, Open { user, address, socket });
        *self.per_user.entry(user).or_default() += 1;
        metrics::gauge!("aimg_connections").set(self.open.len() as f64);
        Ok(())
    }

    fn change_policy(&self, user: UserId, caller: Option<&Caller>, done: Reply<usize>) {
        let concerned: Vec<_> = self
            .open
            .values()
            .filter(|open| open.user == user)
            .map(|open| (open.address.clone(), open.socket.clone()))
            .collect();
        let caller = caller.cloned();
        tokio::spawn(async move {
            let asked = concerned.iter().map(|(connection, _)| {
                let caller = caller.clone();
                connection.call(|done| ConnectionMessage::Policy { caller, done }, CONFIRM)
            });
            let answers = futures_util::future::join_all(asked).await;
            for ((connection, socket), answer) in concerned.iter().zip(&answers) {
                if answer.is_err()
                    && let Some(socket) = socket.upgrade()
                {
                    socket.close(CloseCode::Auth, CloseCode::Auth.reason());
                    socket.set_policy(u64::MAX, Vec::new()).await;
                    connection.stop();
                }
            }
            done.send(answers.len());
        });
    }
}

impl Dispatch for ConnectionSupervisor {
    type Message = ConnectionSupervisorMessage;
    const KIND: &'static str = "connections";
    const BOUND: usize = 4096;

    async fn handle(&mut self, message: ConnectionSupervisorMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            ConnectionSupervisorMessage::Accept(connection) => return self.accept(*connection, context).await,
            ConnectionSupervisorMessage::PolicyChanged { user, caller, done } => self.change_policy(user, caller.as_ref(), done),
            ConnectionSupervisorMessage::Drain => {
                self.draining = true;
                for open in self.open.values() {
                    // A mailbox that takes nothing is of a connection that is being closed anyhow.
                    let _ = open.address.cast(ConnectionMessage::Close(CloseCode::Draining));
                }
            }
        }
        Ok(())
    }

    async fn child_gone(&mut self, gone: ChildGone, _: &mut Context<Self>) -> Result<(), ActorError> {
        if let Some(Open { user, .. }) = self.open.remove(&gone.subject)
            && let Some(open) = self.per_user.get_mut(&user)
        {
            *open -= 1;
            if *open == 0 {
                self.per_user.remove(&user);
            }
        }
        metrics::gauge!("aimg_connections").set(self.open.len() as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
