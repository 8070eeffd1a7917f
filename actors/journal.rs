//! `Journal`: a tenant's single writer. Commits what waits as soon as the last commit is done, then publishes.

pub mod backlog;

use crate::relay::EventRelay;
use aimg_actor_kit::{ActorError, Address, Context, Dispatch, Reply};
use aimg_domain::{Clock, TenantId, Timestamp};
use aimg_store::StoreError;
use aimg_store::journal::{Commit, Committed, Journal as JournalPort};
use backlog::{Append, Backlog};
use std::sync::Arc;
use std::time::Duration;

/// About what a tenant may have waiting while its store is slow or away.
const BACKLOG_BYTES: usize = 8 << 20;
const RETRY: Duration = Duration::from_millis(500);

pub enum JournalMessage {
    Append(Box<Append<Reply<()>>>),
    /// The commit under way ended.
    Done(Result<Committed, StoreError>),
    RetryTick,
}

#[derive(Clone)]
pub struct JournalHandle(pub Address<JournalMessage>);

impl JournalHandle {
    /// Never waits. A full mailbox is a journal that has not been scheduled for very long: the caller counts it.
    pub fn append(&self, append: Append<Reply<()>>) -> bool {
        self.0.cast(JournalMessage::Append(Box::new(append))).is_ok()
    }
}

pub struct Journal {
    tenant: TenantId,
    epoch: u64,
    port: Arc<dyn JournalPort>,
    relay: EventRelay,
    clock: Arc<dyn Clock>,
    backlog: Backlog<Reply<()>>,
    /// Since when commits fail.
    failing: Option<Timestamp>,
}

impl Journal {
    pub fn new(tenant: TenantId, port: Arc<dyn JournalPort>, relay: EventRelay, clock: Arc<dyn Clock>) -> Journal {
        Journal {
            tenant,
            epoch: port.epoch(),
            port,
            relay,
            clock,
            backlog: Backlog::new(BACKLOG_BYTES),
            failing: None,
        }
    }

    fn go_on(&mut self, context: &Context<Journal>) {
        if self.failing.is_some() {
            return;
        }
        if let Some(commit) = self.backlog.take() {
            self.send(commit, context);
        }
    }

    fn send(&self, commit: Commit, context: &Context<Journal>) {
        let (port, tenant, epoch, me) = (self.port.clone(), self.tenant, self.epoch, context.address().clone());
        tokio::spawn(async move {
            let result = port.commit(tenant, epoch, commit).await;
            let _ = me.cast(JournalMessage::Done(result));
        });
    }

    fn done(&mut self, result: Result<Committed, StoreError>, context: &Context<Journal>) -> Result<(), ActorError> {
        match result {
            Ok(committed) => {
                if let Some(since) = self.failing.take() {
                    tracing::info!(tenant = %self.tenant, %since, "journal stores again");
                    self.relay.service_recovered("store", self.tenant, since);
                    context.note("storing");
                }
                self.relay.publish(self.tenant, committed.events);
                for ack in self.backlog.stored() {
                    ack.send(());
                }
                self.go_on(context);
                Ok(())
            }
            Err(StoreError::Fenced { epoch }) => Err(ActorError::new(format!("epoch {epoch} is over: another owner writes"))),
            Err(error) => {
                if self.failing.is_none() {
                    let now = self.clock.now();
                    self.failing = Some(now);
                    tracing::error!(tenant = %self.tenant, %error, "journal cannot store, calls go on");
                    self.relay.service_down("store", self.tenant, now, &error.to_string());
                    context.note(format!("not storing since {now}: {error}"));
                }
                context.remind(JournalMessage::RetryTick, RETRY);
                Ok(())
            }
        }
    }
}

impl Dispatch for Journal {
    type Message = JournalMessage;
    const KIND: &'static str = "journal";
    const BOUND: usize = 65_536;

    async fn handle(&mut self, message: JournalMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            JournalMessage::Append(append) => {
                self.backlog.push(*append);
                metrics::gauge!("aimg_journal_backlog_bytes", "tenant" => self.tenant.to_string()).set(self.backlog.bytes() as f64);
                if self.backlog.is_full() && self.failing.is_some() {
                    metrics::counter!("aimg_journal_collapsed_total").increment(1);
                }
                self.go_on(context);
            }
            JournalMessage::Done(result) => self.done(result, context)?,
            JournalMessage::RetryTick => self.send(self.backlog.retry(), context),
        }
        Ok(())
    }
}
