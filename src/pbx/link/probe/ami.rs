//! `ami.connect`, `ami.banner`, `ami.login`, `ami.permissions`.

use super::Steps;
use crate::ami::{AmiConnection, AmiEnd, AmiEvent, connect};
use crate::config::Deadlines;
use crate::error::PbxError;
use aimg_domain::Clock;
use aimg_domain::pbx::AmiAccess;
use aimg_pbx::ami::{Action, Broken, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What we call, and the class that allows it.
const NEEDED: [(&str, &str); 8] = [
    ("CoreShowChannels", "system or reporting"),
    ("CoreStatus", "system or reporting"),
    ("Hangup", "call"),
    ("Redirect", "call"),
    ("BlindTransfer", "call"),
    ("PlayDTMF", "call"),
    ("Setvar", "call"),
    ("Originate", "originate"),
];
/// Classes of events that facts come from; calls are followed by the first three.
const READ_NEEDED: [&str; 3] = ["system", "call", "dtmf"];
const READ_USEFUL: [&str; 4] = ["agent", "reporting", "cdr", "dialplan"];

pub(super) async fn sign_in(steps: &mut Steps, access: &AmiAccess, deadlines: &Deadlines, clock: Arc<dyn Clock>) -> Option<AmiConnection> {
    let at = format!("{}:{}", access.host, access.port);
    let end = match connect(access, deadlines, clock).await {
        Ok(connection) => {
            steps.add("ami.connect", Ok(format!("{at} is open")));
            steps.add("ami.banner", Ok(format!("Asterisk Call Manager {}", connection.ami_version)));
            steps.add("ami.login", Ok(format!("signed in as {}", access.username)));
            return Some(connection);
        }
        Err(end) => end,
    };
    if let AmiEnd::NotConnected(error) = &end {
        let advice = "check host and port, `enabled = yes`, `port` and `bindaddr` in manager.conf, and the firewall";
        steps.add("ami.connect", Err(format!("{error}: {advice}")));
        return None;
    }
    steps.add("ami.connect", Ok(format!("{at} is open")));
    let login = match &end {
        AmiEnd::Broken(Broken::NotAsterisk { .. } | Broken::NoBanner(_)) => {
            steps.add("ami.banner", Err(format!("{end}: give the port of manager.conf (5038 by default)")));
            return None;
        }
        AmiEnd::Broken(Broken::AuthenticationFailed) => {
            "Authentication failed: check user name and secret in manager.conf, and that its permit/deny lists let this host in".to_owned()
        }
        AmiEnd::Closed => "the PBX closed the connection: check its ACL, `authlimit` and `allowmultiplelogin` in manager.conf".to_owned(),
        other => format!("{other}: see manager.conf and the PBX's log"),
    };
    steps.add("ami.banner", Ok("an Asterisk Call Manager".into()));
    steps.add("ami.login", Err(login));
    None
}

pub(super) async fn permissions(steps: &mut Steps, mut connection: AmiConnection, access: &AmiAccess, made_bridge: bool, deadlines: &Deadlines) {
    let answer = deadlines.answer;
    if let Ok(settings) = connection.handle.action(Action::core_settings(), answer).await
        && let Some(version) = settings.message.get("AsteriskVersion")
    {
        steps.version = Some(version.to_owned());
    }
    let mut missing = match connection.handle.action(Action::list_commands(), answer).await {
        Ok(commands) => missing_writes(&commands),
        Err(error) => {
            steps.add("ami.permissions", Err(format!("ListCommands: {error}")));
            return;
        }
    };
    let (reads, checked) = missing_reads(&mut connection, access, made_bridge, answer).await;
    missing.extend(reads);
    let found = if missing.is_empty() {
        Ok(format!("may do what is needed; {checked}"))
    } else {
        Err(format!(
            "lacks {}: in manager.conf give this account read = {},{} and write = system,call,originate,reporting",
            missing.join(", "),
            READ_NEEDED.join(","),
            READ_USEFUL.join(",")
        ))
    };
    steps.add("ami.permissions", found);
}

/// `ListCommands` lists exactly what this account may call.
fn missing_writes(commands: &Response) -> Vec<String> {
    let lacks = |action: &str| commands.message.get(action).is_none();
    let mut missing: Vec<String> = Vec::new();
    for (action, class) in NEEDED.into_iter().filter(|(action, _)| lacks(action)) {
        match missing.iter_mut().find(|text| text.starts_with(&format!("write class {class} "))) {
            Some(text) => text.insert_str(text.len() - 1, &format!(", {action}")),
            None => missing.push(format!("write class {class} (for {action})")),
        }
    }
    missing
}

/// Nothing in AMI tells which events an account reads. Where it may run CLI commands, `manager show user` does;
/// else the bridge that the step `ari.write` made shows whether events of class `call` arrive, and `FullyBooted` tells of `system`.
async fn missing_reads(connection: &mut AmiConnection, access: &AmiAccess, made_bridge: bool, answer: Duration) -> (Vec<String>, String) {
    if let Some(classes) = listed_reads(connection, access, answer).await {
        let has = |class: &&str| classes.iter().any(|listed| listed == class || listed == "all");
        let missing = READ_NEEDED
            .iter()
            .filter(|class| !has(class))
            .map(|class| format!("read class {class}"))
            .collect();
        let absent: Vec<&str> = READ_USEFUL.into_iter().filter(|class| !has(class)).collect();
        let checked = match absent.is_empty() {
            true => "reads every class that is used".to_owned(),
            false => format!("does not read {} (queues, quality, CDRs and dialplan steps stay unseen)", absent.join(", ")),
        };
        return (missing, checked);
    }
    let mut missing = Vec::new();
    if !reads_system(connection).await {
        missing.push("read class system".to_owned());
    }
    let checked = match made_bridge {
        true if !heard_calls(connection).await => {
            missing.push("read class call".to_owned());
            String::new()
        }
        true => "reads system and call; dtmf could not be checked".to_owned(),
        false => "reads system; call and dtmf could not be checked without ARI".to_owned(),
    };
    (missing, checked)
}

async fn listed_reads(connection: &AmiConnection, access: &AmiAccess, answer: Duration) -> Option<Vec<String>> {
    let plain = access
        .username
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    if !plain {
        return None;
    }
    let shown = match connection
        .handle
        .action(Action::command(&format!("manager show user {}", access.username)), answer)
        .await
    {
        Ok(response) => response,
        Err(PbxError::Forbidden(_)) => return None,
        Err(_) => return None,
    };
    let line = shown
        .message
        .all("Output")
        .find_map(|line| line.trim().strip_prefix("read perm:"))?
        .trim()
        .to_owned();
    Some(line.split(',').map(|class| class.trim().to_owned()).collect())
}

async fn heard_calls(connection: &AmiConnection) -> bool {
    let heard = async {
        while !connection.heard_calls() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(1), heard).await.is_ok()
}

/// `FullyBooted` follows a login at once, for accounts that read class `system`.
async fn reads_system(connection: &mut AmiConnection) -> bool {
    let booted = async {
        while let Some(event) = connection.events.recv().await {
            if matches!(event, AmiEvent::FullyBooted { .. }) {
                return true;
            }
        }
        false
    };
    timeout(Duration::from_secs(1), booted).await.unwrap_or(false)
}
