//! Who asks. Made by the edge from a credential, and carried by every request, also between nodes.

use crate::fault::Fault;
use crate::id::{TenantId, UserId};
use crate::role::{Permission, Role};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub user: UserId,
    pub email: String,
    pub role: Role,
    /// The tenant the caller acts in. A super_admin may have chosen another than the home tenant.
    pub tenant: TenantId,
}

impl Caller {
    pub fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }

    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        if self.may(permission) {
            return Ok(());
        }
        Err(Fault::Forbidden {
            detail: format!("role {} lacks the permission {permission}", self.role),
        })
    }
}
