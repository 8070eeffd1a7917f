//! A real Asterisk, by `scripts/asterisk`.

use crate::process::{attempt, run, script};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// The first one may have to be downloaded.
const INSTALL: Duration = Duration::from_secs(600);
const COMMAND: Duration = Duration::from_secs(60);

pub struct Asterisk {
    pub name: String,
    pub version: String,
    env: HashMap<String, String>,
}

/// A row of Asterisk's own call detail records.
#[derive(Clone, Debug)]
pub struct CdrRow {
    pub source: String,
    pub destination: String,
    pub channel: String,
    pub destination_channel: String,
    pub application: String,
    /// In seconds, whole.
    pub duration: i64,
    pub billed: i64,
    pub disposition: String,
    pub uniqueid: String,
}

impl Asterisk {
    pub async fn up(version: &str) -> Asterisk {
        Asterisk::up_with(version, &[]).await
    }

    pub async fn up_with(version: &str, options: &[&str]) -> Asterisk {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{version}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut up = Command::new(script("asterisk"));
        up.args(["up", version, "--name", &name, "--port-base", "auto", "--fresh"]).args(options);
        run(INSTALL, &mut up).await;
        let printed = run(COMMAND, Command::new(script("asterisk")).args(["env", &name])).await;
        let env = printed
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Asterisk {
            name,
            version: version.to_owned(),
            env,
        }
    }

    pub fn env(&self, key: &str) -> &str {
        self.env.get(key).unwrap_or_else(|| panic!("{key} of {}", self.name))
    }

    fn port(&self, key: &str) -> u16 {
        self.env(key).parse().unwrap_or_else(|_| panic!("{key} is a port"))
    }

    async fn do_it(&self, what: &str) {
        run(COMMAND, Command::new(script("asterisk")).args([what, &self.name])).await;
    }

    /// SIGKILL.
    pub async fn kill(&self) {
        self.do_it("kill").await;
    }

    /// Starts it again, with the ports and passwords it had.
    pub async fn start_again(&self) {
        run(COMMAND, Command::new(script("asterisk")).args(["up", &self.version, "--name", &self.name])).await;
    }

    pub async fn freeze(&self) {
        self.do_it("freeze").await;
    }

    pub async fn thaw(&self) {
        self.do_it("thaw").await;
    }

    /// Which application extension 300 enters.
    pub async fn set_app(&self, application: &str) {
        run(COMMAND, Command::new(script("asterisk")).args(["app", &self.name, application])).await;
    }

    pub async fn cli(&self, command: &str) -> String {
        run(COMMAND, Command::new(script("asterisk")).args(["cli", &self.name, command])).await
    }

    /// The command that `up` prints, without `aimg attach`, as a shell would split it.
    pub async fn attach_arguments(&self) -> Vec<String> {
        let line = run(COMMAND, Command::new(script("asterisk")).args(["line", &self.name])).await;
        let rest = line.trim().strip_prefix("aimg attach ").expect("it begins with the command");
        rest.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    /// As `POST pbxs` takes it.
    pub fn pbx(&self) -> Value {
        json!({
            "name": self.name,
            "ami": { "host": "127.0.0.1", "port": self.port("AMI_PORT"), "tls": false, "username": self.env("AMI_USER"), "secret": self.env("AMI_SECRET") },
            "ari": { "url": format!("http://127.0.0.1:{}", self.port("HTTP_PORT")), "username": self.env("ARI_USER"), "password": self.env("ARI_PASSWORD") },
            "media": { "ports": "shared", "format": "ulaw" },
            "trunks": ["PJSIP/trunk-*"],
            // SIPp calls as nobody that Asterisk knows: here it is a phone of the house.
            "extensions": ["PJSIP/100*", "PJSIP/anonymous-*"],
            "country": "DE",
        })
    }

    /// Asks Asterisk itself over ARI, past the gateway.
    pub async fn ari(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/ari/{path}", self.port("HTTP_PORT"));
        let request = crate::api::client().get(&url).basic_auth(self.env("ARI_USER"), Some(self.env("ARI_PASSWORD")));
        let answer = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        answer.json().await.unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    /// Every channel and bridge there is now, by id and name.
    pub async fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        for kind in ["channels", "bridges"] {
            for each in self.ari(kind).await.as_array().into_iter().flatten() {
                found.push(format!("{kind} {} {}", each["id"], each["name"]));
            }
        }
        found
    }

    /// Waits until Asterisk has no channel and no bridge at all: neither the calls' nor ours.
    pub async fn emptied(&self, deadline: Duration) {
        crate::eventually(deadline, "nothing is left on the PBX", || async {
            let left = self.objects().await;
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        })
        .await;
    }

    pub fn cdr(&self) -> Vec<CdrRow> {
        let text = std::fs::read_to_string(self.env("CDR")).unwrap_or_default();
        text.lines().map(|line| CdrRow::of(&fields(line))).collect()
    }

    /// The rows, once there are this many.
    pub async fn cdr_rows(&self, count: usize) -> Vec<CdrRow> {
        crate::eventually(Duration::from_secs(10), "Asterisk has written its records", || async {
            let rows = self.cdr();
            if rows.len() >= count { Ok(rows) } else { Err(format!("{rows:?}")) }
        })
        .await
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- {}: its log is {}/log/full ---", self.name, self.env("DIR"));
        }
        let _ = std::process::Command::new(script("asterisk"))
            .args(["down", &self.name])
            .stderr(std::process::Stdio::null())
            .status();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(self.env("DIR"));
        }
    }
}

impl CdrRow {
    /// accountcode, src, dst, dcontext, clid, channel, dstchannel, lastapp, lastdata, start, answer, end, duration, billsec,
    /// disposition, amaflags, uniqueid
    fn of(fields: &[String]) -> CdrRow {
        let text = |n: usize| fields.get(n).cloned().unwrap_or_default();
        let number = |n: usize| text(n).parse().unwrap_or(-1);
        CdrRow {
            source: text(1),
            destination: text(2),
            channel: text(5),
            destination_channel: text(6),
            application: text(7),
            duration: number(12),
            billed: number(13),
            disposition: text(14),
            uniqueid: text(16),
        }
    }
}

/// Fields of a CSV line: quoted with doubled quotes, or bare.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut().expect("there is always one");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

/// Whether `command` of scripts/asterisk is refused, and what it says.
pub async fn refused(arguments: &[&str]) -> String {
    let (ok, _, said) = attempt(COMMAND, Command::new(script("asterisk")).args(arguments)).await;
    assert!(!ok, "scripts/asterisk {arguments:?} was not refused");
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_with_its_quotes_and_empty_fields() {
        let line = r#""","5550100","200","calls","""Caller"" <5550100>","PJSIP/anonymous-1","PJSIP/trunk-2","Dial","PJSIP/trunk,20","2026-11-23 20:54:44",,"2026-11-23 20:54:45",1,0,"NO ANSWER","DOCUMENTATION","a-1.7""#;
        let row = CdrRow::of(&fields(line));
        assert_eq!((row.source.as_str(), row.destination.as_str()), ("5550100", "200"));
        assert_eq!((row.duration, row.billed, row.disposition.as_str()), (1, 0, "NO ANSWER"));
        assert_eq!(row.uniqueid, "a-1.7");
    }
}
