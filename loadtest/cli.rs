//! The command line, as the user types it.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Measures aiMediaGateway on this machine. Exit code 1: a check did not hold; 2: it could not be measured.
#[derive(Parser, Debug)]
#[command(name = "aimg-loadtest", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub scenario: Scenario,
    /// One line of JSON in place of the table.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum Scenario {
    /// CPU a packet from socket to ring, beside a bare receive loop and a task a stream.
    Media(Media),
    /// Memory, CPU, actors and set-up time a call: a node as a child process, the simulated Asterisk in this one.
    Calls(Calls),
    /// Sends the packets of `media`; started by it.
    #[command(hide = true)]
    Send,
}

#[derive(Args, Debug)]
pub struct Media {
    /// RTP streams of 50 packets a second each.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=6000))]
    pub streams: u32,
    /// Measured part of each turn, after a second of warm-up.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Rounds; each lets every way of receiving have its turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
}

#[derive(Args, Debug)]
pub struct Calls {
    /// Calls up at once, both legs tapped.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub calls: u32,
    /// Calls placed a second until they are up.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// Measured while all calls are up.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Record every call.
    #[arg(long)]
    pub record: bool,
    /// The node's binary; without it the one beside this program.
    #[arg(long)]
    pub aimg: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
