//! Who may import whom, what the pure crates never reach, and with which features.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate and what of ours it may name. What is not here may not exist.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("aimg-domain", &[]),
    ("aimg-pbx", &["domain"]),
    ("aimg-pbx-link", &["domain", "pbx"]),
    ("aimg-media", &["domain"]),
    ("aimg-media-pump", &["domain", "media"]),
    ("aimg-recording", &["domain", "media"]),
    ("aimg-wire", &["domain"]),
    ("aimg-placement", &["domain"]),
    ("aimg-store", &["domain"]),
    ("aimg-store-embedded", &["domain", "store"]),
    ("aimg-fanout", &["domain", "wire"]),
    ("aimg-dashboard", &[]),
    ("aimg-actor-kit", &["domain"]),
    (
        "aimg-actors",
        &[
            "domain",
            "pbx",
            "pbx-link",
            "media",
            "media-pump",
            "recording",
            "wire",
            "store",
            "placement",
            "fanout",
            "actor-kit",
        ],
    ),
    ("aimg-edge", &["domain", "wire", "store", "actors", "fanout", "dashboard", "recording"]),
    ("aimg-simulator", &["domain", "pbx", "media", "wire"]),
    ("aimg-loadtest", &["domain", "pbx", "media", "media-pump", "wire", "simulator"]),
    ("aimg-tests", &[]),
];

/// Only this one may name any of ours: it puts them together.
const ASSEMBLES: &str = "aimg";

/// Bytes and `now` in, bytes and facts out: no runtime anywhere below them.
const PURE: &[&str] = &["aimg-domain", "aimg-pbx", "aimg-media", "aimg-wire", "aimg-placement"];

/// Foreign crates that live behind one wall.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("warp", &["aimg-edge"]),
    ("bincode", &["aimg-wire"]),
    ("redb", &["aimg-store-embedded"]),
    ("ractor", &["aimg-actors", "aimg-actor-kit"]),
    ("ractor_cluster", &["aimg-actors", "aimg-actor-kit"]),
    ("jsonwebtoken", &["aimg-edge"]),
];

fn metadata() -> Metadata {
    let told = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let told = String::from_utf8(told.stdout).expect("rustc speaks UTF-8");
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        // Without it the crates of other platforms would be downloaded to be looked at.
        .other_options(["--filter-platform".to_owned(), host.to_owned()])
        .exec()
        .expect("cargo metadata runs")
}

/// The names of a crate's dependencies, tests' left out.
fn named(package: &cargo_metadata::Package) -> BTreeSet<&str> {
    let shipped = package.dependencies.iter().filter(|each| each.kind != DependencyKind::Development);
    shipped.map(|each| each.name.as_str()).collect()
}

#[test]
fn each_crate_imports_only_what_it_may() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        if name == ASSEMBLES {
            continue;
        }
        let Some(may) = allowed.get(name) else {
            broken.push(format!("{name} is not in the list of crates"));
            continue;
        };
        for other in named(package).into_iter().filter_map(|each| each.strip_prefix("aimg-")) {
            if !may.contains(&other) {
                broken.push(format!("{name} must not know {other}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn foreign_crates_stay_behind_their_walls() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        for (foreign, may) in ONLY_IN {
            if named(package).contains(foreign) && !may.contains(&package.name.as_str()) {
                broken.push(format!("{} must not name {foreign}", package.name));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_runtime_is_reachable_from_the_pure_crates() {
    let metadata = metadata();
    for name in PURE {
        let reached = reachable(&metadata, name);
        for runtime in ["tokio", "mio", "socket2", "hyper", "async-std", "smol"] {
            assert!(!reached.contains(runtime), "{name} reaches {runtime}");
        }
    }
}

/// The names of all that is built for a crate, tests' dependencies left out.
fn reachable(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("cargo metadata resolves");
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == name)
        .expect("a crate of the workspace");
    let mut waiting: Vec<PackageId> = vec![package.id.clone()];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = resolve.nodes.iter().find(|node| node.id == id).expect("a resolved crate");
        let shipped = node
            .deps
            .iter()
            .filter(|each| each.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        waiting.extend(shipped.map(|each| each.pkg.clone()));
    }
    let of_id = |id: &PackageId| metadata[id].name.to_string();
    seen.iter().map(of_id).collect()
}

#[test]
fn ractor_is_built_with_what_the_tree_needs_and_no_more() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("cargo metadata resolves");
    let node = resolve
        .nodes
        .iter()
        .find(|node| metadata[&node.id].name.as_str() == "ractor")
        .expect("ractor is used");
    let features: BTreeSet<&str> = node.features.iter().map(|feature| feature.as_str()).collect();
    for wanted in ["cluster", "monitors"] {
        assert!(features.contains(wanted), "{features:?}");
    }
    // A span for each message, carried by each message: a cost that no configuration takes away.
    assert!(!features.contains("message_span_propogation"), "{features:?}");
}
