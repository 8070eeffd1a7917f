//! The REST interface and its websocket.

pub(crate) mod request;
pub(crate) mod server;
pub(crate) mod socket;
