//! aimg-placement
