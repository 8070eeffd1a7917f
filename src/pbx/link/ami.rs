//! One AMI connection as a task: it owns the socket and a session, and hands over facts in batches.
//!
//! Reading never waits for the consumer. What it has not taken yet is held up to `BACKLOG_MAX` facts; beyond
//! that the connection is given up as overrun, and a snapshot after the reconnection tells what was missed.

use crate::config::Deadlines;
use crate::error::PbxError;
use crate::supply::{self, Stream};
use aimg_domain::Clock;
use aimg_domain::pbx::AmiAccess;
use aimg_pbx::ami::session::Unanswered;
use aimg_pbx::ami::{Action, AmiSession, Broken, Output, Response, SessionConfig, fact};
use aimg_pbx::fact::Told;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Batches on their way to the consumer.
const BATCHES_MAX: usize = 64;
/// Facts held for a consumer that is behind: some seconds of the fastest Asterisk.
const BACKLOG_MAX: usize = 65_536;
const COMMANDS_MAX: usize = 256;
/// Bytes we have not been able to send; beyond it actions are refused as `Busy`.
const OUTBOX_MAX: usize = 1024 * 1024;
const READ_PIECE: usize = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub enum AmiEvent {
    FullyBooted { uptime_s: Option<u64> },
    Facts(Vec<Told>),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmiEnd {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("{0}")]
    NotConnected(PbxError),
    #[error("the PBX closed the connection")]
    Closed,
    #[error("connection lost: {0}")]
    Lost(String),
    #[error("overrun: the events came faster than they were taken")]
    Overrun,
    #[error("stopped")]
    Stopped,
}

/// A signed-in connection. Dropping it ends the connection.
#[derive(Debug)]
pub struct AmiConnection {
    pub handle: AmiHandle,
    /// Ends with the connection.
    pub events: mpsc::Receiver<AmiEvent>,
    /// Of the interface, from its greeting: `11.0.0`.
    pub ami_version: String,
    heard_calls: Arc<AtomicBool>,
    task: Task,
    ended: Option<AmiEnd>,
}

impl AmiConnection {
    /// Whether an event of class `call` has come: the account reads them.
    pub fn heard_calls(&self) -> bool {
        self.heard_calls.load(Ordering::Relaxed)
    }

    /// Why it ended; to be asked when `events` has ended.
    pub async fn end(&mut self) -> AmiEnd {
        if let Some(end) = &self.ended {
            return end.clone();
        }
        let end = (&mut self.task.0).await.unwrap_or(AmiEnd::Stopped);
        self.ended.insert(end).clone()
    }
}

#[derive(Debug)]
struct Task(JoinHandle<AmiEnd>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone, Debug)]
pub struct AmiHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
struct Command {
    action: Action,
    deadline: Duration,
    reply: oneshot::Sender<Result<Response, Unanswered>>,
}

impl AmiHandle {
    /// Asterisk's answer, with its list where it answers one, within `deadline`. A `Response: Error` is an error.
    pub async fn action(&self, action: Action, deadline: Duration) -> Result<Response, PbxError> {
        action.check_all()?;
        let what = action.name();
        let (reply, answer) = oneshot::channel();
        let command = Command { action, deadline, reply };
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PbxError::Busy,
            mpsc::error::TrySendError::Closed(_) => PbxError::Unreachable("the connection is over".into()),
        })?;
        let response = match timeout(deadline, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(why))) => return Err(PbxError::from_unanswered(why, what)),
            Ok(Err(_)) => return Err(PbxError::Unreachable("the connection ended before the answer".into())),
            Err(_) => return Err(PbxError::Timeout { what: what.into() }),
        };
        match response.succeeded() {
            true => Ok(response),
            false => Err(PbxError::from_ami_text(&response.refusal())),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.commands.is_closed()
    }
}

/// Connects and signs in. `clock` stamps events without a time of their own.
pub async fn connect(access: &AmiAccess, deadlines: &Deadlines, clock: Arc<dyn Clock>) -> Result<AmiConnection, AmiEnd> {
    let stream = supply::open(&access.host, access.port, access.tls, deadlines.connect)
        .await
        .map_err(AmiEnd::NotConnected)?;
    let config = SessionConfig {
        login_within: deadlines.login,
        ping_every: deadlines.ping_every,
        ping_within: deadlines.ping_within,
        ..SessionConfig::new(&access.username, access.secret.clone())
    };
    let (commands_in, commands) = mpsc::channel(COMMANDS_MAX);
    let (events_in, events) = mpsc::channel(BATCHES_MAX);
    let (logged_in, version) = oneshot::channel();
    let (reader, writer) = tokio::io::split(stream);
    let worker = Worker {
        reader,
        writer,
        session: AmiSession::new(config, Duration::ZERO),
        began: Instant::now(),
        clock,
        commands,
        events: events_in,
        logged_in: Some(logged_in),
        waiting: HashMap::new(),
        next_reply: 0,
        heard_calls: Arc::default(),
        backlog: Backlog::default(),
        outbox: Vec::new(),
    };
    let heard_calls = worker.heard_calls.clone();
    let mut task = Task(tokio::spawn(worker.run()));
    match version.await {
        Ok(ami_version) => Ok(AmiConnection {
            handle: AmiHandle { commands: commands_in },
            events,
            ami_version,
            heard_calls,
            task,
            ended: None,
        }),
        Err(_) => Err((&mut task.0).await.unwrap_or(AmiEnd::Stopped)),
    }
}

