//! Files that only their owner may read, made once and whole.

use crate::StoreError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

const MAX_BYTES: u64 = 64 << 10;

pub fn private_folder(folder: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| unavailable(folder, &error))
}

/// The file's content; made by `make` when there is no file. Two that start at once agree on one content.
pub fn read_or_make(path: &Path, make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, StoreError>) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    match read(path) {
        Err(ReadError::Missing) => {}
        other => return other.map_err(StoreError::from),
    }
    write_once(path, &make()?)?;
    read(path).map_err(StoreError::from)
}

enum ReadError {
    Missing,
    Other(StoreError),
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> StoreError {
        match error {
            ReadError::Missing => StoreError::Unavailable("a key file vanished".into()),
            ReadError::Other(error) => error,
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing),
        Err(error) => return Err(ReadError::Other(unavailable(path, &error))),
    };
    let mode = file.metadata().map_err(|error| ReadError::Other(unavailable(path, &error)))?.mode();
    if mode & 0o077 != 0 {
        return Err(ReadError::Other(StoreError::Unavailable(format!(
            "{} may be read by others (mode {:o}): run chmod 600 on it, and replace the keys if somebody may have read it",
            path.display(),
            mode & 0o777
        ))));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| ReadError::Other(unavailable(path, &error)))?;
    Ok(bytes)
}

/// Written aside and linked into place, so that a crash leaves the whole file or none and a second maker
/// does not overwrite the first one's keys.
fn write_once(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::hard_link(&aside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    // Its link is in place, or there was an error: either way nobody needs it.
    let _ = fs::remove_file(&aside);
    written.map_err(|error| unavailable(path, &error))
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
