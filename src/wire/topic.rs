//! Topics: what can be subscribed to, by name. They resolve inside the caller's tenant and nowhere else.

use aimg_domain::{CallId, Caller, Fault, Permission, TenantId};
use std::fmt;

/// Longest name of a topic, in bytes.
pub const TOPIC_MAX: usize = 128;

/// The tenant is part of the topic of a call, so that no name can lead into another tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// `tenant:<id>:calls`: every event of the tenant's journal: its calls, and what they depend on.
    TenantCalls(TenantId),
    /// `call:<id>`
    Call { tenant: TenantId, call: CallId },
    /// `system:status`: this node, under its own source, as far as it concerns the tenant; `None`: all of it.
    SystemStatus { scope: Option<TenantId> },
}

impl Topic {
    /// The topic that `name` means for this caller.
    pub fn resolve(name: &str, caller: &Caller) -> Result<Topic, Fault> {
        if name.len() > TOPIC_MAX {
            return Err(Fault::invalid("topic", format!("at most {TOPIC_MAX} bytes")));
        }
        let mut topic = Topic::parse(name, caller.tenant)?;
        if topic == (Topic::SystemStatus { scope: Some(caller.tenant) }) && caller.may(Permission::ClusterRead) {
            topic = Topic::SystemStatus { scope: None };
        }
        if let Topic::TenantCalls(tenant) = topic
            && tenant != caller.tenant
        {
            return Err(Fault::Forbidden {
                detail: "this topic is of another tenant than the one you act in".into(),
            });
        }
        caller.require(topic.permission())?;
        Ok(topic)
    }

    fn parse(name: &str, tenant: TenantId) -> Result<Topic, Fault> {
        let parts: Vec<&str> = name.split(':').collect();
        match parts.as_slice() {
            ["tenant", id, "calls"] => Ok(Topic::TenantCalls(TenantId(uuid(id)?))),
            ["call", id] => Ok(Topic::Call {
                tenant,
                call: CallId(uuid(id)?),
            }),
            ["system", "status"] => Ok(Topic::SystemStatus { scope: Some(tenant) }),
            ["call" | "number", _, "transcript"] | ["system", "health"] | ["admin", "notifications" | "alerts"] => {
                Err(Fault::not_possible(format!("the topic {name} is not offered by this version")))
            }
            _ => Err(Fault::invalid("topic", "tenant:<id>:calls, call:<id> or system:status")),
        }
    }

    pub fn permission(&self) -> Permission {
        match self {
            Topic::TenantCalls(_) | Topic::Call { .. } => Permission::CallsRead,
            Topic::SystemStatus { .. } => Permission::SystemRead,
        }
    }

    /// Whose journal its positions belong to; `None`: the node's own log.
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Topic::TenantCalls(tenant) | Topic::Call { tenant, .. } => Some(*tenant),
            Topic::SystemStatus { .. } => None,
        }
    }
}

fn uuid(text: &str) -> Result<uuid::Uuid, Fault> {
    text.parse().map_err(|_| Fault::invalid("topic", "a UUID where the id stands"))
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::TenantCalls(tenant) => write!(f, "tenant:{tenant}:calls"),
            Topic::Call { call, .. } => write!(f, "call:{call}"),
            Topic::SystemStatus { .. } => f.write_str("system:status"),
        }
    }
}

/// Whose positions these are, as pushes and replies name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Tenant(TenantId),
    Node(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Tenant(tenant) => write!(f, "tenant:{tenant}"),
            Source::Node(node) => write!(f, "node:{node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use aimg_domain::{Role, UserId};
    use uuid::Uuid;

    fn caller(tenant: u128, role: Role) -> Caller {
        Caller {
            user: UserId(Uuid::nil()),
            email: "a@example.org".into(),
            role,
            tenant: TenantId(Uuid::from_u128(tenant)),
        }
    }

    #[test]
    fn a_topic_is_read_back_as_it_was_written() {
        let tenant = TenantId(Uuid::from_u128(1));
        for topic in [
            Topic::TenantCalls(tenant),
            Topic::Call {
                tenant,
                call: CallId(Uuid::from_u128(5)),
            },
            Topic::SystemStatus { scope: Some(tenant) },
        ] {
            assert_eq!(Topic::resolve(&topic.to_string(), &caller(1, Role::Viewer)), Ok(topic));
        }
    }

    #[test]
    fn another_tenants_topic_is_forbidden_also_for_a_super_admin() {
        let name = Topic::TenantCalls(TenantId(Uuid::from_u128(2))).to_string();
        for role in Role::ALL {
            assert_eq!(Topic::resolve(&name, &caller(1, role)).unwrap_err().code(), "forbidden");
        }
    }

    #[test]
    fn the_same_call_name_leads_each_caller_into_their_own_tenant() {
        let name = format!("call:{}", Uuid::from_u128(5));
        let one = Topic::resolve(&name, &caller(1, Role::Viewer)).unwrap();
        let other = Topic::resolve(&name, &caller(2, Role::Viewer)).unwrap();
        assert_ne!(one, other);
    }

    #[test]
    fn only_who_operates_the_platform_sees_the_whole_system() {
        let scope = |role| match Topic::resolve("system:status", &caller(1, role)) {
            Ok(Topic::SystemStatus { scope }) => scope,
            other => panic!("{other:?}"),
        };
        assert_eq!(scope(Role::SuperAdmin), None);
        assert_eq!(scope(Role::TenantAdmin), Some(TenantId(Uuid::from_u128(1))));
    }

    #[test]
    fn what_is_not_offered_says_so_and_nonsense_names_the_field() {
        let of = |name: &str| Topic::resolve(name, &caller(1, Role::SuperAdmin)).unwrap_err();
        assert_eq!(of("admin:alerts").code(), "not_possible_here");
        assert_eq!(of("number:+4930:transcript").code(), "not_possible_here");
        for name in ["", "calls", "call:7", "tenant:x:calls", "system:", &"x".repeat(500)] {
            assert!(matches!(of(name), Fault::Invalid { fields } if fields[0].field == "topic"), "{name}");
        }
    }
}
