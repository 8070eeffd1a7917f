//! Supervision written out: who is restarted, how often, after which wait, and what happens then.

use crate::queue::Queue;
use crate::tree::{Entry, Tree};
use futures_util::future::BoxFuture;
use ractor::{ActorCell, ActorId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Restart {
    /// A failure ends it; its parent is told.
    Never,
    /// Again after a failure, within the budget. A normal end is an end.
    OnFailure(Budget),
}

/// At most `restarts` within `window`, with a wait that doubles from `wait` for each restart in the window
/// (none before the first).
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub restarts: u32,
    pub window: Duration,
    pub wait: Duration,
    pub exhausted: Exhausted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Left down, shown as degraded; the parent is told and goes on.
    Degrade,
    /// The parent fails too, and is restarted by *its* supervisor.
    Escalate,
}

impl Restart {
    /// 3 in 15 s, then degraded: the parts of a call.
    pub const PART: Restart = Restart::OnFailure(Budget {
        restarts: 3,
        window: Duration::from_secs(15),
        wait: Duration::from_millis(50),
        exhausted: Exhausted::Degrade,
    });
    /// 10 a minute, then the parent: what a tenant or a node cannot be without.
    pub const PILLAR: Restart = Restart::OnFailure(Budget {
        restarts: 10,
        window: Duration::from_secs(60),
        wait: Duration::from_millis(100),
        exhausted: Exhausted::Escalate,
    });
    /// For ever: links to the outside.
    pub const FOR_EVER: Restart = Restart::OnFailure(Budget {
        restarts: u32::MAX,
        window: Duration::from_secs(60),
        wait: Duration::from_millis(250),
        exhausted: Exhausted::Degrade,
    });
}

pub(crate) type Respawn = Arc<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, String>> + Send + Sync>;

pub(crate) struct Child {
    pub entry: Arc<Entry>,
    pub restart: Restart,
    pub respawn: Respawn,
    /// When it was restarted, on the monotonic clock, newest last.
    pub times: VecDeque<Duration>,
    pub guard: ChildGuard,
}

/// Ends the child's registration and mailbox with the parent's knowledge of it.
pub(crate) struct ChildGuard {
    pub tree: Tree,
    pub entry: Arc<Entry>,
    pub close: Box<dyn Fn() + Send + Sync>,
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        (self.close)();
        self.tree.unregister(&self.entry);
    }
}

pub(crate) fn closer<M: Send + 'static>(queue: Arc<Queue<M>>) -> Box<dyn Fn() + Send + Sync> {
    Box::new(move || queue.close())
}

pub(crate) enum Verdict {
    RestartAfter(Duration),
    Degrade,
    Escalate,
    Forget,
}

impl Child {
    /// What the rules say of a failure at `now`. An ordered restart costs no budget.
    pub fn judge(&mut self, now: Duration, ordered: bool) -> Verdict {
        let Restart::OnFailure(budget) = self.restart else { return Verdict::Forget };
        if ordered {
            return Verdict::RestartAfter(Duration::ZERO);
        }
        while self.times.front().is_some_and(|&at| now.saturating_sub(at) > budget.window) {
            self.times.pop_front();
        }
        let recent = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        if recent >= budget.restarts {
            return if budget.exhausted == Exhausted::Escalate {
                Verdict::Escalate
            } else {
                Verdict::Degrade
            };
        }
        self.times.push_back(now);
        if recent == 0 {
            return Verdict::RestartAfter(Duration::ZERO);
        }
        Verdict::RestartAfter(budget.wait.saturating_mul(1 << (recent - 1).min(6)))
    }
}

#[derive(Default)]
pub(crate) struct Children {
    pub running: HashMap<ActorId, Child>,
    /// Down, waiting for their restart.
    pub waiting: HashMap<u64, Child>,
    /// Left down for good, still shown.
    pub degraded: Vec<Child>,
    pub next_ticket: u64,
}
