//! Where the real `aimg` is.

use crate::process::root;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// `AIMG_BIN`, else the one beside the running test, built first when it is missing or old.
pub fn aimg() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(find).clone()
}

fn find() -> PathBuf {
    if let Some(given) = std::env::var_os("AIMG_BIN") {
        return given.into();
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("tests run from target/<profile>/deps").to_owned();
    let binary = folder.join("aimg");
    // The same set of packages as the test run itself, so that nothing but the program is built anew.
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--workspace", "--all-targets"]).current_dir(root());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let built = build.status().expect("cargo runs");
    assert!(built.success() && binary.is_file(), "{} could not be built", binary.display());
    binary
}
