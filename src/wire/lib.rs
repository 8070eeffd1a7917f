//! What leaves a node: requests and replies between nodes, websocket commands and topics, audio frames.
//!
//! This crate must never know of sockets or actors. bincode lives in `codec` alone.

pub mod audio;
pub mod close;
pub mod codec;
pub mod filter;
pub mod request;
pub mod topic;
pub mod ws;
