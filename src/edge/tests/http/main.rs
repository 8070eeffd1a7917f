//! The edge as its clients meet it: real HTTP on a socket, stores in memory, a tree that is pretended.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod auth;
mod authorisation;
mod calls;
mod document;
mod hostile;
mod idempotency;
mod node;
mod pbxs;
mod pretended;
mod recordings;
mod shape;
mod sockets;
mod support;
mod tenancy;
mod users;
