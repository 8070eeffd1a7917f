//! A node as a child process, on a data folder that goes with it.

use crate::usage::Process;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

pub const EMAIL: &str = "load@example.org";
pub const PASSWORD: &str = "measured-not-guessed";
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// Killed when dropped before [`Node::stop`].
pub struct Node {
    child: Child,
    pub process: Process,
    pub url: String,
    /// Held open: a node whose words nobody can read ends.
    _output: Lines<BufReader<ChildStdout>>,
    _data: TempDir,
}

/// The one given, or the one that was built beside this program.
pub fn binary(given: Option<&Path>) -> Result<PathBuf, String> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("aimg"),
    };
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!(
            "no node at {}: build it (cargo build --release -p aimg) or name it with --aimg",
            path.display()
        ))
    }
}

impl Node {
    pub async fn start(binary: &Path) -> Result<Node, String> {
        let data = TempDir::with_prefix("aimg-load-").map_err(|error| format!("data folder: {error}"))?;
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("AIMG_ADMIN_EMAIL", EMAIL)
            .env("AIMG_ADMIN_PASSWORD", PASSWORD)
            .env("AIMG_LOG__FILTER", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let process = Process(child.id().ok_or("the node ended at once")?);
        let mut output = BufReader::new(child.stdout.take().ok_or("the node has no output")?).lines();
        let url = timeout(START, address(&mut output))
            .await
            .map_err(|_| "the node did not say its address in time")??;
        Ok(Node {
            child,
            process,
            url,
            _output: output,
            _data: data,
        })
    }

    /// As an operator would.
    pub async fn stop(mut self) -> Result<(), String> {
        let pid = i32::try_from(self.process.0).map_err(|error| error.to_string())?;
        // SAFETY: no pointers; the child was not waited for, so the number is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        match timeout(STOP, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("the node ended with {status}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the node did not stop in time".into()),
        }
    }
}

async fn address(output: &mut Lines<BufReader<ChildStdout>>) -> Result<String, String> {
    while let Some(line) = output.next_line().await.map_err(|error| error.to_string())? {
        if let Some((_, url)) = line.split_once(" serves at ") {
            return Ok(url.trim().to_owned());
        }
    }
    Err("the node ended before it served: its reason is above".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_there_is_told_with_what_to_do() {
        let error = binary(Some(Path::new("no/such/aimg"))).err().unwrap_or_default();
        assert!(error.contains("no/such/aimg") && error.contains("--aimg"), "{error}");
    }
}
