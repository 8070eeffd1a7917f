//! A node as its real process: started, killed, started again on the same data.

use crate::api::Api;
use crate::binary::aimg;
use crate::poll::eventually;
use crate::process::{Signal, signal};
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub const EMAIL: &str = "admin@example.org";
pub const PASSWORD: &str = "correct horse battery staple";

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const MEDIA_PORTS: u16 = 40;

/// How a node is run, beyond the ordinary.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its data is here instead of in its own folder.
    pub data: Option<PathBuf>,
    /// More of its configuration file, in TOML.
    pub config: String,
}

pub struct Node {
    child: Option<Child>,
    folder: TempDir,
    options: Options,
    port: u16,
    media: MediaPorts,
    starts: usize,
}

impl Node {
    /// `aimg serve` on a new data folder, ready to serve.
    pub async fn serve() -> Node {
        Node::serve_with(Options::default()).await
    }

    pub async fn serve_with(options: Options) -> Node {
        let mut node = Node {
            child: None,
            folder: tempfile::Builder::new().prefix("aimg-node-").tempdir().expect("a folder for the data"),
            options,
            port: free_port(),
            media: MediaPorts::reserve(),
            starts: 0,
        };
        std::fs::write(node.config_path(), node.config()).expect("the configuration is written");
        node.start().await;
        node
    }

    fn config(&self) -> String {
        let (first, last) = (self.media.from, self.media.from + MEDIA_PORTS - 1);
        format!(
            "[media]\nbind = \"127.0.0.1\"\nports = [{first}, {last}]\n\n[log]\nfilter = \"info,aimg::access=warn\"\n{}",
            self.options.config
        )
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("node.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.options.data.clone().unwrap_or_else(|| self.folder.path().join("data"))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it on what its former life left, and waits until it can serve.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.starts += 1;
        let log = std::fs::File::create(self.log_path(self.starts)).expect("a log file");
        let mut command = program();
        command.arg("serve").arg("--config").arg(self.config_path()).arg("--data").arg(self.data());
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.env("AIMG_ADMIN_EMAIL", EMAIL).env("AIMG_ADMIN_PASSWORD", PASSWORD);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("one file twice")).stderr(log);
        // SAFETY: a plain system call, allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // So that a write beyond `limit_files` is an error, as on a full disk, and not the end.
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                Ok(())
            });
        }
        self.child = Some(command.kill_on_drop(true).spawn().expect("aimg starts"));
        self.ready().await;
    }

    async fn ready(&mut self) {
        let url = format!("{}/readyz", self.url());
        let client = crate::api::client();
        let until = tokio::time::Instant::now() + START;
        loop {
            let gone = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(gone.is_none(), "aimg ended while starting: {gone:?}\n{}", self.log());
            let last = match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert!(tokio::time::Instant::now() < until, "not ready within {START:?}: {last}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Signed in as the first administrator.
    pub async fn api(&self) -> Api {
        Api::sign_in(&self.url(), EMAIL, PASSWORD).await
    }

    /// SIGKILL, as a crash of the machine would.
    pub async fn kill(&mut self) {
        self.end(Signal::Kill).await;
    }

    /// SIGTERM, and the end of what it was doing.
    pub async fn stop(&mut self) {
        self.end(Signal::Terminate).await;
    }

    async fn end(&mut self, how: Signal) {
        let mut child = self.child.take().expect("it runs");
        signal(&child, how);
        crate::within(STOP, "aimg ends", child.wait()).await.expect("its end is seen");
    }

    /// From now on no file may be written beyond this many bytes, which is what a full disk is to a node. `None`: as before.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = libc::rlimit {
            rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY),
            rlim_max: libc::RLIM_INFINITY,
        };
        let pid = libc::pid_t::try_from(self.pid()).expect("process ids fit");
        // SAFETY: a plain system call on a child that has not been waited for, with a limit that lives across it.
        let result = unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    fn log_path(&self, start: usize) -> PathBuf {
        self.folder.path().join(format!("log-{start}"))
    }

    /// Of all its lives.
    pub fn log(&self) -> String {
        (1..=self.starts)
            .map(|start| std::fs::read_to_string(self.log_path(start)).unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n--- started again ---\n")
    }

    /// A command of `aimg` against this node, with its own keys.
    pub fn command(&self, name: &str) -> Command {
        let mut command = program();
        command.arg(name).arg("--url").arg(self.url()).arg("--data").arg(self.data());
        command
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the node's log, last lines ---\n{}", last_lines(&self.log(), 80));
        }
    }
}

/// `aimg demo --json`, ready, with its line read.
pub struct Demo {
    child: Child,
    pub url: String,
    pub token: String,
    pub announced: Value,
    _folder: TempDir,
}

impl Demo {
    pub async fn start(arguments: &[&str]) -> Demo {
        let folder = tempfile::Builder::new().prefix("aimg-demo-").tempdir().expect("a folder for the data");
        Demo::start_on(folder, arguments).await
    }

    async fn start_on(folder: TempDir, arguments: &[&str]) -> Demo {
        let mut command = program();
        let listen = format!("127.0.0.1:{}", free_port());
        command
            .args(["demo", "--json", "--listen", &listen])
            .arg("--data")
            .arg(folder.path())
            .args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("aimg starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let line = crate::within(START, "the demo says where it is", lines.next_line())
            .await
            .expect("its output is text");
        let announced: Value = serde_json::from_str(&line.expect("it did not end before its line")).expect("the line is JSON");
        let text = |key: &str| announced[key].as_str().unwrap_or_else(|| panic!("{key} in {announced}")).to_owned();
        Demo {
            url: text("url"),
            token: text("token"),
            announced,
            child,
            _folder: folder,
        }
    }

    pub fn api(&self) -> Api {
        Api::with_token(&self.url, &self.token)
    }

    /// Ends it as Ctrl-C's sibling does; it has to end by itself.
    pub async fn stop(mut self) {
        signal(&self.child, Signal::Terminate);
        let ended = crate::within(STOP, "the demo ends", self.child.wait()).await.expect("its end is seen");
        assert!(ended.success(), "the demo ended with {ended}");
    }
}

/// `aimg` without what this shell may have set: `AIMG_…` is configuration.
pub fn program() -> Command {
    let mut command = Command::new(aimg());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AIMG_")) {
        command.env_remove(name);
    }
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A range that no other node of any test has, in any process: a restarted node must find its ports free. (scripts/asterisk
/// leaves 21000 to 21999 to nodes.)
struct MediaPorts {
    from: u16,
    _lock: std::fs::File,
}

impl MediaPorts {
    fn reserve() -> MediaPorts {
        for from in (21000..22000 - MEDIA_PORTS).step_by(usize::from(MEDIA_PORTS)) {
            let lock = std::env::temp_dir().join(format!("aimg-media-ports-{from}.lock"));
            let lock = std::fs::File::create(&lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
            if lock.try_lock().is_ok() && UdpSocket::bind(("127.0.0.1", from)).is_ok() {
                return MediaPorts { from, _lock: lock };
            }
        }
        panic!("all media ports from 21000 to 21999 are taken: too many nodes at once");
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The lock of a data folder is free again: its node is gone.
pub async fn unlocked(data: &Path) {
    eventually(STOP, "the data folder is free", || async {
        let lock = std::fs::File::open(data.join("lock")).map_err(|error| error.to_string())?;
        lock.try_lock_shared().map_err(|error| error.to_string())
    })
    .await;
}
