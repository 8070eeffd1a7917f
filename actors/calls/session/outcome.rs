//! How a call ended, from what Asterisk said of it. Agrees with the disposition of its CDR.

use super::saved::Dialled;
use aimg_domain::Outcome;

/// What is known at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Somebody or something answered.
    pub answered: bool,
    /// Left a queue before an agent took the call.
    pub abandoned: bool,
    /// This platform hung it up.
    pub platform: bool,
    /// The PBX signalled busy to the caller.
    pub busy: bool,
    pub dialled: Option<Dialled>,
    /// The caller asked for the end before anybody else.
    pub caller_asked: bool,
    /// Q.850, of the caller's channel.
    pub caller_cause: Option<u16>,
    /// Q.850, of the channels that were called.
    pub callee_causes: Vec<u16>,
}

const BUSY: u16 = 17;
const REJECTED: u16 = 21;

pub fn decide(evidence: &Evidence) -> Outcome {
    if evidence.abandoned {
        return Outcome::Abandoned;
    }
    if evidence.answered {
        return Outcome::Answered;
    }
    if evidence.platform {
        return Outcome::Canceled;
    }
    // `Congestion()` shows the same channel state as `Busy()`: only its cause tells them apart.
    let signalled_busy = evidence.busy && of_cause(evidence.caller_cause) != Outcome::Failed;
    if signalled_busy || evidence.dialled == Some(Dialled::Busy) || evidence.caller_cause == Some(BUSY) {
        return Outcome::Busy;
    }
    if evidence.dialled == Some(Dialled::Rejected) || evidence.caller_cause == Some(REJECTED) || evidence.callee_causes.contains(&REJECTED) {
        return Outcome::Rejected;
    }
    match evidence.dialled {
        Some(Dialled::NoAnswer) => Outcome::NoAnswer,
        Some(Dialled::Failed) => Outcome::Failed,
        _ if evidence.caller_asked => Outcome::Canceled,
        _ => of_cause(evidence.caller_cause.or(evidence.callee_causes.last().copied())),
    }
}

/// Nobody answered and nobody called it off: what the cause says.
fn of_cause(cause: Option<u16>) -> Outcome {
    match cause {
        Some(BUSY) => Outcome::Busy,
        Some(REJECTED) => Outcome::Rejected,
        // Unallocated, no route, out of order, format, congestion, network failure and their kin.
        Some(1..=3 | 5 | 20 | 22 | 25 | 27..=29 | 34 | 38 | 41..=58 | 63..=66 | 69 | 79 | 88 | 95..=111) => Outcome::Failed,
        _ => Outcome::NoAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_follows_from_the_evidence() {
        let none = Evidence::default;
        for (evidence, outcome) in [
            (Evidence { answered: true, ..none() }, Outcome::Answered),
            (
                Evidence {
                    answered: true,
                    abandoned: true,
                    ..none()
                },
                Outcome::Abandoned,
            ),
            (
                Evidence {
                    answered: true,
                    platform: true,
                    ..none()
                },
                Outcome::Answered,
            ),
            (Evidence { platform: true, ..none() }, Outcome::Canceled),
            (
                Evidence {
                    busy: true,
                    caller_asked: true,
                    ..none()
                },
                Outcome::Busy,
            ),
            (
                Evidence {
                    dialled: Some(Dialled::Busy),
                    caller_asked: true,
                    ..none()
                },
                Outcome::Busy,
            ),
            (
                Evidence {
                    caller_cause: Some(17),
                    ..none()
                },
                Outcome::Busy,
            ),
            (
                Evidence {
                    callee_causes: vec![21],
                    dialled: Some(Dialled::Failed),
                    ..none()
                },
                Outcome::Rejected,
            ),
            (
                Evidence {
                    dialled: Some(Dialled::NoAnswer),
                    caller_asked: true,
                    ..none()
                },
                Outcome::NoAnswer,
            ),
            (
                Evidence {
                    dialled: Some(Dialled::Canceled),
                    caller_asked: true,
                    ..none()
                },
                Outcome::Canceled,
            ),
            (
                Evidence {
                    caller_asked: true,
                    caller_cause: Some(127),
                    ..none()
                },
                Outcome::Canceled,
            ),
            (
                Evidence {
                    dialled: Some(Dialled::Failed),
                    ..none()
                },
                Outcome::Failed,
            ),
            (
                Evidence {
                    caller_cause: Some(34),
                    ..none()
                },
                Outcome::Failed,
            ),
            (
                Evidence {
                    caller_cause: Some(19),
                    ..none()
                },
                Outcome::NoAnswer,
            ),
            (
                Evidence {
                    caller_cause: Some(16),
                    ..none()
                },
                Outcome::NoAnswer,
            ),
            (none(), Outcome::NoAnswer),
        ] {
            assert_eq!(decide(&evidence), outcome, "{evidence:?}");
        }
    }
}
