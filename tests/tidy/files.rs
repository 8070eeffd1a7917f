//! Conventions of files.

use std::path::{Path, PathBuf};

/// Files aim at 300 lines; this is where review stops arguing. Tests may be longer.
const LINES_MAX: usize = 450;
const TEST_LINES_MAX: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' folder is in the checkout")
        .to_owned()
}

/// Every file of ours: not what is built, not captures of other programs' output.
fn files() -> Vec<PathBuf> {
    let mut waiting = vec![root()];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            if path.is_symlink() || ["target", ".git", "node_modules", "dist", "testdata", "data"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if name != "Cargo.lock" && name != "LICENSE" {
                found.push(path);
            }
        }
    }
    found
}

/// Those with text in them.
fn texts() -> Vec<(String, String)> {
    let root = root();
    let name = |path: &Path| path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
    files()
        .iter()
        .filter_map(|path| Some((name(path), std::fs::read_to_string(path).ok()?)))
        .collect()
}

fn sources() -> Vec<(String, String)> {
    texts().into_iter().filter(|(name, _)| name.ends_with(".rs")).collect()
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs") || name.ends_with("/testing.rs") || name.contains("/conformance/")
}

fn assert_none(broken: Vec<String>) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_file_has_grown_out_of_sight() {
    let too_long = |(name, text): &(String, String)| {
        let max = if is_test(name) { TEST_LINES_MAX } else { LINES_MAX };
        let lines = text.lines().count();
        (lines > max).then(|| format!("{name} has {lines} lines, more than {max}: split it along its story"))
    };
    assert_none(sources().iter().filter_map(too_long).collect());
}

#[test]
fn modules_are_named_files_and_no_mod_rs() {
    let of_old = |(name, _): &(String, String)| name.ends_with("/mod.rs").then(|| name.clone());
    assert_none(sources().iter().filter_map(of_old).collect());
}

#[test]
fn every_crate_opens_with_what_it_is() {
    let crate_root = |name: &str| name.ends_with("/lib.rs") || name.ends_with("/main.rs") || ["actors/lib.rs", "tests/lib.rs"].contains(&name);
    let silent = |(name, text): &(String, String)| (crate_root(name) && !text.starts_with("//!")).then(|| format!("{name} opens without //!"));
    assert_none(sources().iter().filter_map(silent).collect());
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let manifests = texts().into_iter().filter(|(name, _)| name.ends_with("Cargo.toml") && name != "Cargo.toml");
    let without = |(name, text): (String, String)| (!text.contains("[lints]\nworkspace = true")).then_some(name);
    assert_none(manifests.filter_map(without).collect());
}

/// Where packages come from is the machine's business: its own mirror, its own proxy.
#[test]
fn no_registry_is_named() {
    let hosts = [
        concat!("crates", ".io"),
        concat!("debian", ".org"),
        concat!("npmjs", ".org"),
        concat!("pypi", ".org"),
        concat!("golang", ".org"),
        concat!("docker", ".io"),
        concat!("ghcr", ".io"),
    ];
    let naming = |(name, text): &(String, String)| hosts.iter().find(|host| text.contains(**host)).map(|host| format!("{name} names {host}"));
    assert_none(texts().iter().filter_map(naming).collect());
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let places = [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "Users/"), concat!("/", "home/")];
    let naming = |(name, text): &(String, String)| {
        let at = |place: &&&str| {
            text.match_indices(**place)
                .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-'))
        };
        places.iter().find(at).map(|place| format!("{name} has a path below {place}"))
    };
    assert_none(texts().iter().filter_map(naming).collect());
}

/// The scripts fail loudly, and nothing waits for a keyboard.
#[test]
fn scripts_are_strict() {
    let scripts = texts().into_iter().filter(|(_, text)| text.starts_with("#!/bin/bash"));
    let lax = |(name, text): (String, String)| (!text.contains("set -euo pipefail")).then_some(name);
    assert_none(scripts.filter_map(lax).collect());
}
