//! What a session puts out, and the ends of actions and sessions.

use crate::ami::action::ActionFault;
use crate::ami::message::{Message, Response};
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    Write(Vec<u8>),
    /// Signed in; `version` is that of the banner (`11.0.0`).
    LoggedIn {
        version: String,
    },
    /// Seconds since Asterisk started. Comes only where the account reads class `system`.
    FullyBooted {
        uptime_s: Option<u64>,
    },
    Event(Message),
    /// The end of an action sent under `reply`: its answer, or why there is none.
    Done {
        reply: u64,
        result: Result<Response, Unanswered>,
    },
    /// The session is over; what was under way got its `Done` before.
    Broken(Broken),
}

/// Why an action has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error(transparent)]
    Fault(#[from] ActionFault),
    #[error("not signed in yet")]
    NotSignedIn,
    #[error("too many actions under way")]
    Busy,
    #[error("no answer in time")]
    Timeout,
    #[error("the list is longer than we read")]
    ListTooLong,
    /// It is not known whether it was done.
    #[error("{0}")]
    Broken(Broken),
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("not an Asterisk Manager Interface: it greeted with {banner:?}")]
    NotAsterisk { banner: String },
    #[error("no greeting within {0:?}: not an Asterisk Manager Interface, or it is overloaded")]
    NoBanner(Duration),
    #[error("Authentication failed")]
    AuthenticationFailed,
    #[error("sign-in refused: {0}")]
    LoginRefused(String),
    #[error("no answer to the sign-in within {0:?}")]
    LoginTimeout(Duration),
    #[error("silent for {0:?} in spite of a ping")]
    Silent(Duration),
}
