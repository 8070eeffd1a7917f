//! The command line, as the user types it.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// aiMediaGateway: attaches Asterisk PBXs and makes them one live, searchable, controllable voice platform.
#[derive(Parser, Debug)]
#[command(name = "aimg", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a node.
    Serve(Serve),
    /// Run a node with a simulated PBX and calls flowing, and follow them.
    Demo(Demo),
    /// Attach an Asterisk: makes the pbx and its link to your tenant.
    Attach(Box<Attach>),
    /// List the calls of a tenant.
    Calls(Calls),
    /// Show the supervision tree.
    Tree(Tree),
    /// Check a configuration and the data folder without starting anything.
    Check(Serve),
    /// Make a short-lived access token of the first administrator from the keys in the data folder.
    Token(Token),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Args, Debug, Clone)]
pub struct Serve {
    /// TOML file; every key can also be given as AIMG_… in the environment.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Where this node's state lives.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Address of the HTTP and websocket edge.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
}

#[derive(Args, Debug)]
pub struct Demo {
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Keep the data here instead of in a folder that is removed at the end.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// How many calls are in progress at once.
    #[arg(long, default_value_t = 5)]
    pub calls: usize,
    /// The same seed makes the same calls.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End after this long (60s, 5m); without it, at Ctrl-C.
    #[arg(long = "for", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// Print one line of JSON when ready instead of following the calls.
    #[arg(long)]
    pub json: bool,
}

/// How a command reaches a node.
#[derive(Args, Debug, Clone)]
pub struct Reach {
    /// The node's address.
    #[arg(long, env = "AIMG_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Access token; without it one is made from the keys in the data folder.
    #[arg(long, env = "AIMG_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The node's data folder, on the node's own host.
    #[arg(long, env = "AIMG_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Act in this tenant (id) instead of your own.
    #[arg(long, env = "AIMG_TENANT")]
    pub tenant: Option<String>,
}

#[derive(Args, Debug)]
pub struct Attach {
    #[command(flatten)]
    pub reach: Reach,
    #[arg(long)]
    pub name: String,
    /// host:port of the manager interface.
    #[arg(long)]
    pub ami: String,
    #[arg(long)]
    pub ami_user: String,
    #[arg(long, env = "AIMG_AMI_SECRET", hide_env_values = true)]
    pub ami_secret: String,
    /// http://host:port of the REST interface; without it there is no audio.
    #[arg(long)]
    pub ari: Option<String>,
    #[arg(long, default_value = "")]
    pub ari_user: String,
    #[arg(long, env = "AIMG_ARI_PASSWORD", hide_env_values = true, default_value = "")]
    pub ari_password: String,
    /// Our address as the PBX sees it.
    #[arg(long)]
    pub media_address: Option<String>,
    /// What taps carry: ulaw, alaw, g722 or slin16.
    #[arg(long, default_value = "ulaw")]
    pub format: String,
    /// on_demand, legs, mixed or none.
    #[arg(long, default_value = "on_demand")]
    pub audio: String,
    /// always, on_demand or never.
    #[arg(long, default_value = "on_demand")]
    pub recording: String,
    /// Channel name patterns that lead outside, such as PJSIP/trunk-*.
    #[arg(long)]
    pub trunk: Vec<String>,
    /// Channel name patterns of people, such as PJSIP/10*.
    #[arg(long)]
    pub extension: Vec<String>,
    #[arg(long)]
    pub country: Option<String>,
    /// Print the pbx and its link as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Calls {
    #[command(flatten)]
    pub reach: Reach,
    /// Go on and print each change as it happens.
    #[arg(long)]
    pub follow: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Tree {
    #[command(flatten)]
    pub reach: Reach,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Token {
    /// The node's data folder.
    #[arg(long, env = "AIMG_DATA", default_value = "data")]
    pub data: PathBuf,
    #[arg(long = "for", value_parser = duration, default_value = "15m")]
    pub valid_for: Duration,
    #[arg(long)]
    pub json: bool,
}

/// `90`, `60s`, `5m`, `2h`, `250ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || format!("expected a duration such as 60s, 5m or 250ms, got {text:?}");
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_duration_is_read_with_its_unit() {
        for (text, ms) in [("90", 90_000), ("60s", 60_000), ("5m", 300_000), ("2h", 7_200_000), ("250ms", 250)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
        for text in ["", "s", "5d", "-1s", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
