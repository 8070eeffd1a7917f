//! aimg-simulator
