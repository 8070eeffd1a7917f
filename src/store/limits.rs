//! What one write may hold. Every adapter refuses more with `TooLarge`, so that callers meet the same bounds
//! wherever their data lives.

use crate::StoreError;
use aimg_domain::Timestamp;

/// A document's body.
pub const DOCUMENT_BYTES: usize = 4 << 20;
/// The value of a unique or lookup key.
pub const KEY_BYTES: usize = 64 << 10;
/// One event or one session as stored.
pub const ROW_BYTES: usize = 1 << 20;
/// All rows of one commit.
pub const COMMIT_BYTES: usize = 8 << 20;
/// The name of a series.
pub const SERIES_NAME_BYTES: usize = 200;
/// Rows of one page, whatever the caller asks for.
pub const PAGE_ROWS: usize = 10_000;
/// Above this a count is not told.
pub const COUNT: u64 = 10_000;
/// Index rows that a page or a count may look at before it says "go on from here" or "too many to count".
pub const SCAN_ROWS: usize = 50_000;

pub fn check(what: &'static str, bytes: usize, limit: usize) -> Result<(), StoreError> {
    if bytes > limit {
        return Err(StoreError::TooLarge { what, limit });
    }
    Ok(())
}

/// A time that has no RFC 3339 form (beyond the year 9999) could be written and never read again.
pub fn check_time(time: Timestamp) -> Result<(), StoreError> {
    match time.to_string().parse::<Timestamp>() {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::TooLarge { what: "year", limit: 9999 }),
    }
}
