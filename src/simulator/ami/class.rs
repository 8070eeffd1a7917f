//! Manager event classes as a bit set.

pub(crate) const SYSTEM: u32 = 1;
pub(crate) const CALL: u32 = 1 << 1;
pub(crate) const DIALPLAN: u32 = 1 << 2;
pub(crate) const DTMF: u32 = 1 << 3;
pub(crate) const REPORTING: u32 = 1 << 4;
pub(crate) const CDR: u32 = 1 << 5;
pub(crate) const SECURITY: u32 = 1 << 6;
pub(crate) const ORIGINATE: u32 = 1 << 7;
pub(crate) const COMMAND: u32 = 1 << 8;
pub(crate) const CONFIG: u32 = 1 << 9;
/// Everything else that has a name; no event of ours carries it.
const OTHER: u32 = 1 << 31;
pub(crate) const ALL: u32 = u32::MAX;

pub(crate) fn name(class: u32) -> &'static str {
    match class {
        SYSTEM => "system",
        CALL => "call",
        DIALPLAN => "dialplan",
        DTMF => "dtmf",
        REPORTING => "reporting",
        CDR => "cdr",
        SECURITY => "security",
        ORIGINATE => "originate",
        COMMAND => "command",
        CONFIG => "config",
        _ => "all",
    }
}

fn bit(name: &str) -> u32 {
    match name.trim() {
        "all" | "on" | "yes" | "true" | "1" => ALL,
        "system" => SYSTEM,
        "call" => CALL,
        "dialplan" => DIALPLAN,
        "dtmf" => DTMF,
        "reporting" => REPORTING,
        "cdr" => CDR,
        "security" => SECURITY,
        "originate" => ORIGINATE,
        "command" => COMMAND,
        "config" => CONFIG,
        "off" | "no" | "false" | "0" | "none" | "" => 0,
        _ => OTHER,
    }
}

/// `on`, `off` or a comma list, as in `Events:` and `EventMask:`.
pub(crate) fn mask(text: &str) -> u32 {
    text.split(',').fold(0, |mask, name| mask | bit(name))
}

pub(crate) fn of(names: &[String]) -> u32 {
    names.iter().fold(0, |mask, name| mask | self::mask(name))
}
