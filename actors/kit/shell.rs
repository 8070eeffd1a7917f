//! The ractor actor around a [`Dispatch`]: takes from the queue, counts, supervises.

use crate::children::{Child, Children, Verdict};
use crate::context::Context;
use crate::queue::Queue;
use crate::tree::{Entry, Tree};
use crate::{ActorError, Address, ChildGone, Dispatch};
use aimg_domain::actor::ActorState;
use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that ever lies in a ractor mailbox of ours.
#[derive(Debug)]
pub(crate) enum Packet {
    Wake,
    Stop,
    Fail(String),
    /// A child's wait is over.
    Respawn(u64),
}

impl ractor::Message for Packet {}

/// Messages handled before supervision is looked at again.
const BATCH: usize = 64;
/// How long children may take to stop.
const STOP_WAIT: Duration = Duration::from_secs(5);

pub(crate) type Make<D> = Arc<dyn Fn(Address<<D as Dispatch>::Message>) -> BoxFuture<'static, Result<D, ActorError>> + Send + Sync>;

pub(crate) struct Shell<D>(PhantomData<fn() -> D>);

impl<D> Shell<D> {
    pub fn new() -> Shell<D> {
        Shell(PhantomData)
    }
}

pub(crate) struct Begin<D: Dispatch> {
    pub make: Make<D>,
    pub queue: Arc<Queue<D::Message>>,
    pub entry: Arc<Entry>,
    pub tree: Tree,
}

pub(crate) struct Running<D: Dispatch> {
    dispatch: D,
    context: Context<D>,
}

/// While it is down nobody is to be woken.
pub(crate) struct Attachment<M> {
    pub queue: Arc<Queue<M>>,
    pub entry: Arc<Entry>,
}

impl<M> Drop for Attachment<M> {
    fn drop(&mut self) {
        self.queue.detach();
        self.entry.changing.lock().runner = None;
    }
}

impl<D: Dispatch> Actor for Shell<D> {
    type Msg = Packet;
    type State = Running<D>;
    type Arguments = Begin<D>;

    async fn pre_start(&self, myself: ActorRef<Packet>, begin: Begin<D>) -> Result<Running<D>, ActorProcessingErr> {
        let Begin { make, queue, entry, tree } = begin;
        let address = Address { queue: queue.clone() };
        let dispatch = make(address.clone()).await?;
        let attachment = Attachment { queue, entry: entry.clone() };
        let context = Context {
            cell: myself.get_cell(),
            address,
            tree,
            entry,
            children: Children::default(),
            attachment,
            stopping: false,
        };
        let mut running = Running { dispatch, context };
        // Here and not in `post_start`: whoever spawns it shall find its children there.
        running.dispatch.started(&mut running.context).await?;
        let mut changing = running.context.entry.changing.lock();
        changing.state = ActorState::Running;
        changing.runner = Some(myself.clone());
        changing.ordered = None;
        drop(changing);
        running.context.attachment.queue.attach(myself);
        Ok(running)
    }

    async fn handle(&self, myself: ActorRef<Packet>, packet: Packet, state: &mut Running<D>) -> Result<(), ActorProcessingErr> {
        match packet {
            Packet::Wake => state.run_batch(&myself).await,
            Packet::Stop => {
                state.stop(&myself).await;
                Ok(())
            }
            Packet::Fail(cause) => Err(ActorError(cause).into()),
            Packet::Respawn(ticket) => state.respawn(&myself, ticket).await,
        }
    }

    async fn handle_supervisor_evt(&self, myself: ActorRef<Packet>, event: SupervisionEvent, state: &mut Running<D>) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => state.child_failed(&myself, cell.get_id(), error.to_string()).await,
            SupervisionEvent::ActorTerminated(cell, _, reason) => match reason {
                // A kill is a failure that the actor could not tell of.
                Some(reason) if reason.contains("kill") => state.child_failed(&myself, cell.get_id(), reason).await,
                _ => state.child_finished(&myself, cell.get_id()).await,
            },
            _ => Ok(()),
        }
    }
}

impl<D: Dispatch> Running<D> {
    async fn run_batch(&mut self, myself: &ActorRef<Packet>) -> Result<(), ActorProcessingErr> {
        for _ in 0..BATCH {
            let Some(message) = self.context.attachment.queue.pop() else { return Ok(()) };
            let mut counted = Counted {
                queue: self.context.attachment.queue.clone(),
                begun: Instant::now(),
                ok: false,
            };
            self.dispatch.handle(message, &mut self.context).await?;
            counted.ok = true;
            drop(counted);
            if self.context.stopping {
                self.stop(myself).await;
                return Ok(());
            }
        }
        let _ = myself.cast(Packet::Wake);
        Ok(())
    }

