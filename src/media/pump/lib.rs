//! aimg-media-pump

/// A reader's cursor into a stream's ring of frames.
pub struct FrameReader;
