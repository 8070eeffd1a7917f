//! What an actor may do besides handling: spawn, stop, remind itself, say how it is.

use crate::children::{Child, ChildGuard, Children, Restart, closer};
use crate::queue::Queue;
use crate::shell::{Attachment, Begin, Make, Shell, stop_all};
use crate::tree::{Changing, Entry, Tree};
use crate::{ActorError, Address, Dispatch};
use aimg_domain::actor::ActorState;
use parking_lot::Mutex;
use ractor::{Actor, ActorCell};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub struct Context<D: Dispatch> {
    pub(crate) cell: ActorCell,
    pub(crate) address: Address<D::Message>,
    pub(crate) tree: Tree,
    pub(crate) entry: Arc<Entry>,
    pub(crate) children: Children,
    pub(crate) attachment: Attachment<D::Message>,
    pub(crate) stopping: bool,
}

impl<D: Dispatch> Context<D> {
    /// My own address.
    pub fn address(&self) -> &Address<D::Message> {
        &self.address
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How often I was restarted so far.
    pub fn restarted(&self) -> bool {
        !self.entry.changing.lock().restarts.is_empty()
    }

    /// One word on how I am, shown in the tree.
    pub fn note(&self, note: impl Into<String>) {
        self.entry.changing.lock().note = Some(note.into());
    }

    /// Stop me after this message.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub fn remind(&self, message: D::Message, delay: Duration) -> tokio::task::AbortHandle {
        self.address.cast_after(message, delay)
    }

    /// A linked child. `make` builds it at its start and at each restart; the address stays the same.
    pub async fn spawn<C, F, Fut>(&mut self, subject: impl Into<String>, restart: Restart, make: F) -> Result<Address<C::Message>, ActorError>
    where
        C: Dispatch,
        F: Fn(Address<C::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, ActorError>> + Send + 'static,
    {
        let mailbox = Address::prepare(C::BOUND, C::OVERFLOW);
        let close = closer(mailbox.queue.clone());
        self.spawn_from(mailbox, close, subject.into(), restart, make).await
    }

    /// Like [`Context::spawn`], for a mailbox that others may have written to already. It is closed by whoever
    /// prepared it (`Address::close`), not with me: it can outlive a crash of mine.
    pub async fn spawn_with<C, F, Fut>(
        &mut self,
        mailbox: Address<C::Message>,
        subject: impl Into<String>,
        restart: Restart,
        make: F,
    ) -> Result<Address<C::Message>, ActorError>
    where
        C: Dispatch,
        F: Fn(Address<C::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, ActorError>> + Send + 'static,
    {
        self.spawn_from(mailbox, Box::new(|| ()), subject.into(), restart, make).await
    }

    async fn spawn_from<C, F, Fut>(
        &mut self,
        mailbox: Address<C::Message>,
        close: Box<dyn Fn() + Send + Sync>,
        subject: String,
        restart: Restart,
        make: F,
    ) -> Result<Address<C::Message>, ActorError>
    where
        C: Dispatch,
        F: Fn(Address<C::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, ActorError>> + Send + 'static,
    {
        let make: Make<C> = Arc::new(move |address| Box::pin(make(address)));
        let parent = Some(self.entry.id());
        let prepared = Prepared::<C>::new(&self.tree, mailbox.queue, close, subject, parent, make);
        let respawn = prepared.respawn();
        let cell = respawn(self.cell.clone()).await.map_err(ActorError)?;
        let address = Address { queue: prepared.queue.clone() };
        let child = Child {
            entry: prepared.entry,
            restart,
            respawn,
            times: VecDeque::new(),
            guard: prepared.guard,
        };
        self.children.running.insert(cell.get_id(), child);
        Ok(address)
    }

    /// Stops the children in an orderly way and waits for them.
    pub async fn stop_children(&mut self) {
        self.stopping = true;
        stop_all(&self.cell, &mut self.children).await;
    }
}

struct Prepared<C: Dispatch> {
    queue: Arc<Queue<C::Message>>,
    entry: Arc<Entry>,
    guard: ChildGuard,
    make: Make<C>,
    tree: Tree,
}

impl<C: Dispatch> Prepared<C> {
    fn new(
        tree: &Tree,
        queue: Arc<Queue<C::Message>>,
        close: Box<dyn Fn() + Send + Sync>,
        subject: String,
        parent: Option<String>,
        make: Make<C>,
    ) -> Prepared<C> {
        let changing = Changing {
            since: tree.now(),
            state: ActorState::Starting,
            restarts: VecDeque::new(),
            note: None,
            runner: None,
            ordered: None,
        };
        let entry = tree.register(Entry {
            kind: C::KIND,
            subject,
            parent,
            counters: queue.counters.clone(),
            bound: queue.bound(),
            overflow: queue.overflow(),
            changing: Mutex::new(changing),
        });
        let guard = ChildGuard {
            tree: tree.clone(),
            entry: entry.clone(),
            close,
        };
        Prepared {
            queue,
            entry,
            guard,
            make,
            tree: tree.clone(),
        }
    }

    fn begin(&self) -> impl Fn() -> Begin<C> + Send + Sync + 'static {
        let (make, queue, entry, tree) = (self.make.clone(), self.queue.clone(), self.entry.clone(), self.tree.clone());
        move || Begin {
            make: make.clone(),
            queue: queue.clone(),
            entry: entry.clone(),
            tree: tree.clone(),
        }
    }

    fn respawn(&self) -> crate::children::Respawn {
        let begin = self.begin();
        Arc::new(move |supervisor| {
            let begin = begin();
            Box::pin(async move {
                let spawned = Actor::spawn_linked(None, Shell::<C>::new(), begin, supervisor).await;
                spawned.map(|(actor, _)| actor.get_cell()).map_err(|error| error.to_string())
            })
        })
    }
}

/// The top of a tree. Dropping it closes the root's mailbox; stop it in order with [`Root::stop`].
pub struct Root<D: Dispatch> {
    pub address: Address<D::Message>,
    cell: ActorCell,
    _guard: ChildGuard,
}

impl<D: Dispatch> Root<D> {
    /// Stops the whole tree, the leaves first. True if it was done within `deadline`.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.address.stop();
        self.cell.wait(Some(deadline)).await.is_ok()
    }

    /// Returns when the root has ended, for whatever reason.
    pub async fn ended(&self) {
        let _ = self.cell.wait(None).await;
    }
}

impl Tree {
    pub async fn spawn_root<D, F, Fut>(&self, subject: impl Into<String>, make: F) -> Result<Root<D>, ActorError>
    where
        D: Dispatch,
        F: Fn(Address<D::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<D, ActorError>> + Send + 'static,
    {
        let make: Make<D> = Arc::new(move |address| Box::pin(make(address)));
        let mailbox = Address::prepare(D::BOUND, D::OVERFLOW);
        let close = closer(mailbox.queue.clone());
        let prepared = Prepared::<D>::new(self, mailbox.queue, close, subject.into(), None, make);
        let spawned = Actor::spawn(None, Shell::<D>::new(), prepared.begin()()).await;
        let (actor, _) = spawned.map_err(|error| ActorError(error.to_string()))?;
        Ok(Root {
            address: Address { queue: prepared.queue.clone() },
            cell: actor.get_cell(),
            _guard: prepared.guard,
        })
    }
}
