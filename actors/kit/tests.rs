#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use aimg_domain::actor::ActorState;
use aimg_domain::{Clock, Timestamp};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

fn tree() -> Tree {
    Tree::new(Arc::new(TestClock(Instant::now())))
}

enum ToParent {
    Child(Reply<Address<ToChild>>),
    Gone(Reply<Vec<String>>),
    StopChildren(Reply<()>),
}

struct Parent {
    restart: Restart,
    child: Option<Address<ToChild>>,
    gone: Vec<String>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Dispatch for Parent {
    type Message = ToParent;
    const KIND: &'static str = "parent";

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let log = self.log.clone();
        let make = move |_| {
            let log = log.clone();
            async move { Ok(Child { count: 0, log }) }
        };
        self.child = Some(context.spawn::<Child, _, _>("c", self.restart, make).await?);
        Ok(())
    }

    async fn handle(&mut self, message: ToParent, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            ToParent::Child(reply) => reply.send(self.child.clone().unwrap()),
            ToParent::Gone(reply) => reply.send(self.gone.clone()),
            ToParent::StopChildren(reply) => {
                context.stop_children().await;
                reply.send(());
            }
        }
        Ok(())
    }

    async fn child_gone(&mut self, gone: ChildGone, _: &mut Context<Self>) -> Result<(), ActorError> {
        self.gone.push(format!("{} {}", gone.id, gone.degraded));
        Ok(())
    }
}

enum ToChild {
    Add(u64),
    Sum(Reply<u64>),
    Panic,
    Fail,
    Hang,
    Forget(Reply<()>),
    Finish,
    WaitFor(tokio::sync::oneshot::Receiver<()>),
}

struct Child {
    count: u64,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.log.lock().push("dropped");
    }
}

impl Dispatch for Child {
    type Message = ToChild;
    const KIND: &'static str = "child";
    const BOUND: usize = 8;

    async fn handle(&mut self, message: ToChild, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            ToChild::Add(n) => self.count += n,
            ToChild::Sum(reply) => reply.send(self.count),
            ToChild::Panic => panic!("on purpose"),
            ToChild::Fail => return Err(ActorError::new("failed on purpose")),
            ToChild::Hang => std::future::pending().await,
            ToChild::Forget(reply) => drop(reply),
            ToChild::Finish => context.stop(),
            ToChild::WaitFor(go) => {
                let _ = go.await;
            }
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.log.lock().push("stopping");
    }
}

type Log = Arc<Mutex<Vec<&'static str>>>;

async fn start(restart: Restart) -> (Tree, Root<Parent>, Address<ToChild>, Log) {
    let tree = tree();
    let log = Log::default();
    let kept = log.clone();
    let root = tree
        .spawn_root("p", move |_| {
            let log = kept.clone();
            async move {
                Ok(Parent {
                    restart,
                    child: None,
                    gone: Vec::new(),
                    log,
                })
            }
        })
        .await
        .unwrap();
    let child = root.address.call(ToParent::Child, SOON).await.unwrap();
    (tree, root, child, log)
}

