//! Processes that end with the test, and their signals.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' folder is in the checkout")
        .to_owned()
}

pub fn script(name: &str) -> PathBuf {
    root().join("scripts").join(name)
}

/// Runs to its end and gives what it printed; panics with both outputs when it failed.
pub async fn run(deadline: Duration, command: &mut Command) -> String {
    let what = format!("{command:?}");
    let (ok, out, err) = attempt(deadline, command).await;
    assert!(ok, "failed: {what}\n{out}\n{err}");
    out
}

/// Runs to its end: whether it went well, and both outputs.
pub async fn attempt(deadline: Duration, command: &mut Command) -> (bool, String, String) {
    let what = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
    let output = crate::within(deadline, &what, child.wait_with_output())
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[derive(Clone, Copy, Debug)]
pub enum Signal {
    Terminate,
    Kill,
    Freeze,
    Thaw,
}

pub fn signal(child: &Child, signal: Signal) {
    let Some(pid) = child.id() else { return };
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
        Signal::Freeze => libc::SIGSTOP,
        Signal::Thaw => libc::SIGCONT,
    };
    let pid = libc::pid_t::try_from(pid).expect("process ids fit");
    // SAFETY: a plain system call on a child that has not been waited for, so its number is not another's.
    let result = unsafe { libc::kill(pid, number) };
    assert_eq!(result, 0, "signal {signal:?} to {pid}");
}
