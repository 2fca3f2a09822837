//! The client scenarios of the MCP conformance suite, with omni's pool as the client.

use std::path::Path;

use omni_tests::parts::Conformance;
use tempfile::TempDir;

/// Runs what a revision of the protocol requires. What is expected to fail stands in a file, with its
/// reasons; the suite fails on anything else that fails, and on what is listed and passes.
fn keeps(revision: &str) {
    let suite = Conformance::find();
    let results = TempDir::new().unwrap();
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("conformance/client-{revision}.yml"));
    let ran = suite
        .command(&["client", "--command", env!("CARGO_BIN_EXE_omni-conformance-client")])
        .args(["--requirements", revision, "-o"])
        .arg(results.path())
        .arg("--expected-failures")
        .arg(expected)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
}

#[test]
fn what_2025_11_25_requires_of_a_client_is_kept() {
    keeps("2025-11-25");
}

#[test]
fn what_2026_07_28_requires_of_a_client_is_kept() {
    keeps("2026-07-28");
}

/// What no revision requires yet, and omni keeps all the same.
#[test]
fn schemas_of_tools_reach_whoever_uses_them_as_they_came() {
    let suite = Conformance::find();
    let results = TempDir::new().unwrap();
    let mut command = suite.command(&["client", "--command", env!("CARGO_BIN_EXE_omni-conformance-client")]);
    let ran =
        command.args(["--scenario", "json-schema-2020-12-preservation", "-o"]).arg(results.path()).output().unwrap();
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
