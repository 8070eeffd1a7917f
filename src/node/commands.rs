//! One file a command.

mod attach;
mod calls;
mod check;
mod demo;
mod openapi;
mod serve;
pub mod token;
mod tree;

use crate::cli::{Cli, Command};

pub async fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        Command::Serve(given) => serve::run(&given).await,
        Command::Demo(given) => demo::run(given).await,
        Command::Attach(given) => attach::run(&given).await,
        Command::Calls(given) => calls::run(&given).await,
        Command::Tree(given) => tree::run(&given).await,
        Command::Check(given) => check::run(&given),
        Command::Token(given) => token::run(&given),
        Command::Openapi => openapi::run(),
    }
}

/// Standard output is the product of these commands; a closed pipe ends them quietly.
pub fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
