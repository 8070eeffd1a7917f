//! The ids of what we make on a PBX: who made it, for which call, and why. Cleaning up and adopting rest on them.

use aimg_domain::CallId;
use std::fmt;
use uuid::Uuid;

/// `aimgx.<cluster>.<pbx short id>.<epoch>.<call, 32 hex digits>.<purpose>`: under 149 bytes, and a prefix that
/// no Asterisk system name has (uniqueids are matched by prefix when a channel is made).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// Names the installation, `[a-z0-9]{1,16}`: two of ours on one Asterisk never touch each other's objects.
    pub cluster: String,
    /// `PbxId::short`.
    pub pbx: String,
    pub epoch: u64,
    pub call: CallId,
    pub purpose: String,
}

const PREFIX: &str = "aimgx";

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}.{}.{}.{}.{}.{}",
            self.cluster,
            self.pbx,
            self.epoch,
            self.call.0.simple(),
            self.purpose
        )
    }
}

impl ObjectId {
    /// `None` for everything that is not ours.
    pub fn parse(text: &str) -> Option<ObjectId> {
        let mut parts = text.splitn(6, '.');
        if parts.next()? != PREFIX {
            return None;
        }
        Some(ObjectId {
            cluster: parts.next()?.to_owned(),
            pbx: parts.next()?.to_owned(),
            epoch: parts.next()?.parse().ok()?,
            call: CallId(Uuid::try_parse(parts.next()?).ok()?),
            purpose: parts.next().filter(|purpose| !purpose.is_empty())?.to_owned(),
        })
    }

    /// Whether a channel id is of our making, whoever of ours made it. Such channels are never parties.
    pub fn is_ours(uniqueid: &str) -> bool {
        uniqueid.starts_with("aimgx.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_is_read_back_and_stays_short() {
        let id = ObjectId {
            cluster: "c".repeat(16),
            pbx: "abcdefghij".into(),
            epoch: u64::MAX,
            call: CallId(Uuid::from_u128(7)),
            purpose: "tap-1-snoop-in".into(),
        };
        assert_eq!(ObjectId::parse(&id.to_string()), Some(id.clone()));
        assert!(id.to_string().len() < 149);
        assert_eq!(ObjectId::parse("t22-1795401193.0"), None);
    }
}
