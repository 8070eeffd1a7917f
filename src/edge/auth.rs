//! Credentials: passwords, tokens, sign-in, the first administrator.

mod admin;
mod password;
mod token;

pub use admin::{AdminSeed, ensure_admin};
pub use password::{Passwords, hash_password};
pub use token::{Claims, TokenError, TokenUse, Tokens, issue_token};
