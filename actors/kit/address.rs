//! How an actor is reached. Typed handles are built on this; it stays valid over restarts.

use crate::queue::{Overflow, Queue, Refused};
use crate::shell::Packet;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::oneshot;

pub struct Address<M> {
    pub(crate) queue: Arc<Queue<M>>,
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Address { queue: self.queue.clone() }
    }
}

/// Where an answer goes. Dropped without an answer, the asker is told at once.
pub struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    /// For questions that are asked without waiting in place.
    pub fn pair() -> (Reply<T>, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Reply(sender), receiver)
    }

    pub fn send(self, answer: T) {
        // An asker whose deadline passed no longer listens.
        let _ = self.0.send(answer);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    #[error("mailbox full")]
    Full,
    #[error("gone")]
    Gone,
    /// It dropped the question: it crashed while it was answering.
    #[error("no answer")]
    Dropped,
    #[error("no answer in time")]
    Timeout,
}

impl<M: Send + 'static> Address<M> {
    /// A mailbox whose actor comes later: see `Context::spawn_with`.
    pub fn prepare(bound: usize, overflow: Overflow) -> Address<M> {
        Address {
            queue: Arc::new(Queue::new(bound, overflow)),
        }
    }

    /// No more messages; what waits is dropped, and with it the reply ports inside.
    pub fn close(&self) {
        self.queue.close();
    }

    pub fn cast(&self, message: M) -> Result<(), Refused> {
        self.queue.push(message)
    }

    /// Asks and waits at most `deadline`.
    pub async fn call<T: Send>(&self, make: impl FnOnce(Reply<T>) -> M, deadline: Duration) -> Result<T, CallError> {
        let (sender, receiver) = oneshot::channel();
        self.queue.push(make(Reply(sender))).map_err(|refused| match refused {
            Refused::Full => CallError::Full,
            Refused::Gone => CallError::Gone,
        })?;
        match tokio::time::timeout(deadline, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CallError::Dropped),
            Err(_) => Err(CallError::Timeout),
        }
    }

    /// Sends `message` after `delay`. A message to an actor that is gone by then is dropped.
    pub fn cast_after(&self, message: M, delay: Duration) -> tokio::task::AbortHandle {
        let address = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = address.cast(message);
        })
        .abort_handle()
    }

    /// Finishes what is being handled, stops the children, then the actor. What waits is dropped.
    pub fn stop(&self) {
        match self.queue.runner() {
            Some(runner) => {
                let _ = runner.cast(Packet::Stop);
            }
            None => self.queue.close(),
        }
    }

    pub fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }
}
