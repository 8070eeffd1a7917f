//! One call as a test wants it: who, how long it rings, how it ends, what is pressed.

use crate::clock::SimTime;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub number: String,
    pub name: String,
}

impl Party {
    pub fn new(number: &str, name: &str) -> Self {
        Self {
            number: number.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Where a call comes from and where the dialplan takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// From the trunk to an extension.
    Inbound { extension: String },
    /// From an extension to a number behind the trunk.
    Outbound { number: String },
    /// Extension to extension.
    Internal { extension: String },
    /// From the trunk into Echo().
    Echo,
    /// From the trunk into a dialplan that answers and plays prompts.
    Ivr,
    /// From the trunk into Busy(), which never answers.
    BusyApp,
    /// From the trunk into a dialplan that rings for ever.
    RingingApp,
    /// From the trunk into a Stasis application, with these arguments.
    Stasis { app: Option<String>, args: Vec<String> },
}

/// How it goes after the ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Answered; hung up after `talk`, or never by itself.
    Answered {
        talk: Option<Duration>,
        hung_up_by: Side,
    },
    Busy,
    NoAnswer,
    /// The far end cannot be reached (503, cause 34).
    Failed,
    /// The caller gives up while it rings.
    Cancelled,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CallScript {
    pub caller: Party,
    pub route: Route,
    pub ring: Duration,
    pub ending: Ending,
    /// Pressed by the caller, counted from the answer.
    pub dtmf: Vec<(Duration, char)>,
    /// This party is never heard.
    pub silent: Option<Side>,
    pub account_code: String,
    /// Whether HangupRequest names its cause; real ones differ from call to call. `None`: as this kind of call was captured.
    pub cause_told: Option<bool>,
    /// What its RTCP reports.
    pub rtcp_loss: f64,
    pub rtcp_jitter_ms: f64,
}

impl CallScript {
    /// Rings a moment, is answered and stays up until hung up.
    pub fn new(caller: Party, route: Route) -> Self {
        Self {
            caller,
            route,
            ring: Duration::from_millis(50),
            ending: Ending::Answered {
                talk: None,
                hung_up_by: Side::Caller,
            },
            dtmf: Vec::new(),
            silent: None,
            account_code: String::new(),
            cause_told: None,
            rtcp_loss: 0.0,
            rtcp_jitter_ms: 0.4,
        }
    }

    pub fn inbound(from: &str, extension: &str) -> Self {
        Self::new(
            Party::new(from, ""),
            Route::Inbound {
                extension: extension.to_owned(),
            },
        )
    }

    pub fn outbound(extension: &str, number: &str) -> Self {
        Self::new(Party::new(extension, ""), Route::Outbound { number: number.to_owned() })
    }

    pub fn internal(from: &str, to: &str) -> Self {
        Self::new(Party::new(from, ""), Route::Internal { extension: to.to_owned() })
    }

    pub fn echo(from: &str) -> Self {
        Self::new(Party::new(from, ""), Route::Echo)
    }

    pub fn stasis(from: &str, args: &[&str]) -> Self {
        Self::new(
            Party::new(from, ""),
            Route::Stasis {
                app: None,
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            },
        )
    }

    #[must_use]
    pub fn ringing(mut self, ring: Duration) -> Self {
        self.ring = ring;
        self
    }

    #[must_use]
    pub fn talking(mut self, talk: Duration) -> Self {
        self.ending = Ending::Answered {
            talk: Some(talk),
            hung_up_by: Side::Caller,
        };
        self
    }

    #[must_use]
    pub fn hung_up_by(mut self, side: Side) -> Self {
        if let Ending::Answered { hung_up_by, .. } = &mut self.ending {
            *hung_up_by = side;
        }
        self
    }

    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// The caller presses these, a half second apart, from one second after the answer.
    #[must_use]
    pub fn pressing(mut self, digits: &str) -> Self {
        self.dtmf = digits
            .chars()
            .enumerate()
            .map(|(n, digit)| (Duration::from_millis(1000 + 500 * n as u64), digit))
            .collect();
        self
    }

    #[must_use]
    pub fn silent(mut self, side: Side) -> Self {
        self.silent = Some(side);
        self
    }
}

/// A call as it is now. Uniqueids are the AMI's and ARI's channel ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    pub id: CallId,
    pub linkedid: String,
    pub caller_channel: String,
    pub caller_channel_name: String,
    pub callee_channel: Option<String>,
    pub placed_at: SimTime,
    pub answered_at: Option<SimTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// `channels_max` is reached.
    Full,
    /// No such extension is configured.
    NoSuchExtension,
    /// It crashed or was shut down.
    Down,
}

impl std::fmt::Display for PlaceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PlaceError::Full => "no more channels",
            PlaceError::NoSuchExtension => "no such extension",
            PlaceError::Down => "the simulator is down",
        })
    }
}

impl std::error::Error for PlaceError {}
