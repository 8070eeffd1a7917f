//! Subscribing without a gap, and history.
//!
//! The topic is prepared (so that the relay notices what was committed and not published), long histories are sent in pages, then the
//! lane attaches *held*, the journal is read to its end, and the lane releases: reply, history, what was held behind it, live.

use super::actor::Connection;
use aimg_domain::{Event, Fault, Position, TenantId};
use aimg_fanout::{Attachment, ReleaseOutcome};
use aimg_store::StoreError;
use aimg_wire::filter::Filter;
use aimg_wire::topic::Topic;
use aimg_wire::ws::command::{History, Subscribe};
use aimg_wire::ws::frame;
use aimg_wire::ws::push::EncodedEvent;
use aimg_wire::ws::reply::Publications;
use bytes::Bytes;
use serde_json::Value;
use std::future::Future;
use std::time::Duration;

/// Events read at a time.
const PAGE: usize = 500;
/// For each read of the journal.
const READ: Duration = Duration::from_secs(5);
/// How long a client may take to accept a page of history.
const PACE: Duration = Duration::from_secs(10);
/// A busy topic may overflow the hold while history is read; the next try has less to read.
const ATTEMPTS: usize = 3;

/// How far the subscriber is, and what it was told.
struct Progress<'a> {
    id: &'a Value,
    topic: Topic,
    filter: Filter,
    cursor: Position,
    recovered: bool,
    valid: Option<Position>,
    /// Read, but not yet sent.
    publications: Vec<String>,
    replied: bool,
}

impl Connection {
    pub(super) async fn subscribe(&mut self, id: &Value, ask: Subscribe) -> Result<(), Fault> {
        let topic = self.machine.may_subscribe(&ask.topic)?;
        if !within(self.deps.relay.prepare(&topic)).await.map_err(fault)? {
            return Err(Fault::not_found("call"));
        }
        let mut progress = Progress {
            id,
            topic,
            filter: ask.filter.clone(),
            cursor: Position::default(),
            recovered: true,
            valid: None,
            publications: Vec::new(),
            replied: false,
        };
        let from = match topic.tenant() {
            Some(tenant) => self.catch_up(tenant, ask.recover, &mut progress).await?,
            None => ask.recover,
        };
        for _ in 0..ATTEMPTS {
            let attached = self.socket.attach_held(topic, ask.filter.clone(), ask.signal_interval, self.machine.policy());
            let attachment = attached.map_err(|_| Fault::Conflict {
                detail: format!("already subscribed to {topic}"),
            })?;
            if let Err(fault) = self.read_to_the_end(from, &mut progress).await {
                self.socket.detach(attachment, None);
                return Err(fault);
            }
            match self.release(attachment, &mut progress).await {
                ReleaseOutcome::Released => {
                    self.machine.subscribed(topic, attachment);
                    return Ok(());
                }
                ReleaseOutcome::Overflowed => {}
                ReleaseOutcome::Gone => break,
            }
        }
        Err(Fault::unavailable("the topic"))
    }

    /// Sends long histories in pages, before anything is held. Where the subscription begins; `None`: at the journal's end.
    async fn catch_up(&self, tenant: TenantId, recover: Option<Position>, progress: &mut Progress<'_>) -> Result<Option<Position>, Fault> {
        let Some(asked) = recover else { return Ok(None) };
        progress.cursor = asked;
        loop {
            let events = match self.read(tenant, progress).await {
                Ok(events) => events,
                Err(StoreError::Gap { valid }) => {
                    progress.recovered = false;
                    progress.valid = Some(valid);
                    // Beyond its epoch's end: what really followed is sent. Older than what is kept: that would be all of it.
                    let from = (valid.offset < asked.offset).then_some(valid);
                    progress.cursor = from.unwrap_or_default();
                    return Ok(from);
                }
                Err(error) => return Err(fault(error)),
            };
            let full = events.len() >= PAGE;
            progress.take(events);
            if !full {
                return Ok(recover);
            }
            let frames = progress.frames(&self.deps.relay.source(&progress.topic), true);
            if !self.socket.send_paced(frames, PACE).await {
                return Err(Fault::Timeout {
                    what: "your reading of the history".into(),
                });
            }
        }
    }

    /// `from`: as `catch_up` said.
    async fn read_to_the_end(&self, from: Option<Position>, progress: &mut Progress<'_>) -> Result<(), Fault> {
        let Some(tenant) = progress.topic.tenant() else {
            let since = self.deps.relay.system_since(&progress.topic, from);
            progress.recovered = since.recovered;
            progress.valid = since.valid;
            progress.cursor = since.head;
            let passing = since
                .events
                .into_iter()
                .filter(|event| progress.filter.passes(event.event.as_str(), &event.data));
            progress.publications = passing.map(|event| event.publication).collect();
            return Ok(());
        };
        if from.is_none() {
            progress.cursor = within(self.deps.journal.head(tenant)).await.map_err(fault)?;
            return Ok(());
        }
        loop {
            let events = self.read(tenant, progress).await.map_err(fault)?;
            let full = events.len() >= PAGE;
            progress.take(events);
            if !full {
                return Ok(());
            }
        }
    }

