//! The one writer of `calls.redb`. It commits whatever waits as soon as its last commit is done: no timer, and
//! under load one sync for many.

use super::queue::{Done, Queue, Work};
use super::rows::{Head, decode_session, encode_cut};
use super::tables::{Tables, call_event_key, call_key, numbered_key, tenant_key};
use super::{EPOCH, facts::Indexed};
use crate::failure::Failure;
use crate::file::DbFile;
use crate::schema::META;
use aimg_domain::TenantId;
use aimg_store::StoreError;
use redb::{ReadableTable, WriteTransaction};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// Counts transactions, so that one whose commit failed can be asked for afterwards.
const COMMITS: &str = "commits";

type Outcomes = Vec<Result<Done, StoreError>>;

pub fn start(file: Arc<DbFile>, queue: Arc<Queue>, epoch: u64) -> Result<JoinHandle<()>, StoreError> {
    Builder::new()
        .name("committer".into())
        .spawn(move || run(&file, &queue, epoch))
        .map_err(|error| StoreError::Unavailable(format!("the committer's thread: {error}")))
}

fn run(file: &DbFile, queue: &Queue, epoch: u64) {
    while let Some(batch) = queue.take() {
        let bytes = batch.iter().map(|work| work.bytes).sum();
        // A panic below must not end every tenant's commits: the transaction is dropped, the batch refused.
        let outcome = catch_unwind(AssertUnwindSafe(|| commit(file, &batch, epoch)));
        let outcome = outcome.unwrap_or_else(|_| Err(StoreError::Unavailable("the committer failed".into())));
        queue.release(bytes);
        settle(batch, outcome);
    }
}

fn settle(batch: Vec<Work>, outcome: Result<Outcomes, StoreError>) {
    match outcome {
        Ok(outcomes) => {
            for (work, outcome) in batch.into_iter().zip(outcomes) {
                // Its caller may have given up; what is stored stays stored.
                let _ = work.reply.send(outcome);
            }
        }
        Err(error) => {
            tracing::error!(%error, commits = batch.len(), "commits refused");
            let why = match error {
                StoreError::Unavailable(why) => why,
                other => other.to_string(),
            };
            for work in batch {
                let _ = work.reply.send(Err(StoreError::Unavailable(why.clone())));
            }
        }
    }
}

fn commit(file: &DbFile, batch: &[Work], epoch: u64) -> Result<Outcomes, StoreError> {
    let mut attempt = None;
    let written = file.write(|txn| {
        let (number, outcomes) = write_batch(txn, batch, epoch)?;
        attempt = Some((number, outcomes));
        Ok(())
    });
    match (written, attempt) {
        (Ok(()), Some((_, outcomes))) => Ok(outcomes),
        // The commit itself failed: whether it counts is what the file says once it is open again.
        (Err(error), Some((number, outcomes))) => match file.read(|txn| Ok(txn.open_table(META)?.get(COMMITS)?.map(|stored| stored.value()))) {
            Ok(stored) if stored == Some(number) => Ok(outcomes),
            _ => Err(error),
        },
        (Err(error), None) => Err(error),
        (Ok(()), None) => Err(StoreError::Unavailable("nothing was written".into())),
    }
}

fn write_batch(txn: &WriteTransaction, batch: &[Work], epoch: u64) -> Result<(u64, Outcomes), Failure> {
    let number = {
        let mut meta = txn.open_table(META)?;
        let stored = meta.get(EPOCH)?.map_or(0, |stored| stored.value());
        if stored != epoch {
            return Err(StoreError::Fenced { epoch }.into());
        }
        let number = meta.get(COMMITS)?.map_or(0, |count| count.value()) + 1;
        meta.insert(COMMITS, number)?;
        number
    };
    let mut tables = Tables::open(txn)?;
    let mut heads = Heads::default();
    let mut outcomes = Vec::with_capacity(batch.len());
    for work in batch {
        outcomes.push(match old_sessions(&tables, work) {
            Ok(old) => Ok(write_work(&mut tables, &mut heads, work, &old, epoch)?),
            // A session that cannot be read is its own commit's trouble, not the batch's.
            Err(Failure::Store(error @ StoreError::Corrupt(_))) => Err(error),
            Err(failure) => return Err(failure),
        });
    }
    write_heads(&mut tables, &heads, epoch)?;
    Ok((number, outcomes))
}

/// Heads of the batch's tenants, written once at its end.
type Heads = BTreeMap<TenantId, Head>;

/// By what the stored versions of the work's sessions are found now.
fn old_sessions(tables: &Tables<'_>, work: &Work) -> Result<Vec<Option<Indexed>>, Failure> {
    let mut old = Vec::with_capacity(work.sessions.len());
    for session in &work.sessions {
        let stored = tables.sessions.get(call_key(work.tenant, session.call).as_bytes())?;
        let row = stored.map(|row| decode_session(row.value())).transpose()?;
        old.push(row.map(|row| Indexed::of(&row.session)));
    }
    Ok(old)
}

fn write_work(tables: &mut Tables<'_>, heads: &mut Heads, work: &Work, old: &[Option<Indexed>], epoch: u64) -> Result<Done, Failure> {
    for (session, old) in work.sessions.iter().zip(old) {
        if old.as_ref() != Some(&session.indexed) {
            if let Some(old) = old {
                old.remove(tables)?;
            }
            session.indexed.insert(tables)?;
        }
        tables.sessions.insert(call_key(work.tenant, session.call).as_bytes(), session.row.as_slice())?;
    }
    write_events(tables, heads, work, epoch)
}

fn write_events(tables: &mut Tables<'_>, heads: &mut Heads, work: &Work, epoch: u64) -> Result<Done, Failure> {
    let mut head = match heads.get(&work.tenant) {
        Some(head) => *head,
        None => stored_head(tables, work.tenant)?,
    };
    let first = head.offset + 1;
    for (call, row) in &work.events {
        head.offset += 1;
        tables.events.insert(numbered_key(work.tenant, head.offset).as_bytes(), row.as_slice())?;
        if let Some(call) = call {
            let key = call_event_key(work.tenant, *call, head.offset);
            tables.events_by_call.insert(key.as_bytes(), [].as_slice())?;
        }
    }
    if !work.events.is_empty() {
        head.epoch = epoch;
        heads.insert(work.tenant, head);
    }
    Ok(Done { first, head: head.position() })
}

fn stored_head(tables: &Tables<'_>, tenant: TenantId) -> Result<Head, Failure> {
    let stored = tables.heads.get(tenant_key(tenant).as_bytes())?;
    Ok(stored.map(|bytes| Head::decode(bytes.value())).transpose()?.unwrap_or_default())
}

fn write_heads(tables: &mut Tables<'_>, heads: &Heads, epoch: u64) -> Result<(), Failure> {
    for (tenant, head) in heads {
        tables.heads.insert(tenant_key(*tenant).as_bytes(), head.encode()?.as_slice())?;
        let cut = encode_cut(head.offset)?;
        tables.cuts.insert(numbered_key(*tenant, epoch).as_bytes(), cut.as_slice())?;
    }
    Ok(())
}
