//! aimg-actors
