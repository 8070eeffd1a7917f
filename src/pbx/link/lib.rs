//! aimg-pbx-link
