//! aimg-media
