//! `aimg`: the node and its command line. The only crate that names concrete adapters (`boot`).

mod boot;
mod cli;
mod client;
mod commands;
mod config;
mod operator;
mod system;
mod telemetry;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("aimg: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("aimg").build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("aimg: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(commands::run(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aimg: {error}");
            ExitCode::FAILURE
        }
    }
}
