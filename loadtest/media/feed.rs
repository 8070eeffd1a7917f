//! The sender's process, seen from the measuring one. Its words are lines of JSON.

use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// First line to the sender; the second, any, lets it begin.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// One stream each.
    pub to: Vec<SocketAddr>,
    pub seconds: u32,
}

/// First line from the sender.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    pub sources: Vec<SocketAddr>,
}

/// Its last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sent {
    pub packets: u64,
    pub late_ms_max: f64,
}

/// Ends its process when dropped.
pub struct Feed {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub sources: Vec<SocketAddr>,
}

impl Feed {
    pub fn start(to: &[SocketAddr], seconds: u32) -> Result<Feed, String> {
        let own = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
        let mut child = Command::new(own)
            .arg("send")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the sender did not start: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the sender has no pipes".into());
        };
        let mut feed = Feed {
            child,
            input,
            output: BufReader::new(output),
            sources: Vec::new(),
        };
        let plan = Plan { to: to.to_vec(), seconds };
        feed.say(&serde_json::to_string(&plan).map_err(|error| error.to_string())?)?;
        feed.sources = feed.hear::<Ready>()?.sources;
        Ok(feed)
    }

    pub fn go(&mut self) -> Result<(), String> {
        self.say("go")
    }

    /// Waits for its end.
    pub fn finished(&mut self) -> Result<Sent, String> {
        self.hear()
    }

    fn say(&mut self, line: &str) -> Result<(), String> {
        writeln!(self.input, "{line}").map_err(|error| format!("the sender does not listen: {error}"))
    }

    fn hear<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| format!("the sender: {error}"))?;
        serde_json::from_str(&line).map_err(|_| "the sender ended early: its reason is above".to_owned())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
