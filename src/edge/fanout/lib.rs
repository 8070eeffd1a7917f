//! aimg-fanout
