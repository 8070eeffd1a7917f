//! The manager interface: how events are written, how actions are read, what each action does, and the server.

pub(crate) mod action;
pub(crate) mod class;
pub(crate) mod event;
pub(crate) mod execute;
pub(crate) mod filter;
pub(crate) mod listing;
pub(crate) mod login;
pub(crate) mod server;
