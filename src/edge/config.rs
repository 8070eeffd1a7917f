//! What the edge is told at boot. Every limit is here, with the value a small machine stands.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// HTTP connections at once; one more is answered 503 and closed. Upgraded sockets are counted apart.
    pub max_connections: usize,
    /// From the first byte awaited to the end of the headers: bounds idle keep-alive connections and slow headers alike.
    pub header_read_timeout: Duration,
    /// Request line and headers, bytes (hyper takes no less than 8192).
    pub max_header_bytes: usize,
    pub max_headers: usize,
    /// A connection on which neither side moves for this long is closed.
    pub idle_timeout: Duration,
    /// How long open requests may take after the order to shut down.
    pub shutdown_grace: Duration,
    /// Of a JSON body, bytes.
    pub max_body_bytes: u64,
    /// For a request, unless its row says otherwise.
    pub request_timeout: Duration,
    pub max_sockets: usize,
    pub max_sockets_per_user: usize,
    /// Recordings sent at once: each holds a thread.
    pub max_downloads: usize,
    pub access_token_life: Duration,
    pub refresh_token_life: Duration,
    /// Wrong passwords for one email from one address, until `login_window` after the first.
    pub login_failures: u32,
    /// Wrong passwords from one address, whatever the email.
    pub login_failures_per_address: u32,
    pub login_window: Duration,
    /// Passwords checked at once (argon2 takes 19 MiB each) and how many more may wait.
    pub password_checks: usize,
    pub password_checks_waiting: usize,
    /// Written into `next` and `previous`; by default what the client's `Host` says.
    pub public_url: Option<String>,
}

impl Default for EdgeConfig {
    fn default() -> EdgeConfig {
        EdgeConfig {
            max_connections: 4096,
            header_read_timeout: Duration::from_secs(30),
            max_header_bytes: 16 * 1024,
            max_headers: 64,
            idle_timeout: Duration::from_secs(90),
            shutdown_grace: Duration::from_secs(10),
            max_body_bytes: 1024 * 1024,
            request_timeout: Duration::from_secs(15),
            max_sockets: 20_000,
            max_sockets_per_user: 12_000,
            max_downloads: 64,
            access_token_life: Duration::from_secs(3600),
            refresh_token_life: Duration::from_secs(7 * 24 * 3600),
            login_failures: 10,
            login_failures_per_address: 100,
            login_window: Duration::from_secs(300),
            password_checks: 2,
            password_checks_waiting: 64,
            public_url: None,
        }
    }
}
