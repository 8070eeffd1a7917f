//! `aimg check`: whether a configuration is valid and the data folder usable, without starting anything.

use super::say;
use crate::cli;
use crate::config::Config;

pub fn run(given: &cli::Serve) -> Result<(), String> {
    let config = Config::load(given)?;
    say("ok   configuration");
    let listener = std::net::TcpListener::bind(config.listen).map_err(|error| format!("listen: {}: {error}; is another node running there?", config.listen))?;
    drop(listener);
    say(format!("ok   listen: {} is free", config.listen));
    data(&config)?;
    let socket = std::net::UdpSocket::bind((config.media.bind, 0));
    socket.map_err(|error| format!("media.bind: {}: {error}; it must be an address of this host", config.media.bind))?;
    say(format!(
        "ok   media: {} ports {}-{}",
        config.media.bind, config.media.ports[0], config.media.ports[1]
    ));
    Ok(())
}

/// The folder as it would be used: an existing one is only read.
fn data(config: &Config) -> Result<(), String> {
    let data = &config.data;
    if !data.exists() {
        let parent = data.ancestors().skip(1).find(|path| path.is_dir() || path.as_os_str().is_empty());
        let parent = parent.filter(|path| !path.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
        tempfile_in(parent).map_err(|error| format!("data: {} cannot be made in {}: {error}", data.display(), parent.display()))?;
        say(format!("ok   data: {} does not exist yet and can be made", data.display()));
        return Ok(());
    }
    if !data.is_dir() {
        return Err(format!("data: {} is not a folder", data.display()));
    }
    tempfile_in(data).map_err(|error| format!("data: {} cannot be written: {error}", data.display()))?;
    say(format!("ok   data: {}", data.display()));
    Ok(())
}

fn tempfile_in(folder: &std::path::Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".aimg-check-{}", std::process::id()));
    std::fs::write(&probe, b"check")?;
    std::fs::remove_file(&probe)
}
