//! `aimg serve`: one node, until it is told to stop.

use super::say;
use crate::boot::{self, Node};
use crate::cli;
use crate::config::Config;
use crate::telemetry;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

pub async fn run(given: &cli::Serve) -> Result<(), String> {
    let config = Config::load(given)?;
    telemetry::logs(&config.log)?;
    let node = boot::start(&config).await?;
    first_admin(&node).await?;
    node.open();
    say(format!("aimg {} serves at {}", env!("CARGO_PKG_VERSION"), node.url()));
    wait(&node).await?;
    tracing::info!("stopping");
    node.stop(Duration::from_secs(15)).await;
    Ok(())
}

/// SIGTERM, Ctrl-C, or the end of the tree.
async fn wait(node: &Node) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| format!("signals: {error}"))?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = node.ended() => Err("the supervision tree ended: see the log for the cause".into()),
    }
}

/// The first start makes the administrator: from the environment, or with a password that is shown once.
async fn first_admin(node: &Node) -> Result<(), String> {
    let email = std::env::var("AIMG_ADMIN_EMAIL").unwrap_or_else(|_| "admin@localhost".into());
    let given = std::env::var("AIMG_ADMIN_PASSWORD").ok().filter(|password| !password.is_empty());
    let generated = given.is_none();
    let password = given.unwrap_or_else(boot::random_password);
    let made = node.ensure_admin(&email, &password, "Home", "home").await?;
    if made && generated {
        say(format!("first start: administrator {email} with password {password} (shown only now)"));
    } else if made {
        say(format!("first start: administrator {email} with the password given in AIMG_ADMIN_PASSWORD"));
    }
    Ok(())
}