const SOON: Duration = Duration::from_secs(10);

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_waits_survives_a_panic_and_the_address_stays_valid() {
    let (tree, _root, child, _) = start(Restart::PART).await;
    let (go, wait) = tokio::sync::oneshot::channel();
    child.cast(ToChild::WaitFor(wait)).unwrap();
    child.cast(ToChild::Panic).unwrap();
    child.cast(ToChild::Add(5)).unwrap();
    go.send(()).unwrap();
    assert_eq!(child.call(ToChild::Sum, SOON).await, Ok(5));
    let info = tree.get("child:c").unwrap();
    assert_eq!(info.restarts.len(), 1);
    assert!(info.restarts[0].cause.contains("on purpose"), "{:?}", info.restarts);
    assert_eq!((info.messages.failed, info.parent.as_deref()), (1, Some("parent:p")));
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_counts() {
    let (tree, _root, child, _) = start(Restart::PART).await;
    let (go, wait) = tokio::sync::oneshot::channel();
    child.cast(ToChild::WaitFor(wait)).unwrap();
    eventually("taken from the mailbox", || tree.get("child:c").unwrap().depth == 0).await;
    for _ in 0..Child::BOUND {
        child.cast(ToChild::Add(1)).unwrap();
    }
    assert_eq!(child.cast(ToChild::Add(1)), Err(Refused::Full));
    assert_eq!(child.call(ToChild::Sum, SOON).await, Err(CallError::Full));
    let info = tree.get("child:c").unwrap();
    assert_eq!((info.messages.refused, info.depth, info.depth_max, info.bound), (2, 8, 8, 8));
    go.send(()).unwrap();
    eventually("drained", || tree.get("child:c").unwrap().depth == 0).await;
    assert_eq!(child.call(ToChild::Sum, SOON).await, Ok(8));
}

#[tokio::test]
async fn a_spent_budget_degrades_and_tells_the_parent() {
    let (tree, root, child, _) = start(Restart::PART).await;
    for _ in 0..4 {
        let _ = child.cast(ToChild::Fail);
    }
    eventually("degraded", || tree.get("child:c").unwrap().state == ActorState::Degraded).await;
    assert_eq!(root.address.call(ToParent::Gone, SOON).await, Ok(vec!["child:c true".to_owned()]));
    assert_eq!(child.cast(ToChild::Add(1)), Err(Refused::Gone));
}

#[tokio::test]
async fn an_ordered_restart_says_who_wanted_it_and_frees_a_stuck_actor() {
    let (tree, _root, child, _) = start(Restart::PART).await;
    child.cast(ToChild::Hang).unwrap();
    tree.restart("child:c", "restarted by a@example.org".into()).unwrap();
    assert_eq!(child.call(ToChild::Sum, SOON).await, Ok(0));
    assert_eq!(tree.get("child:c").unwrap().restarts[0].cause, "restarted by a@example.org");
    assert!(tree.restart("child:none", String::new()).is_err());
}

#[tokio::test]
async fn a_dropped_question_and_a_late_answer_are_told_apart() {
    let (_tree, _root, child, _) = start(Restart::PART).await;
    assert_eq!(child.call(ToChild::Forget, SOON).await, Err(CallError::Dropped));
    child.cast(ToChild::Hang).unwrap();
    assert_eq!(child.call(ToChild::Sum, Duration::from_millis(20)).await, Err(CallError::Timeout));
}

#[tokio::test]
async fn a_child_that_finishes_is_forgotten_and_not_restarted() {
    let (tree, root, child, log) = start(Restart::PART).await;
    child.cast(ToChild::Finish).unwrap();
    eventually("gone from the tree", || tree.get("child:c").is_none()).await;
    assert_eq!(root.address.call(ToParent::Gone, SOON).await, Ok(vec!["child:c false".to_owned()]));
    assert_eq!(log.lock().as_slice(), ["stopping", "dropped"]);
}

/// Ends as soon as a child of its is gone.
struct Mortal;

impl Dispatch for Mortal {
    type Message = ();
    const KIND: &'static str = "mortal";

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        let child = context
            .spawn::<Child, _, _>("m", Restart::PART, |_| async { Ok(Child { count: 0, log: Log::default() }) })
            .await?;
        child.cast(ToChild::Finish).map_err(|refused| ActorError::new(format!("{refused:?}")))
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), ActorError> {
        Ok(())
    }

    async fn child_gone(&mut self, _: ChildGone, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.stop();
        Ok(())
    }
}

#[tokio::test]
async fn an_actor_may_end_with_its_child() {
    let root = tree().spawn_root::<Mortal, _, _>("m", |_| async { Ok(Mortal) }).await.unwrap();
    tokio::time::timeout(SOON, root.ended()).await.unwrap();
}

#[tokio::test]
async fn stopping_the_root_stops_the_leaves_first_and_empties_the_tree() {
    let (tree, root, child, log) = start(Restart::PART).await;
    assert!(root.stop(SOON).await);
    assert_eq!(log.lock().as_slice(), ["stopping", "dropped"]);
    drop(root);
    assert_eq!((tree.count(), child.is_gone()), (0, true));
}

#[tokio::test]
async fn stopped_children_are_not_restarted() {
    let (tree, root, _child, _) = start(Restart::FOR_EVER).await;
    root.address.call(ToParent::StopChildren, SOON).await.unwrap();
    assert!(tree.get("child:c").is_none());
}

#[tokio::test]
async fn escalation_fails_the_parent() {
    let budget = Budget {
        restarts: 1,
        window: Duration::from_secs(60),
        wait: Duration::ZERO,
        exhausted: Exhausted::Escalate,
    };
    let (_tree, root, child, _) = start(Restart::OnFailure(budget)).await;
    child.cast(ToChild::Fail).unwrap();
    let _ = child.cast(ToChild::Fail);
    tokio::time::timeout(SOON, root.ended()).await.unwrap();
}
