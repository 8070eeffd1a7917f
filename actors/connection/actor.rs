//! `Connection`: a websocket's life: its reading, its subscriptions, its rights. What it writes goes through its lane.

use super::audio::{self, AudioTask};
use super::machine::{Machine, PolicyChange, Tick};
use super::reader::{Reader, Reading};
use super::{ConnectionDeps, ConnectionLimits};
use crate::platform::{ConnectionPurpose, NewConnection};
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply};
use aimg_domain::{CallId, Caller, Fault};
use aimg_fanout::{Attachment, LaneEvent, LaneSocket};
use aimg_wire::close::CloseCode;
use aimg_wire::ws::command::{Command, CommandBody, Refusal};
use aimg_wire::ws::{frame, push, reply};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

pub enum ConnectionMessage {
    /// The permit lets the reader go on when the command is done.
    Command(Result<Command, Refusal>, OwnedSemaphorePermit),
    /// Nothing more comes: `None` when the socket broke, else what to close with.
    ReadEnded(Option<CloseCode>),
    Lane(LaneEvent),
    Policy {
        caller: Option<Caller>,
        done: Reply<()>,
    },
    Close(CloseCode),
    /// The call is over, or its audio went away.
    AudioEnded,
    Tick,
}

/// All that a connection is made of, before it is an actor.
pub struct Opening {
    pub deps: ConnectionDeps,
    pub stream: Arc<TcpStream>,
    pub socket: Arc<LaneSocket>,
    pub leftover: Bytes,
    pub caller: Caller,
    pub purpose: ConnectionPurpose,
    pub expires_at: Option<Duration>,
    /// The edge's count of open sockets.
    slot: Option<Arc<dyn Send + Sync>>,
    /// Where the lane's events go once there is a mailbox.
    mailbox: Arc<OnceLock<Address<ConnectionMessage>>>,
    early: Arc<Mutex<Vec<LaneEvent>>>,
}

impl Opening {
    pub fn new(deps: &ConnectionDeps, connection: NewConnection) -> Opening {
        let NewConnection {
            stream,
            leftover,
            caller,
            purpose,
            expires_in_ms,
            slot,
            ..
        } = connection;
        let stream = Arc::new(stream);
        let mailbox: Arc<OnceLock<Address<ConnectionMessage>>> = Arc::default();
        let early: Arc<Mutex<Vec<LaneEvent>>> = Arc::default();
        let (to, waiting) = (mailbox.clone(), early.clone());
        let listener = move |event| {
            let mut waiting = waiting.lock();
            match to.get() {
                Some(address) => {
                    // Refused only by a connection that is about to end.
                    let _ = address.cast(ConnectionMessage::Lane(event));
                }
                None => waiting.push(event),
            }
        };
        let socket = Arc::new(deps.lanes.register(stream.clone(), Arc::new(listener)));
        let expires_at = expires_in_ms.map(|ms| deps.clock.monotonic() + Duration::from_millis(ms));
        Opening {
            deps: deps.clone(),
            stream,
            socket,
            leftover,
            caller,
            purpose,
            expires_at,
            slot,
            mailbox,
            early,
        }
    }

    pub fn subject(&self) -> String {
        self.socket.id().to_string()
    }
}

pub struct Connection {
    pub(super) deps: ConnectionDeps,
    pub(super) socket: Arc<LaneSocket>,
    pub(super) machine: Machine<Attachment>,
    reading: Arc<Reading>,
    audio: Option<AudioTask>,
    /// Whose audio to begin with.
    listen_to: Option<CallId>,
    _slot: Option<Arc<dyn Send + Sync>>,
}

impl Connection {
    pub fn open(opening: Opening, address: Address<ConnectionMessage>) -> Connection {
        let Opening {
            deps,
            stream,
            socket,
            leftover,
            caller,
            purpose,
            expires_at,
            slot,
            mailbox,
            early,
        } = opening;
        {
            let mut early = early.lock();
            let _ = mailbox.set(address.clone());
            for event in early.drain(..) {
                // A mailbox just made has room for them.
                let _ = address.cast(ConnectionMessage::Lane(event));
            }
        }
        let listen_to = match purpose {
            ConnectionPurpose::Topics => None,
            ConnectionPurpose::Audio { call, .. } => Some(call),
        };
        let foreign = matches!(purpose, ConnectionPurpose::Audio { tenant, .. } if tenant != caller.tenant);
        let reading = Reading::new(deps.clock.monotonic());
        let reader = Reader {
            stream,
            socket: socket.clone(),
            address,
            clock: deps.clock.clone(),
            reading: reading.clone(),
        };
        tokio::spawn(reader.run(leftover));
        if foreign {
            socket.close(CloseCode::Permission, "this call is of another tenant than the one you act in");
        }
        let ConnectionLimits { subscriptions, ping_after, .. } = deps.limits;
        let machine = Machine::new(caller, listen_to.is_some(), subscriptions, ping_after, expires_at);
        Connection {
            deps,
            socket,
            machine,
            reading,
            audio: None,
            listen_to: listen_to.filter(|_| !foreign),
            _slot: slot,
        }
    }

