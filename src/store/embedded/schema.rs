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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::file::DbFile;
    use redb::ReadableTable;
    use std::path::PathBuf;

    const OLD: TableDefinition<'static, u64, &str> = TableDefinition::new("names");
    const NEW: TableDefinition<'static, &str, u64> = TableDefinition::new("ids");

    /// Turns a table around, as a step of a later version might.
    fn turn(txn: &WriteTransaction) -> Result<(), Failure> {
        {
            let old = txn.open_table(OLD)?;
            let mut new = txn.open_table(NEW)?;
            for row in old.iter()? {
                let (id, name) = row?;
                new.insert(name.value(), id.value())?;
            }
        }
        txn.delete_table(OLD)?;
        Ok(())
    }

    fn add_one(txn: &WriteTransaction) -> Result<(), Failure> {
        txn.open_table(NEW)?.insert("added", 3)?;
        Ok(())
    }

    fn fail(txn: &WriteTransaction) -> Result<(), Failure> {
        txn.open_table(NEW)?.insert("half", 4)?;
        Err(StoreError::Unavailable("a step that fails".into()).into())
    }

    static ONE: &[Step] = &[turn];
    static TWO: &[Step] = &[turn, add_one];
    static FAILING: &[Step] = &[turn, fail];

    /// A file from before there were versions.
    fn version_0(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("old.redb");
        let db = Database::create(&path).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut names = txn.open_table(OLD).unwrap();
            names.insert(1, "ada").unwrap();
            names.insert(2, "bob").unwrap();
        }
        txn.commit().unwrap();
        path
    }

    fn open(path: &std::path::Path, steps: &'static [Step]) -> Result<DbFile, StoreError> {
        DbFile::open(path, steps, 1 << 20)
    }

    fn content(file: &DbFile) -> Vec<(String, u64)> {
        file.read(|txn| {
            let rows = txn.open_table(NEW)?.range::<&str>(..)?;
            let mut found = Vec::new();
            for row in rows {
                let (name, id) = row?;
                found.push((name.value().to_owned(), id.value()));
            }
            Ok(found)
        })
        .unwrap()
    }

    fn rows(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        list.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect()
    }

    #[test]
    fn an_old_file_is_brought_forward_step_by_step_and_each_step_runs_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = version_0(&folder);
        assert_eq!(content(&open(&path, ONE).unwrap()), rows(&[("ada", 1), ("bob", 2)]));
        // `turn` would fail a second time: its table is gone.
        assert_eq!(content(&open(&path, TWO).unwrap()), rows(&[("ada", 1), ("added", 3), ("bob", 2)]));
        assert_eq!(content(&open(&path, TWO).unwrap()).len(), 3);
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = version_0(&folder);
        assert!(open(&path, FAILING).is_err());
        assert_eq!(content(&open(&path, ONE).unwrap()), rows(&[("ada", 1), ("bob", 2)]));
    }

    #[test]
    fn a_newer_file_is_refused_untouched_and_the_refusal_names_the_aimg_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = version_0(&folder);
        drop(open(&path, TWO).unwrap());
        let Err(StoreError::Corrupt(refused)) = open(&path, ONE) else {
            panic!("it is newer")
        };
        assert!(refused.contains("old.redb has schema version 2"), "{refused}");
        assert!(refused.contains(&format!("start aimg {} or later", env!("CARGO_PKG_VERSION"))), "{refused}");
        assert_eq!(content(&open(&path, TWO).unwrap()).len(), 3);
    }
}
