//! The house rules that a machine can check. Reasons: `docs/architecture.md`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says why and stops

mod crates;
mod files;
