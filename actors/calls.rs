//! What a call is and what can be done with it, as pure state machines: facts, replies and `now` in, effects out.
//!
//! These modules must never know of ractor, tokio, sockets or clocks. The actors beside them only dispatch.

pub mod actions;
pub mod channel;
pub mod directory;
#[cfg(test)]
mod replay;
pub mod resume;
pub mod session;
pub mod tap;
#[cfg(test)]
mod testing;
