//! Running, frozen (a process under STOP: sockets open, nothing read or written) or dead. Every socket of ours goes through it.

use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Running,
    Frozen,
    Dead,
}

pub(crate) struct Gate {
    state: watch::Sender<Run>,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::new(Run::Running),
            waiting: Mutex::default(),
        })
    }

    pub(crate) fn run(&self) -> Run {
        *self.state.borrow()
    }

    pub(crate) fn set(&self, run: Run) {
        self.state.send_modify(|state| {
            // Death is for ever.
            if *state != Run::Dead {
                *state = run;
            }
        });
        for waker in std::mem::take(&mut *self.waiting.lock()) {
            waker.wake();
        }
    }

    /// Until `wanted` or death.
    pub(crate) async fn until(&self, wanted: Run) {
        let mut state = self.state.subscribe();
        // Only fails when the gate is gone, which is as good as death.
        let _ = state.wait_for(|state| *state == wanted || *state == Run::Dead).await;
    }

    fn park(&self, context: &Context<'_>) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
    }

    fn closed(&self, context: &Context<'_>) -> Option<Poll<io::Error>> {
        if self.run() == Run::Frozen {
            self.park(context);
        }
        // Looked at again after parking: a change in between must not be slept through.
        match self.run() {
            Run::Running => None,
            Run::Frozen => Some(Poll::Pending),
            Run::Dead => Some(Poll::Ready(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

/// A stream behind a gate.
pub(crate) struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Gated<S> {
    pub(crate) fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.gate.closed(context) {
            Some(closed) => closed.map(Err),
            None => Pin::new(&mut self.inner).poll_read(context, buffer),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.gate.closed(context) {
            Some(closed) => closed.map(Err),
            None => Pin::new(&mut self.inner).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.gate.closed(context) {
            Some(closed) => closed.map(Err),
            None => Pin::new(&mut self.inner).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
