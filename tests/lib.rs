//! What the suites share: a node as its real process, Asterisk and phones as theirs, clients of the outside interfaces, and
//! ears. It knows the product only from outside (command line, HTTP, websocket), never its crates: what a suite sees is what a
//! user sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that cannot go on says why and stops

pub mod api;
pub mod asterisk;
pub mod audio;
pub mod binary;
pub mod node;
pub mod phone;
pub mod poll;
pub mod process;
pub mod socket;
pub mod wav;

pub use api::Api;
pub use asterisk::Asterisk;
pub use node::Node;
pub use phone::Phone;
pub use poll::{eventually, within};
pub use socket::{AudioSocket, EventSocket};
