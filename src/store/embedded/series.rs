//! `Series` in `series.redb`: a table a resolution and bucket of time, so that forgetting is dropping tables.

mod rows;

use crate::failure::Failure;
use crate::file::DbFile;
use crate::folder::Folder;
use crate::keys::Key;
use crate::reader::Door;
use crate::schema::Step;
use aimg_domain::Timestamp;
use aimg_domain::metric::{Point, Resolution, Rollup};
use aimg_store::series::{Series, SeriesKey};
use aimg_store::{StoreError, limits};
use async_trait::async_trait;
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableHandle, WriteTransaction};
use rows::Row;
use std::collections::BTreeMap;
use std::sync::Arc;

const STEPS: &[Step] = &[|_| Ok(())];
const CACHE_BYTES: usize = 32 << 20;
const RESOLUTIONS: [Resolution; 3] = [Resolution::Second, Resolution::Minute, Resolution::Hour];

type Table<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

pub struct EmbeddedSeries {
    door: Door,
    /// Held so that nobody else opens the folder while this lives.
    _folder: Arc<Folder>,
}

impl EmbeddedSeries {
    pub fn open(folder: &Arc<Folder>) -> Result<EmbeddedSeries, StoreError> {
        let file = DbFile::open(&folder.file("series.redb"), STEPS, CACHE_BYTES)?;
        Ok(EmbeddedSeries {
            door: Door::new(Arc::new(file)),
            _folder: folder.clone(),
        })
    }
}

#[async_trait]
impl Series for EmbeddedSeries {
    async fn write(&self, points: Vec<(SeriesKey, Point)>) -> Result<(), StoreError> {
        for (key, _) in &points {
            limits::check("series name", key.name.len(), limits::SERIES_NAME_BYTES)?;
        }
        let rollups = roll_up(&points);
        if rollups.is_empty() {
            return Ok(());
        }
        self.door
            .write(move |txn| rollups.iter().try_for_each(|(table, rows)| merge(txn, table, rows)))
            .await
    }

    async fn range(&self, key: &SeriesKey, resolution: Resolution, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<Rollup>, StoreError> {
        limits::check("series name", key.name.len(), limits::SERIES_NAME_BYTES)?;
        let prefix = prefix(key);
        self.door
            .read(move |txn| {
                let (first, last) = (prefix.clone().time(from), prefix.clone().time(to));
                if from >= to {
                    return Ok(Vec::new());
                }
                let mut found = Vec::new();
                for (_, name) in tables(txn, resolution, from, to)? {
                    let table = txn.open_table(Table::new(&name))?;
                    for row in table.range::<&[u8]>(first.as_bytes()..last.as_bytes())? {
                        if found.len() >= limit.min(limits::PAGE_ROWS) {
                            return Ok(found);
                        }
                        let (key, value) = row?;
                        found.push(Row::decode(value.value())?.rollup(start_of(key.value())?));
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn expire(&self, resolution: Resolution, before: Timestamp) -> Result<u64, StoreError> {
        self.door
            .write(move |txn| {
                let names: Vec<String> = txn.list_tables()?.map(|table| table.name().to_owned()).collect();
                let mut dropped = 0;
                for name in names {
                    let Some(bucket) = bucket_of(resolution, &name) else { continue };
                    let end = i128::from(bucket + 1) * i128::from(bucket_millis(resolution));
                    if end <= i128::from(before.0) {
                        dropped += u64::from(txn.delete_table(Table::new(&name))?);
                    }
                }
                Ok(dropped)
            })
            .await
    }
}

/// How much time a table holds: some thousand rows a series.
fn bucket_millis(resolution: Resolution) -> i64 {
    resolution.millis()
        * match resolution {
            Resolution::Second => 3600,
            Resolution::Minute => 24 * 60,
            Resolution::Hour => 30 * 24,
        }
}

fn label(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Second => "1s",
        Resolution::Minute => "1m",
        Resolution::Hour => "1h",
    }
}

fn bucket_of(resolution: Resolution, table: &str) -> Option<i64> {
    table.strip_prefix(label(resolution))?.strip_prefix(':')?.parse().ok()
}

/// Tables that may hold rows of [from, to), oldest first.
fn tables(txn: &ReadTransaction, resolution: Resolution, from: Timestamp, to: Timestamp) -> Result<BTreeMap<i64, String>, Failure> {
    let millis = bucket_millis(resolution);
    let wanted = from.0.div_euclid(millis)..=to.0.div_euclid(millis);
    let names = txn.list_tables()?.map(|table| table.name().to_owned());
    let named = names.filter_map(|name| Some((bucket_of(resolution, &name)?, name)));
    Ok(named.filter(|(bucket, _)| wanted.contains(bucket)).collect())
}

fn prefix(key: &SeriesKey) -> Key {
    Key::new().scope(key.scope).text(&key.name)
}

fn start_of(key: &[u8]) -> Result<Timestamp, Failure> {
    let bytes = key.last_chunk::<8>();
    let number = bytes.map(|bytes| (u64::from_be_bytes(*bytes) ^ (1 << 63)).cast_signed());
    number
        .map(Timestamp)
        .ok_or_else(|| Failure::Store(StoreError::Corrupt("series.redb: a key".into())))
}

/// What the points add, by table and row.
fn roll_up(points: &[(SeriesKey, Point)]) -> BTreeMap<String, BTreeMap<Vec<u8>, Row>> {
    let mut rollups: BTreeMap<String, BTreeMap<Vec<u8>, Row>> = BTreeMap::new();
    // What is no number would make every figure of its interval none.
    for (key, point) in points.iter().filter(|(_, point)| point.value.is_finite()) {
        for resolution in RESOLUTIONS {
            let start = point.at.0.div_euclid(resolution.millis()).saturating_mul(resolution.millis());
            let table = format!("{}:{}", label(resolution), start.div_euclid(bucket_millis(resolution)));
            let row = Row::of(point);
            let key = prefix(key).time(Timestamp(start)).as_bytes().to_vec();
            rollups
                .entry(table)
                .or_default()
                .entry(key)
                .and_modify(|before| before.merge(&row))
                .or_insert(row);
        }
    }
    rollups
}

fn merge(txn: &WriteTransaction, table: &str, rows: &BTreeMap<Vec<u8>, Row>) -> Result<(), Failure> {
    let mut table = txn.open_table(Table::new(table))?;
    for (key, added) in rows {
        let stored = table.get(key.as_slice())?.map(|row| Row::decode(row.value())).transpose()?;
        let row = match stored {
            Some(mut stored) => {
                stored.merge(added);
                stored
            }
            None => *added,
        };
        table.insert(key.as_slice(), row.encode().as_slice())?;
    }
    Ok(())
}