    async fn stop(&mut self, myself: &ActorRef<Packet>) {
        self.context.entry.changing.lock().state = ActorState::Stopping;
        self.context.stop_children().await;
        self.dispatch.stopping().await;
        myself.stop(None);
    }

    async fn child_failed(&mut self, myself: &ActorRef<Packet>, id: ActorId, cause: String) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.context.children.running.remove(&id) else {
            return Ok(());
        };
        self.judge(myself, child, cause).await
    }

    async fn judge(&mut self, myself: &ActorRef<Packet>, mut child: Child, cause: String) -> Result<(), ActorProcessingErr> {
        if self.context.stopping {
            return Ok(());
        }
        let ordered = child.entry.changing.lock().ordered.is_some();
        let verdict = child.judge(self.context.tree.clock().monotonic(), ordered);
        tracing::warn!(actor = %child.entry.id(), %cause, "actor failed");
        self.context.tree.note_restart(&child.entry, cause.clone());
        match verdict {
            Verdict::RestartAfter(wait) => {
                child.entry.changing.lock().state = ActorState::Starting;
                let ticket = self.context.children.next_ticket;
                self.context.children.next_ticket += 1;
                self.context.children.waiting.insert(ticket, child);
                if wait.is_zero() {
                    return Box::pin(self.respawn(myself, ticket)).await;
                }
                let runner = myself.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let _ = runner.cast(Packet::Respawn(ticket));
                });
                Ok(())
            }
            Verdict::Escalate => Err(ActorError(format!("{} failed too often: {cause}", child.entry.id())).into()),
            Verdict::Degrade => {
                child.entry.changing.lock().state = ActorState::Degraded;
                (child.guard.close)();
                let gone = gone(&child, Some(cause), true);
                self.context.children.degraded.push(child);
                self.child_gone(myself, gone).await
            }
            Verdict::Forget => {
                let gone = gone(&child, Some(cause), false);
                drop(child);
                self.child_gone(myself, gone).await
            }
        }
    }

    async fn respawn(&mut self, myself: &ActorRef<Packet>, ticket: u64) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.context.children.waiting.remove(&ticket) else {
            return Ok(());
        };
        match (child.respawn)(self.context.cell.clone()).await {
            Ok(cell) => {
                self.context.children.running.insert(cell.get_id(), child);
                Ok(())
            }
            Err(cause) => Box::pin(self.judge(myself, child, format!("did not start: {cause}"))).await,
        }
    }

    async fn child_finished(&mut self, myself: &ActorRef<Packet>, id: ActorId) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.context.children.running.remove(&id) else {
            return Ok(());
        };
        let gone = gone(&child, None, false);
        drop(child);
        self.child_gone(myself, gone).await
    }

    async fn child_gone(&mut self, myself: &ActorRef<Packet>, gone: ChildGone) -> Result<(), ActorProcessingErr> {
        self.dispatch.child_gone(gone, &mut self.context).await?;
        if self.context.stopping {
            self.stop(myself).await;
        }
        Ok(())
    }
}

fn gone(child: &Child, cause: Option<String>, degraded: bool) -> ChildGone {
    ChildGone {
        id: child.entry.id(),
        kind: child.entry.kind,
        subject: child.entry.subject.clone(),
        cause,
        degraded,
    }
}

/// Counts a message also when its handler panics.
struct Counted<M> {
    queue: Arc<Queue<M>>,
    begun: Instant,
    ok: bool,
}

impl<M> Drop for Counted<M> {
    fn drop(&mut self) {
        self.queue.counters.done(self.ok, self.begun.elapsed());
    }
}

pub(crate) async fn stop_all(cell: &ActorCell, children: &mut Children) {
    children.waiting.clear();
    // Stop by our own packet, so that each child stops its own children first and runs `stopping`.
    let runners: Vec<_> = children
        .running
        .values()
        .filter_map(|child| child.entry.changing.lock().runner.clone())
        .collect();
    let waits: Vec<_> = runners
        .into_iter()
        .map(|runner| async move {
            let _ = runner.cast(Packet::Stop);
            if runner.wait(Some(STOP_WAIT)).await.is_err() {
                runner.kill();
            }
        })
        .collect();
    futures_util::future::join_all(waits).await;
    cell.stop_children_and_wait(None, Some(STOP_WAIT)).await;
    children.running.clear();
    children.degraded.clear();
}
