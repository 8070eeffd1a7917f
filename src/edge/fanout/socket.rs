//! The handle of a registered socket: everything that is ever written to it goes through here.

use crate::inbox::{Attach, Command, ToSocket};
use crate::lanes::Inside;
use crate::publication::ReleaseOutcome;
use crate::shared::Shared;
use aimg_domain::Position;
use aimg_wire::close::CloseCode;
use aimg_wire::filter::Filter;
use aimg_wire::topic::Topic;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::Duration;
use tokio::sync::oneshot;

/// Dropping it ends the socket: what waits is dropped with it. Say `close` first to end it in an orderly way.
pub struct LaneSocket {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inside: Arc<Inside>,
}

/// A subscription, from `attach_held` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub topic: Topic,
    pub(crate) id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// This socket is already subscribed to the topic.
    Already,
}

impl LaneSocket {
    fn tell(&self, what: ToSocket) {
        self.inside.inboxes[self.shared.lane].push(Command::ToSocket { socket: self.shared.id, what });
    }

    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// A whole frame: replies, pongs, pings.
    pub fn send(&self, frame: Bytes) {
        self.tell(ToSocket::Send {
            frames: vec![frame],
            drained: None,
        });
    }

    /// Sends and returns when all of it is with the kernel. False: the socket is gone, or `deadline` passed.
    pub async fn send_paced(&self, frames: Vec<Bytes>, deadline: Duration) -> bool {
        let (drained, wait) = oneshot::channel();
        self.tell(ToSocket::Send {
            frames,
            drained: Some(drained),
        });
        matches!(tokio::time::timeout(deadline, wait).await, Ok(Ok(())))
    }

    /// A frame that may be dropped when the socket is slow, the oldest first; the next one then gets `flag` set at byte `flag_at`.
    pub fn send_loose(&self, frame: Vec<u8>, flag_at: usize, flag: u8) {
        self.tell(ToSocket::Loose { frame, flag_at, flag });
    }

    /// Says why, then ends the write side. What waits is sent first, except when access was lost: then nothing more is.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.tell(ToSocket::Close {
            code,
            reason: reason.to_owned(),
        });
    }

    /// From here on pushes of the topic are kept for this socket. `policy`: the version under which this was allowed.
    pub fn attach_held(&self, topic: Topic, filter: Filter, signal_interval: Option<Duration>, policy: u64) -> Result<Attachment, AttachError> {
        let id = self.inside.next_id.fetch_add(1, Relaxed);
        {
            let mut attached = self.shared.attached.lock();
            if attached.contains_key(&topic) {
                return Err(AttachError::Already);
            }
            attached.insert(topic, id);
            // Before the lane knows, and before the caller reads the journal: what is committed after that read finds this lane interested.
            self.inside.interest.raise(topic, self.shared.lane);
        }
        self.tell(ToSocket::Attach(Attach {
            topic,
            attachment: id,
            filter,
            signal_interval,
            policy,
        }));
        Ok(Attachment { topic, id })
    }

    /// Sends `frames` (reply and history, read up to and including `through`), then what was held after `through`, then goes on live.
    pub async fn release(&self, attachment: Attachment, through: Position, frames: Vec<Bytes>) -> ReleaseOutcome {
        let (outcome, wait) = oneshot::channel();
        self.tell(ToSocket::Release {
            topic: attachment.topic,
            attachment: attachment.id,
            through,
            frames,
            outcome,
        });
        wait.await.unwrap_or(ReleaseOutcome::Gone)
    }

    /// Ends a subscription, then sends `reply`: nothing of the topic comes after it.
    pub fn detach(&self, attachment: Attachment, reply: Option<Bytes>) {
        self.inside.interest.unsubscribe(&self.shared, attachment.topic, attachment.id);
        self.tell(ToSocket::Detach {
            topic: attachment.topic,
            attachment: attachment.id,
            reply,
        });
    }

    /// When this returns, nothing of the revoked topics will be sent any more and no attachment of an older version is taken.
    pub async fn set_policy(&self, version: u64, revoked: Vec<Topic>) {
        let (done, wait) = oneshot::channel();
        self.shared.policy.fetch_max(version, AcqRel);
        self.tell(ToSocket::Policy { revoked, done });
        // A lane that died of it has closed its sockets or dropped their subscriptions.
        let _ = wait.await;
    }
}

impl Drop for LaneSocket {
    fn drop(&mut self) {
        self.tell(ToSocket::Forget);
    }
}
