//! A node's configuration: defaults, then the file, then `AIMG_…` of the environment, then the command line.
//! Every value is checked before anything starts; the error names the key.

use crate::cli;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This node's name, in events and recordings.
    pub node: String,
    /// Names the installation in the ids of what we make on PBXs: `[a-z0-9]`, at most 16. Two installations that
    /// share an Asterisk must differ.
    pub cluster: String,
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub media: Media,
    pub limits: Limits,
    pub log: Log,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// Where RTP from the PBXs is received. A PBX elsewhere needs an address that it can reach.
    pub bind: IpAddr,
    /// First and last UDP port.
    pub ports: [u16; 2],
    /// Pump threads.
    pub threads: usize,
    /// Fixed delay of the jitter buffer.
    pub jitter_delay_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// HTTP connections and websockets at once.
    pub connections: usize,
    pub connections_per_user: usize,
    /// Threads that write to websockets.
    pub lanes: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`
    pub format: String,
    /// As in `RUST_LOG`: `info,aimg_pbx_link=debug`
    pub filter: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            node: "node1".into(),
            cluster: "aimg".into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data: PathBuf::from("data"),
            media: Media {
                bind: Ipv4Addr::LOCALHOST.into(),
                ports: [21000, 21999],
                threads: 1,
                jitter_delay_ms: 60,
            },
            limits: Limits {
                connections: 20_000,
                connections_per_user: 2_000,
                lanes: 2,
            },
            log: Log {
                format: "text".into(),
                filter: "info".into(),
            },
        }
    }
}

/// Variables that are not configuration keys: secrets, and what other commands read.
const NOT_KEYS: [&str; 9] = [
    "admin_email",
    "admin_password",
    "token",
    "url",
    "tenant",
    "ami_secret",
    "ari_password",
    "cache",
    "key",
];

impl Config {
    pub fn load(given: &cli::Serve) -> Result<Config, String> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = &given.config {
            if !path.is_file() {
                return Err(format!("--config: no file at {}", path.display()));
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment.merge(Env::prefixed("AIMG_").ignore(&NOT_KEYS).filter(|key| !key.starts_with("test")).split("__"));
        let mut config: Config = figment.extract().map_err(|error| format!("configuration: {error}"))?;
        if let Some(data) = &given.data {
            config.data.clone_from(data);
        }
        if let Some(listen) = given.listen {
            config.listen = listen;
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let wrong = |key: &str, expected: &str| Err(format!("configuration: {key}: expected {expected}"));
        if self.node.is_empty() || self.node.len() > 64 {
            return wrong("node", "1 to 64 characters");
        }
        if self.cluster.is_empty() || self.cluster.len() > 16 || !self.cluster.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return wrong("cluster", "1 to 16 characters of a-z and 0-9");
        }
        if self.media.ports[0] < 1024 || self.media.ports[0] >= self.media.ports[1] {
            return wrong("media.ports", "two ports from 1024 on, the first lower than the last");
        }
        if !(1..=64).contains(&self.media.threads) {
            return wrong("media.threads", "1 to 64");
        }
        if !(20..=500).contains(&self.media.jitter_delay_ms) {
            return wrong("media.jitter_delay_ms", "20 to 500");
        }
        if !(1..=64).contains(&self.limits.lanes) {
            return wrong("limits.lanes", "1 to 64");
        }
        if !["text", "json"].contains(&self.log.format.as_str()) {
            return wrong("log.format", "text or json");
        }
        Ok(())
    }

    pub fn media_ports(&self) -> RangeInclusive<u16> {
        self.media.ports[0]..=self.media.ports[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_wrong_values_name_their_key() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
        let wrong = [
            (
                Config {
                    cluster: "A-b".into(),
                    ..config.clone()
                },
                "cluster",
            ),
            (
                Config {
                    media: Media {
                        ports: [3000, 3000],
                        ..config.media.clone()
                    },
                    ..config.clone()
                },
                "media.ports",
            ),
            (
                Config {
                    log: Log {
                        format: "xml".into(),
                        ..config.log.clone()
                    },
                    ..config
                },
                "log.format",
            ),
        ];
        for (config, key) in wrong {
            assert!(config.check().is_err_and(|error| error.contains(key)), "{key}");
        }
    }
}
