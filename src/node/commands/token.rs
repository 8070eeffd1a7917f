//! `aimg token`: a short-lived access token for the first administrator, for whoever may read the key files.

use super::say;
use crate::cli;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Longest life of a token made here.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub fn run(given: &cli::Token) -> Result<(), String> {
    if given.valid_for > LONGEST || given.valid_for.is_zero() {
        return Err("--for: expected at most 24h".into());
    }
    let token = from_keys(&given.data, given.valid_for)?;
    if given.json {
        say(json!({ "token": token, "expires_in": given.valid_for.as_secs() }));
    } else {
        say(token);
    }
    Ok(())
}

pub fn from_keys(data: &Path, valid_for: Duration) -> Result<String, String> {
    crate::operator::local_token(data, valid_for)
}
