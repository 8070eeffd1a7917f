//! Keeping a snoop out of the PBX's own CDRs: said to a CDR engine that is known to listen.
//!
//! Asterisk's CDR engine learns of a new channel on a queue of its own (on 16 behind a cache with another one) and
//! silently loses what is said of a channel it does not know yet; under load it lags by tens of milliseconds. Whether
//! it knows a channel shows in `CDR(start)`. Decision 0007.

use super::tapping::DEADLINE;
use aimg_pbx::ami::action::Action;
use aimg_pbx_link::{PbxCommands, PbxError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Before each look, in milliseconds: 635 in all: a channel joins its bridge only after them, and a CDR that a bridge
/// has closed can no longer be taken back.
const PATIENT_MS: [u64; 8] = [2, 4, 9, 20, 40, 80, 160, 320];
/// When nothing was ever heard of this PBX's CDR engine: most likely it is off. It may have been switched on since.
const IMPATIENT_MS: [u64; 1] = [30];

/// Returns when the CDR engine has heard it, or may be assumed to be off. An error when the PBX did not take it.
/// `listens` is the PBX's: whether its engine was heard of when it was last asked.
pub async fn quiet(commands: PbxCommands, listens: Arc<AtomicBool>, channel: String, name: String, value: String) -> Result<(), PbxError> {
    if say(&commands, &channel, &name, &value).await? {
        listens.store(true, Ordering::Relaxed);
        return Ok(());
    }
    if listens.load(Ordering::Relaxed) {
        insist(commands, listens, channel, name, value, &PATIENT_MS).await;
    } else {
        tokio::spawn(async move { insist(commands, listens, channel, name, value, &IMPATIENT_MS).await });
    }
    Ok(())
}

async fn insist(commands: PbxCommands, listens: Arc<AtomicBool>, channel: String, name: String, value: String, pauses_ms: &[u64]) {
    for pause_ms in pauses_ms {
        tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
        match say(&commands, &channel, &name, &value).await {
            Ok(true) => return listens.store(true, Ordering::Relaxed),
            Ok(false) => {}
            // The channel is gone.
            Err(_) => return,
        }
    }
    listens.store(false, Ordering::Relaxed);
}

/// Whether the engine knew the channel *before* it was told: AMI answers in the order in which it was asked.
async fn say(commands: &PbxCommands, channel: &str, name: &str, value: &str) -> Result<bool, PbxError> {
    let (known, said) = tokio::join!(
        biased;
        commands.ami(Action::getvar(channel, "CDR(start)"), DEADLINE),
        commands.ami(Action::setvar(channel, name, value), DEADLINE)
    );
    said?;
    Ok(known.is_ok_and(|answer| answer.message.get("Value").is_some_and(|start| !start.is_empty())))
}
