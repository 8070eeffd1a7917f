//! Credentials: passwords, tokens, sign-in, the first administrator.

mod admin;
mod guard;
mod password;
mod token;

pub use admin::{AdminSeed, ensure_admin};
pub(crate) use guard::LoginGuard;
pub use password::{Passwords, hash_password};
pub use token::{Claims, TokenError, TokenUse, Tokens, issue_token};
