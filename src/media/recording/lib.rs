//! aimg-recording