    async fn command(&mut self, command: Result<Command, Refusal>) {
        let Command { id, body } = match command {
            Ok(command) => command,
            Err(Refusal { id, fault }) => return self.socket.send(reply::error(&id, &fault)),
        };
        let outcome = match body {
            CommandBody::Ping => {
                self.socket.send(reply::pong(&id));
                Ok(())
            }
            CommandBody::Subscribe(ask) => self.subscribe(&id, ask).await,
            CommandBody::History(ask) => self.history(&id, ask).await,
            CommandBody::Unsubscribe { topic } => self.machine.unsubscribe(&topic).map(|(topic, attachment)| {
                self.socket.detach(attachment, Some(reply::unsubscribed(&id, &topic)));
            }),
        };
        if let Err(fault) = outcome {
            self.socket.send(reply::error(&id, &fault));
        }
    }

    async fn change_policy(&mut self, caller: Option<Caller>) {
        match self.machine.change_policy(caller) {
            PolicyChange::Close(code) => {
                self.audio = None;
                self.socket.close(code, code.reason());
                // The lane has taken the close when it answers this.
                self.socket.set_policy(self.machine.policy() + 1, Vec::new()).await;
            }
            PolicyChange::Revoke { version, topics } => {
                self.socket.set_policy(version, topics.clone()).await;
                for topic in topics {
                    self.socket.send(push::unsubscribed(&topic, "forbidden", "you may not read this any more"));
                }
            }
        }
    }

    fn tick(&mut self, context: &Context<Self>) {
        let (now, heard) = (self.deps.clock.monotonic(), self.reading.heard());
        match self.machine.tick(now, heard) {
            Tick::Nothing => {}
            Tick::Ping => self.socket.send(frame::ping(b"")),
            Tick::Close(code) => return self.close(code, code.reason()),
        }
        context.remind(ConnectionMessage::Tick, self.machine.next_tick(now, heard));
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        self.audio = None;
        self.socket.close(code, reason);
    }

    async fn begin_audio(&mut self, call: CallId, context: &Context<Self>) {
        match audio::begin(&self.deps, &self.socket, self.machine.caller(), call, context.address().clone()).await {
            Ok(task) => self.audio = Some(task),
            Err(fault @ Fault::Forbidden { .. }) => self.close(CloseCode::Permission, &fault.to_string()),
            Err(fault) => self.close(CloseCode::NotAvailable, &fault.to_string()),
        }
    }
}

impl Dispatch for Connection {
    type Message = ConnectionMessage;
    const KIND: &'static str = "connection";
    const BOUND: usize = 64;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let (now, heard) = (self.deps.clock.monotonic(), self.reading.heard());
        context.remind(ConnectionMessage::Tick, self.machine.next_tick(now, heard));
        if let Some(call) = self.listen_to.take() {
            Box::pin(self.begin_audio(call, context)).await;
        }
        Ok(())
    }

    async fn handle(&mut self, message: ConnectionMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            // Boxed: reading history is large, and an idle connection should not carry the room for it.
            ConnectionMessage::Command(command, permit) => {
                Box::pin(self.command(command)).await;
                drop(permit);
            }
            ConnectionMessage::ReadEnded(None) => context.stop(),
            ConnectionMessage::ReadEnded(Some(code)) | ConnectionMessage::Close(code) => self.close(code, code.reason()),
            ConnectionMessage::Lane(LaneEvent::Closed { .. }) => context.stop(),
            ConnectionMessage::Lane(LaneEvent::Lost { topics }) => self.machine.lost(&topics),
            ConnectionMessage::Policy { caller, done } => {
                Box::pin(self.change_policy(caller)).await;
                done.send(());
            }
            ConnectionMessage::AudioEnded => {
                // Behind the last of the audio.
                self.socket.send_loose(frame::text(&aimg_wire::audio::ended()).to_vec(), usize::MAX, 0);
                self.close(CloseCode::Done, "the call has ended");
            }
            ConnectionMessage::Tick => self.tick(context),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.socket.close(CloseCode::Draining, CloseCode::Draining.reason());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A crash: whatever was said before stays the last word.
        self.socket.close(CloseCode::Internal, CloseCode::Internal.reason());
        self.reading.end();
    }
}
