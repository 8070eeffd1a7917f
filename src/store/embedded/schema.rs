//! The schema version of a file, and its way forward. `migrations/README.md` describes every version.

use crate::failure::Failure;
use aimg_store::StoreError;
use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};

/// Brings a file from the version that is its place in the list to the next one. Everything it does is one
/// transaction with the new version number: a crash leaves the old version or the new.
pub type Step = fn(&WriteTransaction) -> Result<(), Failure>;

pub const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const WRITERS: TableDefinition<'static, &str, &str> = TableDefinition::new("writers");
const SCHEMA: &str = "schema";

/// Applies the steps a file has not seen. A file that is newer than the last step is refused untouched.
pub fn migrate(name: &str, db: &Database, steps: &[Step]) -> Result<(), Failure> {
    let stored = version(db)?;
    let known = steps.len() as u64;
    if stored > known {
        return Err(Failure::Store(too_new(name, db, stored, known)?));
    }
    for (version, step) in (1..).zip(steps).skip(usize::try_from(stored).unwrap_or(usize::MAX)) {
        let txn = db.begin_write()?;
        step(&txn)?;
        txn.open_table(META)?.insert(SCHEMA, version)?;
        txn.open_table(WRITERS)?.insert(SCHEMA, env!("CARGO_PKG_VERSION"))?;
        txn.commit()?;
        if version > 1 {
            tracing::info!(file = name, version, "migrated");
        }
    }
    Ok(())
}

/// 0 when nothing says otherwise: a new file.
fn version(db: &Database) -> Result<u64, Failure> {
    match db.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get(SCHEMA)?.map_or(0, |version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn too_new(name: &str, db: &Database, stored: u64, known: u64) -> Result<StoreError, Failure> {
    let writer = match db.begin_read()?.open_table(WRITERS) {
        Ok(writers) => writers.get(SCHEMA)?.map(|writer| writer.value().to_owned()),
        Err(_) => None,
    };
    let writer = writer.unwrap_or_else(|| "newer than this one".into());
    Ok(StoreError::Corrupt(format!(
        "{name} has schema version {stored}, this aimg ({}) knows up to {known}: start aimg {writer} or later, which wrote it",
        env!("CARGO_PKG_VERSION")
    )))
}
