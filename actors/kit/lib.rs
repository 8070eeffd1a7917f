//! Our own way of running actors on ractor: bounded mailboxes that outlive a crash, counters, a registry that
//! can be shown, and written-out supervision.
//!
//! ractor gives processes, links and panics caught; its mailboxes are unbounded and it restarts nothing. Here a
//! message lies in a queue of ours and ractor only carries the wake-up, so a bound can be kept and what waited
//! is still there after a restart. This crate must never know what the actors are about.

mod address;
mod children;
mod context;
mod queue;
mod shell;
mod tree;

pub use address::{Address, CallError, Reply};
pub use children::{Budget, Exhausted, Restart};
pub use context::{Context, Root};
pub use queue::{Overflow, Refused};
pub use tree::Tree;

use std::fmt;
use std::future::Future;

/// An actor: only dispatch. Decisions live in the pure state machine it holds.
pub trait Dispatch: Send + Sized + 'static {
    type Message: Send + 'static;

    /// As shown in the tree; the public id is `KIND:subject`.
    const KIND: &'static str;
    /// Most messages that may wait.
    const BOUND: usize = 1024;
    const OVERFLOW: Overflow = Overflow::Refuse;

    /// Runs once after each (re)start, before any message: children are spawned here.
    fn started(&mut self, context: &mut Context<Self>) -> impl Future<Output = Result<(), ActorError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    fn handle(&mut self, message: Self::Message, context: &mut Context<Self>) -> impl Future<Output = Result<(), ActorError>> + Send;

    /// A child is gone for good: it finished, or its budget is spent.
    fn child_gone(&mut self, gone: ChildGone, context: &mut Context<Self>) -> impl Future<Output = Result<(), ActorError>> + Send {
        let _ = (gone, context);
        async { Ok(()) }
    }

    /// Runs before an orderly stop, after the children have stopped. Not after a crash: what must always happen
    /// belongs in `Drop`.
    fn stopping(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

#[derive(Clone, Debug)]
pub struct ChildGone {
    /// `kind:subject`
    pub id: String,
    pub kind: &'static str,
    pub subject: String,
    /// `None`: it finished by itself. Otherwise the last failure.
    pub cause: Option<String>,
    /// Left down with its budget spent.
    pub degraded: bool,
}

/// Why an actor gave up: it is restarted by its supervisor's rules.
#[derive(Debug)]
pub struct ActorError(pub String);

impl ActorError {
    pub fn new(cause: impl Into<String>) -> ActorError {
        ActorError(cause.into())
    }
}

impl fmt::Display for ActorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ActorError {}

#[cfg(test)]
mod tests;
