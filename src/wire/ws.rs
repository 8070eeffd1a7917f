//! The websocket protocol: frames (RFC 6455), what clients command, what they are sent.

pub mod command;
pub mod frame;
pub mod push;
pub mod reply;
