//! aimg-actors

pub mod calls;
