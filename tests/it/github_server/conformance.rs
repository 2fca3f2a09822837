//! The conformance suite's scenarios that need no fixture, on the server's HTTP form.

use omni_tests::{github::GitHub, parts::Conformance};
use tokio::process::Command;

use super::program::Served;

const OLD: &[&str] = &["server-initialize", "ping", "tools-list", "dns-rebinding-protection"];
const NEW: &[&str] = &["tools-list", "dns-rebinding-protection", "http-header-validation"];

async fn passes(url: &str, revision: &str, scenario: &str) {
    let out = tempfile::tempdir().unwrap();
    let args = ["server", "--url", url, "--spec-version", revision, "--scenario", scenario];
    let mut suite = Conformance::find().command(&args);
    suite.arg("-o").arg(out.path());
    let ran = Command::from(suite).kill_on_drop(true).output().await.unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{revision} {scenario}\n{told}\n{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_form_conforms_to_either_revision() {
    let github = GitHub::start().await;
    let served = Served::start(&github, &[]);
    for (revision, scenarios) in [("2025-11-25", OLD), ("2026-07-28", NEW)] {
        for scenario in scenarios {
            passes(&served.url, revision, scenario).await;
        }
    }
}