    async fn read(&self, tenant: TenantId, progress: &Progress<'_>) -> Result<Vec<Event>, StoreError> {
        let journal = &self.deps.journal;
        match progress.topic {
            Topic::Call { call, .. } => within(journal.read_call(tenant, call, progress.cursor, PAGE)).await,
            _ => within(journal.read(tenant, progress.cursor, PAGE)).await,
        }
    }

    async fn release(&self, attachment: Attachment, progress: &mut Progress<'_>) -> ReleaseOutcome {
        let publications = progress.publications.clone();
        let replied = progress.replied;
        let frames = progress.frames(&self.deps.relay.source(&progress.topic), false);
        let outcome = self.socket.release(attachment, progress.cursor, frames).await;
        if outcome != ReleaseOutcome::Released {
            (progress.publications, progress.replied) = (publications, replied);
        }
        outcome
    }

    pub(super) async fn history(&self, id: &Value, ask: History) -> Result<(), Fault> {
        let topic = self.machine.may_read(&ask.topic)?;
        let source = self.deps.relay.source(&topic);
        let (position, publications) = match topic.tenant() {
            Some(tenant) => self.history_of_tenant(tenant, &topic, &ask).await?,
            None => {
                let since = self.deps.relay.system_since(&topic, Some(ask.after.unwrap_or_default()));
                let from = if ask.after.is_some() {
                    0
                } else {
                    since.events.len().saturating_sub(ask.limit)
                };
                let publications: Vec<_> = since.events.into_iter().skip(from).take(ask.limit).map(|event| event.publication).collect();
                (since.head, publications)
            }
        };
        let answer = Publications {
            id,
            topic: &topic,
            source: &source,
            recovered: None,
            valid: None,
            position,
            publications: &publications,
            more: false,
        };
        self.socket.send(answer.encode());
        Ok(())
    }

    async fn history_of_tenant(&self, tenant: TenantId, topic: &Topic, ask: &History) -> Result<(Position, Vec<String>), Fault> {
        let journal = &self.deps.journal;
        let events = match (*topic, ask.after) {
            (Topic::Call { call, .. }, after) => within(journal.read_call(tenant, call, after.unwrap_or_default(), ask.limit)).await,
            (_, Some(after)) => within(journal.read(tenant, after, ask.limit)).await,
            (_, None) => within(journal.read_back(tenant, None, ask.limit)).await.map(|mut events| {
                events.reverse();
                events
            }),
        };
        let events = events.map_err(fault)?;
        let position = match events.last() {
            Some(last) => last.position(),
            None => ask.after.unwrap_or_default(),
        };
        Ok((position, publications(topic, ask.after, &events, &Filter::ALL)))
    }
}

impl Progress<'_> {
    fn take(&mut self, events: Vec<Event>) {
        self.publications.extend(publications(&self.topic, Some(self.cursor), &events, &self.filter));
        self.cursor = events.last().map_or(self.cursor, Event::position);
    }

    /// The reply with what was read or, after the reply, pushes.
    fn frames(&mut self, source: &aimg_wire::topic::Source, more: bool) -> Vec<Bytes> {
        let publications = std::mem::take(&mut self.publications);
        if std::mem::replace(&mut self.replied, true) {
            return publications.iter().map(|publication| frame::text(publication)).collect();
        }
        let reply = Publications {
            id: self.id,
            topic: &self.topic,
            source,
            recovered: Some(self.recovered),
            valid: self.valid,
            position: self.cursor,
            publications: &publications,
            more,
        };
        vec![reply.encode()]
    }
}

/// `before`: the position that the reader holds; the first one's `prev` is at or before it.
fn publications(topic: &Topic, before: Option<Position>, events: &[Event], filter: &Filter) -> Vec<String> {
    let mut prev = before.filter(|before| *before != Position::default());
    let mut publications = Vec::new();
    for event in events {
        if filter.passes(event.event.as_str(), &event.data) {
            publications.push(EncodedEvent::of(event).publication(topic, prev));
        }
        prev = Some(event.position());
    }
    publications
}

async fn within<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(READ, reading).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
    }
}

/// What a client is told of the store: not how it is made.
fn fault(error: StoreError) -> Fault {
    match error {
        StoreError::Gap { valid } => Fault::Conflict {
            detail: format!(
                "that position is not valid; the last valid one is epoch {}, offset {}",
                valid.epoch, valid.offset
            ),
        },
        _ => Fault::unavailable("the journal"),
    }
}
