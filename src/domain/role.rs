//! Roles and the closed list of permissions (`resource.verb`).

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    SuperAdmin,
    TenantAdmin,
    Operator,
    Viewer,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::SuperAdmin, Role::TenantAdmin, Role::Operator, Role::Viewer];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::SuperAdmin => "super_admin",
            Role::TenantAdmin => "tenant_admin",
            Role::Operator => "operator",
            Role::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether a person of this role may do `permission` in the tenant that the request is about. Whether that
    /// tenant is theirs is decided before (`Caller`).
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Role::SuperAdmin => true,
            Role::TenantAdmin => !matches!(permission, P::TenantsCreate | P::ClusterRead | P::ClusterOperate | P::PlatformPbxs),
            Role::Operator => matches!(
                permission,
                P::TenantsRead
                    | P::UsersReadSelf
                    | P::PbxsRead
                    | P::CallsRead
                    | P::CallsMonitor
                    | P::CallsControl
                    | P::CallsOriginate
                    | P::RecordingsRead
                    | P::RecordingsCreate
                    | P::EventsRead
                    | P::SystemRead
            ),
            Role::Viewer => matches!(
                permission,
                P::TenantsRead | P::UsersReadSelf | P::PbxsRead | P::CallsRead | P::CallsMonitor | P::RecordingsRead | P::EventsRead | P::SystemRead
            ),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Permission { $($(#[$doc])* $name),* }

        impl Permission {
            pub const ALL: &'static [Permission] = &[$(Permission::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Permission::$name => $text),* }
            }
        }
    };
}

permissions! {
    TenantsRead = "tenants.read",
    /// Change the caller's own tenant.
    TenantsManage = "tenants.manage",
    TenantsCreate = "tenants.create",
    UsersReadSelf = "users.read_self",
    UsersRead = "users.read",
    UsersManage = "users.manage",
    PbxsRead = "pbxs.read",
    PbxsManage = "pbxs.manage",
    /// PBXs of the platform, and `match: all` on them.
    PlatformPbxs = "pbxs.platform",
    CallsRead = "calls.read",
    /// Hear a call live.
    CallsMonitor = "calls.monitor",
    CallsControl = "calls.control",
    CallsOriginate = "calls.originate",
    RecordingsRead = "recordings.read",
    /// Start, pause, resume and stop recording.
    RecordingsCreate = "recordings.create",
    EventsRead = "events.read",
    SystemRead = "system.read",
    ClusterRead = "cluster.read",
    ClusterOperate = "cluster.operate",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
