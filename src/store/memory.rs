//! Adapters in memory: for tests of other crates, and `Shared` of a lone node. They pass the same suites as
//! those on disk, but forget everything.

mod calls;
mod records;
mod series;
mod shared;

pub use calls::MemoryCalls;
pub use records::MemoryRecords;
pub use series::MemorySeries;
pub use shared::MemoryShared;
