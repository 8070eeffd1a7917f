//! The only part that has sockets to Asterisk: AMI, ARI's REST and its event websockets, held together by one
//! driver a PBX that reconnects for ever.
//!
//! This crate must never know of our actors, tenants or calls. It hands over facts and ARI events, in order,
//! and performs actions and requests, each with a deadline.

mod ami;
mod ari;
mod backoff;
mod commands;
mod config;
mod driver;
mod error;
mod probe;

mod socket;
mod supply;

pub use ami::{AmiConnection, AmiEnd, AmiEvent, AmiHandle, connect as connect_ami};
pub use ari::AriClient;
pub use backoff::Backoff;
pub use commands::{Circuit, LinkState, PbxCommands};
pub use config::{Deadlines, LinkConfig};
pub use driver::{AriApp, BootSource, LinkEvent, LinkUp, PbxLinkDriver};
pub use error::PbxError;
pub use probe::test_pbx;
pub use socket::{AriSocket, SocketEnd};
