//! The Asterisk REST Interface without its sockets: requests to send, answers and events to read.

pub mod answer;
pub mod event;
pub mod request;
pub mod time;

pub use answer::{Answer, Application, AriBridge, AriChannel, AsteriskInfo};
pub use event::AriEvent;
pub use request::{Method, Request};
