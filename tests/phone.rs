//! Phones, by `scripts/phones`.

use crate::asterisk::Asterisk;
use crate::process::{Signal, script, signal};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

pub struct Phone {
    child: Child,
    what: String,
    log: tempfile::NamedTempFile,
}

impl Phone {
    /// Calls an extension, talks and hangs up, as the options say (`--talk 5000`).
    pub fn call(asterisk: &Asterisk, extension: &str, options: &[&str]) -> Phone {
        Phone::run(&["call", &asterisk.name, extension], options)
    }

    /// The trunk's other end; ready to be called when this returns.
    pub async fn answer(asterisk: &Asterisk, options: &[&str]) -> Phone {
        let phone = Phone::run(&["answer", &asterisk.name], options);
        let port: u16 = asterisk.env("TRUNK_PORT").parse().expect("a port");
        crate::eventually(Duration::from_secs(120), "the trunk's other end listens", || async {
            match std::net::UdpSocket::bind(("127.0.0.1", port)) {
                Ok(_) => Err("nobody has the port".into()),
                Err(_) => Ok(()),
            }
        })
        .await;
        phone
    }

    /// A registered phone; registered when this returns.
    pub async fn register(asterisk: &Asterisk, user: &str, options: &[&str]) -> Phone {
        let phone = Phone::run(&["register", &asterisk.name, user], options);
        crate::eventually(Duration::from_secs(120), &format!("{user} is registered"), || async {
            let endpoint = asterisk.ari(&format!("endpoints/PJSIP/{user}")).await;
            if endpoint["state"] == "online" { Ok(()) } else { Err(endpoint.to_string()) }
        })
        .await;
        phone
    }

    fn run(arguments: &[&str], options: &[&str]) -> Phone {
        let log = tempfile::NamedTempFile::new().expect("a log file");
        let output = log.reopen().expect("the log file");
        let mut command = Command::new(script("phones"));
        command.args(arguments).args(options).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("one file twice")).stderr(output);
        Phone {
            child: command.spawn().expect("scripts/phones starts"),
            what: format!("phones {} {}", arguments.join(" "), options.join(" ")),
            log,
        }
    }

    /// Its end, which has to be a good one.
    pub async fn done(&mut self, deadline: Duration) {
        let status = crate::within(deadline, &self.what, self.child.wait()).await.expect("its end is seen");
        assert!(status.success(), "{}: {status}\n{}", self.what, self.said());
    }

    /// Its end, whatever it is: the other side may be dead.
    pub async fn over(&mut self, deadline: Duration) {
        let _ = crate::within(deadline, &self.what, self.child.wait()).await;
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        // The script ends its own child when it is asked to end, not when it is killed.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(&self.child, Signal::Terminate);
        }
    }
}

/// Where the phones' voice of this seed comes from.
pub fn voice_script() -> PathBuf {
    script("voice")
}
