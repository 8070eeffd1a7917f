//! aimg-dashboard
