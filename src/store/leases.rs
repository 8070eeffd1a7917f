//! Port `Leases`: who owns what, fenced. A lone node needs one: its folder.

use crate::error::StoreError;
use async_trait::async_trait;
use std::any::Any;
use std::fmt;

/// Ownership that lasts as long as this value does.
pub struct Lease {
    /// What is owned: `node`.
    pub subject: String,
    /// Grows with every new owner; what writes names it, so that an old owner is refused.
    pub epoch: u64,
    /// Freed when dropped.
    _guard: Box<dyn Any + Send + Sync>,
}

impl Lease {
    pub fn new(subject: impl Into<String>, epoch: u64, guard: impl Any + Send + Sync) -> Lease {
        Lease {
            subject: subject.into(),
            epoch,
            _guard: Box::new(guard),
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} epoch {})", self.subject, self.epoch)
    }
}

#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// `Unavailable` with the present owner in words when somebody else owns it.
    async fn acquire(&self, subject: &str) -> Result<Lease, StoreError>;
    /// Whether the lease still holds. After `false` its holder must stop writing.
    async fn holds(&self, lease: &Lease) -> Result<bool, StoreError>;
}
