//! A user. The password's hash is here and nowhere shown.

use crate::clock::Timestamp;
use crate::id::{TenantId, UserId};
use crate::role::Role;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub tenant_id: TenantId,
    /// Unique in the whole system, compared without case (stored lower-case).
    pub email: String,
    pub name: String,
    pub role: Role,
    pub disabled: bool,
    /// Argon2id, PHC string. Serialises as `***`: stores write it by their own row struct.
    pub password_hash: Secret,
    /// Raised when everything the user holds must end (disabled, role or password changed): tokens name it.
    pub generation: u64,
    pub created_at: Timestamp,
}
