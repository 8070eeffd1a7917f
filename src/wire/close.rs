//! Why a websocket is closed: the code and the word that a client gets.
//!
//! | code | reason | what a client should do |
//! |---|---|---|
//! | 1000 | done | nothing: what the connection was for has ended |
//! | 1002 | protocol error | repair the client |
//! | 1007 | text is not UTF-8 | repair the client |
//! | 1009 | message too large | send less than 64 KiB |
//! | 1011 | internal error | connect again and resume |
//! | 4001 | credential expired or revoked | sign in again |
//! | 4003 | permission lost | do not come back with this credential |
//! | 4008 | slow consumer | connect again and resume; read faster or filter more |
//! | 4010 | node is draining | connect again at once: another node serves, resume |
//! | 4011 | resume | connect again and resume: this node cannot say what was sent |
//! | 4029 | too many connections | wait, then connect again |
//! | 4040 | no such call, or its audio cannot be had | nothing: asking again will not help before something changes |
//! | 4080 | no sign of life | connect again and resume |

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    Done,
    Protocol,
    NotUtf8,
    TooLarge,
    Internal,
    Auth,
    Permission,
    SlowConsumer,
    Draining,
    Resume,
    Limit,
    NotAvailable,
    Silent,
}

impl CloseCode {
    pub const ALL: [CloseCode; 13] = [
        CloseCode::Done,
        CloseCode::Protocol,
        CloseCode::NotUtf8,
        CloseCode::TooLarge,
        CloseCode::Internal,
        CloseCode::Auth,
        CloseCode::Permission,
        CloseCode::SlowConsumer,
        CloseCode::Draining,
        CloseCode::Resume,
        CloseCode::Limit,
        CloseCode::NotAvailable,
        CloseCode::Silent,
    ];

    pub fn code(self) -> u16 {
        match self {
            CloseCode::Done => 1000,
            CloseCode::Protocol => 1002,
            CloseCode::NotUtf8 => 1007,
            CloseCode::TooLarge => 1009,
            CloseCode::Internal => 1011,
            CloseCode::Auth => 4001,
            CloseCode::Permission => 4003,
            CloseCode::SlowConsumer => 4008,
            CloseCode::Draining => 4010,
            CloseCode::Resume => 4011,
            CloseCode::Limit => 4029,
            CloseCode::NotAvailable => 4040,
            CloseCode::Silent => 4080,
        }
    }

    /// The reason sent when nothing more precise is known.
    pub fn reason(self) -> &'static str {
        match self {
            CloseCode::Done => "done",
            CloseCode::Protocol => "protocol error",
            CloseCode::NotUtf8 => "text is not UTF-8",
            CloseCode::TooLarge => "message too large",
            CloseCode::Internal => "internal error",
            CloseCode::Auth => "credential expired or revoked",
            CloseCode::Permission => "permission lost",
            CloseCode::SlowConsumer => "slow consumer",
            CloseCode::Draining => "node is draining",
            CloseCode::Resume => "resume",
            CloseCode::Limit => "too many connections",
            CloseCode::NotAvailable => "not available",
            CloseCode::Silent => "no sign of life",
        }
    }
}
