//! Bounds of the lanes.

use std::time::Duration;
use tokio::runtime::Handle;

#[derive(Clone, Debug)]
pub struct LanesConfig {
    /// Threads. One a core is enough.
    pub lanes: usize,
    /// What may wait for a socket that does not take it. Beyond it the socket is closed as a slow consumer.
    pub outbox_bytes_max: usize,
    /// What a held subscription may keep. Beyond it the subscription has to be made again.
    pub hold_bytes_max: usize,
    /// Audio that may wait for a socket. Beyond it the oldest is dropped.
    pub loose_bytes_max: usize,
    /// Publications that may wait for a lane. Beyond it the lane has lost its place: its sockets are closed to resume.
    pub inbox_bytes_max: usize,
    /// How long a busy lane gathers.
    pub gather: Duration,
    /// After how long a quiet filtered subscription is told its position.
    pub mark_after: Duration,
    /// A lane without a sign of life for so long is replaced.
    pub silent_after: Duration,
    /// How long a closed socket may take to accept the close frame.
    pub linger: Duration,
    /// Where the waits for writable sockets run.
    pub runtime: Handle,
}

impl LanesConfig {
    pub fn new(runtime: Handle) -> LanesConfig {
        LanesConfig {
            lanes: std::thread::available_parallelism().map_or(1, usize::from),
            outbox_bytes_max: 1 << 20,
            hold_bytes_max: 1 << 20,
            loose_bytes_max: 64 << 10,
            inbox_bytes_max: 64 << 20,
            gather: Duration::from_millis(1),
            mark_after: Duration::from_secs(15),
            silent_after: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            runtime,
        }
    }
}
