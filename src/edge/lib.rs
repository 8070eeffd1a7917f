//! aimg-edge
