//! What a simulated Asterisk is: its version, people, numbers, load and line quality.

use aimg_domain::secret::Secret;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Which version's words it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Asterisk16,
    Asterisk22,
}

impl Style {
    pub(crate) fn ami_version(self) -> &'static str {
        match self {
            Style::Asterisk16 => "5.0.4",
            Style::Asterisk22 => "11.0.0",
        }
    }

    pub(crate) fn asterisk_version(self) -> &'static str {
        match self {
            Style::Asterisk16 => "16.28.0~dfsg-0+deb11u4",
            Style::Asterisk22 => "22.10.1+dfsg+~cs6.17.60671434-1",
        }
    }
}

/// A manager account. Classes are AMI's own names (`call`, `system`, `reporting`, …; `all` is every one).
#[derive(Clone, Debug)]
pub struct AmiUser {
    pub name: String,
    pub secret: Secret,
    pub read: Vec<String>,
    pub write: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct AriUser {
    pub name: String,
    pub secret: Secret,
    pub read_only: bool,
}

#[derive(Clone, Debug)]
pub struct Extension {
    pub number: String,
    pub name: String,
}

/// Names and numbers as the dialplan has them. Endpoints are `PJSIP/<trunk>` and `PJSIP/<extension>`.
#[derive(Clone, Debug)]
pub struct Numbering {
    pub trunk: String,
    pub trunk_context: String,
    pub extension_context: String,
    pub extensions: Vec<Extension>,
    /// Prefix of the outside numbers that call and are called, in national form.
    pub area_codes: Vec<String>,
    pub echo_exten: String,
    pub ivr_exten: String,
    pub stasis_exten: String,
}

/// How often each kind of call is placed; only the ratios count.
#[derive(Clone, Copy, Debug)]
pub struct CallMix {
    pub inbound: u32,
    pub outbound: u32,
    pub internal: u32,
    pub echo: u32,
    pub ivr: u32,
    pub stasis: u32,
    pub busy: u32,
    pub no_answer: u32,
    pub failed: u32,
    pub cancelled: u32,
}

/// What happens to our RTP on its way, and to a leg's audio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// 0.0 to 1.0 of the packets are not sent.
    pub loss: f64,
    /// Each packet is late by up to this much.
    pub jitter_ms_max: u32,
    /// 0.0 to 1.0 of the packets leave after their successor.
    pub reorder: f64,
    /// 0.0 to 1.0 of the generated calls have one party that is never heard.
    pub one_way: f64,
}

/// Which Stasis application the dialplan names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StasisApp {
    Named(String),
    /// The shortest name among those connected (taps are the longer ones); nothing connected: the call fails.
    Connected,
}

#[derive(Clone, Debug)]
pub struct SimConfig {
    pub style: Style,
    pub system_name: String,
    pub seed: u64,
    pub ami_bind: SocketAddr,
    pub ari_bind: SocketAddr,
    /// Local ports of external media; `None` lets the system choose.
    pub rtp_ports: Option<RangeInclusive<u16>>,
    pub ami_users: Vec<AmiUser>,
    pub ari_users: Vec<AriUser>,
    pub numbering: Numbering,
    /// Calls kept up at once. 0: only those placed by hand.
    pub calls: usize,
    pub ring_mean: Duration,
    pub talk_mean: Duration,
    pub mix: CallMix,
    pub stasis_app: StasisApp,
    pub impairment: Impairment,
    /// From the reply that names a snoop or external channel to its StasisStart.
    pub stasis_delay: RangeInclusive<Duration>,
    /// A manager that does not log in is cut off after this.
    pub auth_timeout: Duration,
    /// Bytes queued for one manager or websocket before it is cut off.
    pub outbox_bytes: usize,
    /// More are refused, as `maxcalls` would.
    pub channels_max: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let all = || vec!["all".to_owned()];
        Self {
            style: Style::Asterisk22,
            system_name: "sim".to_owned(),
            seed: 1,
            ami_bind: loopback,
            ari_bind: loopback,
            rtp_ports: None,
            ami_users: vec![AmiUser {
                name: "ami".to_owned(),
                secret: Secret::new("amipass"),
                read: all(),
                write: all(),
            }],
            ari_users: vec![
                AriUser {
                    name: "ari".to_owned(),
                    secret: Secret::new("aripass"),
                    read_only: false,
                },
                AriUser {
                    name: "ariro".to_owned(),
                    secret: Secret::new("aripass"),
                    read_only: true,
                },
            ],
            numbering: Numbering::default(),
            calls: 0,
            ring_mean: Duration::from_secs(6),
            talk_mean: Duration::from_secs(90),
            mix: CallMix::default(),
            stasis_app: StasisApp::Connected,
            impairment: Impairment::default(),
            stasis_delay: Duration::from_millis(1)..=Duration::from_millis(9),
            auth_timeout: Duration::from_secs(10),
            outbox_bytes: 4 << 20,
            channels_max: 20_000,
        }
    }
}

impl SimConfig {
    /// Quiet: nothing happens but what a test places.
    pub fn scripted(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// A busy small office: `calls` at a time, of every kind.
    pub fn busy(calls: usize, seed: u64) -> Self {
        Self {
            calls,
            seed,
            ..Self::default()
        }
    }
}

impl Default for CallMix {
    fn default() -> Self {
        Self {
            inbound: 38,
            outbound: 22,
            internal: 10,
            echo: 2,
            ivr: 6,
            stasis: 6,
            busy: 4,
            no_answer: 6,
            failed: 2,
            cancelled: 4,
        }
    }
}

impl Default for Numbering {
    fn default() -> Self {
        let people = [
            "Ada Brandt",
            "Bruno Keller",
            "Carla Weiss",
            "David Okoye",
            "Elif Yilmaz",
            "Farid Haddad",
            "Greta Lund",
            "Hugo Marin",
            "Ines Costa",
            "Jonas Vogt",
        ];
        Self {
            trunk: "trunk".to_owned(),
            trunk_context: "from-trunk".to_owned(),
            extension_context: "from-internal".to_owned(),
            extensions: people
                .iter()
                .enumerate()
                .map(|(n, name)| Extension {
                    number: (1001 + n).to_string(),
                    name: (*name).to_owned(),
                })
                .collect(),
            area_codes: ["030", "040", "069", "089", "0151", "0172"].map(str::to_owned).to_vec(),
            echo_exten: "600".to_owned(),
            ivr_exten: "620".to_owned(),
            stasis_exten: "700".to_owned(),
        }
    }
}
