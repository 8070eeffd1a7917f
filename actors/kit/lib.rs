//! aimg-actor-kit