/// What the consumer has not taken yet, in order.
#[derive(Debug, Default)]
struct Backlog {
    events: VecDeque<AmiEvent>,
    facts: usize,
}

impl Backlog {
    fn push_fact(&mut self, told: Told) {
        self.facts += 1;
        match self.events.back_mut() {
            Some(AmiEvent::Facts(facts)) => facts.push(told),
            _ => self.events.push_back(AmiEvent::Facts(vec![told])),
        }
    }

    fn pop(&mut self) -> Option<AmiEvent> {
        let event = self.events.pop_front()?;
        if let AmiEvent::Facts(facts) = &event {
            self.facts -= facts.len();
        }
        Some(event)
    }
}

struct Worker {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    session: AmiSession,
    began: Instant,
    clock: Arc<dyn Clock>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<AmiEvent>,
    logged_in: Option<oneshot::Sender<String>>,
    waiting: HashMap<u64, oneshot::Sender<Result<Response, Unanswered>>>,
    next_reply: u64,
    heard_calls: Arc<AtomicBool>,
    backlog: Backlog,
    outbox: Vec<u8>,
}

impl Worker {
    async fn run(mut self) -> AmiEnd {
        let mut piece = vec![0; READ_PIECE];
        loop {
            if let Err(end) = self.settle() {
                // The reason reaches Asterisk where it can: a logoff or the last action.
                let _ = timeout(Duration::from_millis(100), self.writer.write_all(&self.outbox)).await;
                return end;
            }
            if let Err(end) = self.step(&mut piece).await {
                return end;
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for the next thing to happen and takes it in.
    async fn step(&mut self, piece: &mut [u8]) -> Result<(), AmiEnd> {
        let pause = match self.session.next_deadline() {
            Some(deadline) => deadline.saturating_sub(self.now()),
            None => Duration::from_secs(1),
        };
        let has_room = self.outbox.len() < OUTBOX_MAX;
        let mut taken = None;
        tokio::select! {
            read = self.reader.read(piece) => match read {
                Ok(0) => return Err(AmiEnd::Closed),
                Ok(count) => self.session.receive(&piece[..count], self.began.elapsed()),
                Err(error) => return Err(AmiEnd::Lost(error.to_string())),
            },
            written = self.writer.write(&self.outbox), if !self.outbox.is_empty() => match written {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) => return Err(AmiEnd::Lost(error.to_string())),
            },
            command = self.commands.recv(), if has_room => match command {
                Some(command) => taken = Some(command),
                None => return Err(AmiEnd::Stopped),
            },
            permit = self.events.reserve(), if !self.backlog.events.is_empty() => match permit {
                Ok(permit) => {
                    if let Some(event) = self.backlog.pop() {
                        permit.send(event);
                    }
                }
                Err(_) => return Err(AmiEnd::Stopped),
            },
            () = sleep(pause) => self.session.tick(self.began.elapsed()),
        }
        if let Some(command) = taken {
            self.take(command);
        }
        Ok(())
    }

    fn take(&mut self, command: Command) {
        self.next_reply += 1;
        self.waiting.insert(self.next_reply, command.reply);
        let deadline = self.now() + command.deadline;
        self.session.send(&command.action, self.next_reply, deadline);
    }

    /// Performs what the session put out. `Err`: the connection is over.
    fn settle(&mut self) -> Result<(), AmiEnd> {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Write(bytes) => self.outbox.extend_from_slice(&bytes),
                Output::LoggedIn { version } => {
                    if let Some(logged_in) = self.logged_in.take() {
                        let _ = logged_in.send(version);
                    }
                }
                Output::FullyBooted { uptime_s } => self.backlog.events.push_back(AmiEvent::FullyBooted { uptime_s }),
                Output::Event(message) => {
                    if !self.heard_calls.load(Ordering::Relaxed) && message.get("Privilege").is_some_and(|class| class.starts_with("call")) {
                        self.heard_calls.store(true, Ordering::Relaxed);
                    }
                    if let Some(told) = fact::told(&message, self.clock.now()) {
                        self.backlog.push_fact(told);
                    }
                }
                Output::Done { reply, result } => {
                    if let Some(waiting) = self.waiting.remove(&reply) {
                        // Who asked may have left.
                        let _ = waiting.send(result);
                    }
                }
                Output::Broken(why) => return Err(AmiEnd::Broken(why)),
            }
        }
        while !self.backlog.events.is_empty() {
            let Ok(permit) = self.events.try_reserve() else { break };
            if let Some(event) = self.backlog.pop() {
                permit.send(event);
            }
        }
        if self.backlog.facts > BACKLOG_MAX { Err(AmiEnd::Overrun) } else { Ok(()) }
    }
}
