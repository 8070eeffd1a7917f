//! Real calls on real Asterisks, 16 and 22, with real phones: `scripts/test`, or `cargo test --workspace --test live`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that cannot go on says why and stops

/// Each scenario once on each Asterisk.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {
        mod asterisk_16 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $scenario() { super::$scenario("16").await; })+
        }
        mod asterisk_22 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $scenario() { super::$scenario("22").await; })+
        }
    };
}

mod access;
mod control;
mod death;
mod many;
mod outcomes;
mod plain;
mod scene;
mod stasis;
