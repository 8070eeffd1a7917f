//! What a call keeps beside its session row so that a restart can go on with it.

use crate::calls::channel::ChannelKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `SessionRow::resume` of a call: the machines' snapshots, each read back by its own.
pub fn pack(call: Value, tap: Option<Value>) -> Value {
    json!({ "call": call, "tap": tap })
}

/// What `CallSessionMachine::snapshot` gave.
pub fn call_part(resume: &Value) -> &Value {
    resume.get("call").unwrap_or(resume)
}

/// What `TapMachine::snapshot` gave, if there was a tap.
pub fn tap_part(resume: &Value) -> Option<&Value> {
    resume.get("tap").filter(|tap| !tap.is_null())
}

/// A channel of a call, as both the session's machine and the directory know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeChannel {
    pub uniqueid: String,
    pub linkedid: String,
    pub name: String,
    pub kind: ChannelKind,
    pub up: bool,
    pub in_stasis: bool,
    pub ended: bool,
}
