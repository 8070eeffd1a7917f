//! The Asterisk Manager Interface without its socket: bytes and `now` in, messages, facts and bytes out.

pub mod action;
pub mod fact;
pub mod frame;
pub mod message;
pub mod session;

pub use action::{Action, ActionFault};
pub use frame::{Decoder, Frame};
pub use message::{Message, Response};
pub use session::{AmiSession, Broken, Output, SessionConfig};
