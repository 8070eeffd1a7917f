//! aimg-media-pump
