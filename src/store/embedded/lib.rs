//! aimg-store-embedded
