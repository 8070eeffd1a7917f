//! `keys/operator.json`: who the command line on the node's own host acts as. It holds no secret; that the keys beside
//! it can be read is what gives the right.

use crate::system::{SystemClock, SystemIds};
use aimg_domain::user::User;
use aimg_domain::{Clock, IdSource, Role, TenantId, Timestamp, UserId};
use aimg_edge::auth::issue_token;
use aimg_store::secrets::Keyring;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operator {
    pub user: UserId,
    pub tenant: TenantId,
    pub email: String,
    pub generation: u64,
}

const FILE: &str = "operator.json";

impl Operator {
    pub fn of(user: &User) -> Operator {
        Operator {
            user: user.id,
            tenant: user.tenant_id,
            email: user.email.clone(),
            generation: user.generation,
        }
    }

    pub fn read(keys: &Path) -> Result<Option<Operator>, String> {
        let path = keys.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Whole or not at all: a reader never sees half of it.
    pub fn write(&self, keys: &Path) -> Result<(), String> {
        let (path, fresh) = (keys.join(FILE), keys.join("operator.json.new"));
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            std::io::Write::write_all(&mut file, &serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    fn user(&self) -> User {
        User {
            id: self.user,
            tenant_id: self.tenant,
            email: self.email.clone(),
            name: String::new(),
            role: Role::SuperAdmin,
            disabled: false,
            password_hash: aimg_domain::secret::Secret::default(),
            generation: self.generation,
            created_at: Timestamp(0),
        }
    }
}

/// A token made without the node: from the key files alone.
pub fn local_token(data: &Path, life: Duration) -> Result<String, String> {
    let keys = data.join("keys");
    if !keys.is_dir() {
        return Err(format!("{} has no keys: a node was never started on it", data.display()));
    }
    let operator = Operator::read(&keys)?.ok_or_else(|| format!("{} has no administrator yet", data.display()))?;
    let keyring = Keyring::open(&keys).map_err(|error| format!("{}: {error}", keys.display()))?;
    let token = issue_token(&keyring, &operator.user(), SystemIds.uuid(), SystemClock::new().now(), life);
    token.map(|token| token.expose().to_owned()).map_err(|error| error.to_string())
}
