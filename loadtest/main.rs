//! The load generator: what a packet and a call cost, measured beside baselines of the same shape.
//!
//! It is a client of the product and must never know the node's inside: it uses the pump as a library, and a node as a
//! child process behind its API. Nothing of it runs in production.

mod calls;
mod cli;
mod machine;
mod media;
mod report;
mod stats;
mod usage;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    usage::allow_many_files();
    let given = cli::Cli::parse();
    match run(given) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("aimg-loadtest: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all checks held.
fn run(given: cli::Cli) -> Result<bool, String> {
    let report = match given.scenario {
        cli::Scenario::Send => return media::send::run().map(|()| true),
        cli::Scenario::Media(args) => media::run(&args)?,
        cli::Scenario::Calls(args) => calls::run(&args)?,
    };
    report.print(given.json)?;
    Ok(report.held())
}
