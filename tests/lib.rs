//! aimg-tests
