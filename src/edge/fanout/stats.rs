//! What a lane has done so far.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        #[derive(Default)]
        pub(crate) struct Counters { $(pub $name: AtomicU64),* }

        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct LaneStats { $($(#[$doc])* pub $name: u64),* }

        impl Counters {
            pub fn snapshot(&self) -> LaneStats {
                LaneStats { $($name: self.$name.load(Relaxed)),* }
            }
        }

        impl LaneStats {
            /// Adds figure by figure.
            pub fn add(&mut self, other: &LaneStats) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

stats! {
    /// Sockets it writes now.
    sockets,
    /// Pushes handed to sockets.
    deliveries,
    /// System calls that wrote.
    writes,
    bytes,
    /// Writes that the kernel did not take at once.
    blocked,
    /// Sockets closed because they did not read.
    slow_closed,
    /// Held subscriptions that overflowed.
    hold_overflows,
    /// Audio frames dropped for slow listeners.
    loose_dropped,
    /// Signals replaced by a later one before they were sent.
    conflated,
    /// Times the lane lost its place because its inbox was full.
    overruns,
    /// Times its thread was replaced.
    replaced,
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}
