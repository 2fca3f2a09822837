//! The conformance suite of the protocol, against the gateway in front of a fixture.

use std::path::{Path, PathBuf};

use omni_core::{catalog::Prefix, config::SecurityMode, mcp::http::HttpServer};
use omni_tests::{
    door::Door,
    fixture::{FixtureServer, Speaks},
    parts::Conformance,
};
use tokio::process::Command;

/// What is known to fail, each with a reason.
fn expected(revision: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("conformance/server-{revision}.yml"))
}

async fn passes(url: &str, revision: &str, expected: &Path) {
    let out = tempfile::tempdir().unwrap();
    let mut suite = Conformance::find().command(&["server", "--url", url, "--requirements", revision]);
    suite.arg("--expected-failures").arg(expected).arg("-o").arg(out.path());
    let ran = Command::from(suite).kill_on_drop(true).output().await.unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    let tail: Vec<&str> = told.lines().rev().take(400).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    assert!(ran.status.success(), "{}\n{}", tail.join("\n"), String::from_utf8_lossy(&ran.stderr));
}

/// The server behind the gateway is of the client's time: what older servers ask in the middle of a call
/// they ask by a request, which there is none of since 2026-07-28.
async fn gateway_passes(revision: &str, speaks: Speaks) {
    let fixture = FixtureServer::speaking(speaks).await;
    let set = |config: &mut omni_core::config::HttpConfig| {
        config.mode = SecurityMode::TrustedLocal;
        config.gateway.prefix = Prefix::OnConflict;
    };
    let door = Door::with(set, |builder| builder.server("fixture", HttpServer::new(&fixture.url).unwrap())).await;
    door.omni.catalog().await;
    passes(&format!("http://{}/mcp", door.address()), revision, &expected(revision)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_conforms_to_2025_11_25() {
    gateway_passes("2025-11-25", Speaks::Old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_conforms_to_2026_07_28() {
    gateway_passes("2026-07-28", Speaks::New).await;
}

/// What the gateway is measured by has to be right itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_fixture_alone_conforms() {
    let fixture = FixtureServer::start().await;
    let none = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(none.path(), "server: []\n").unwrap();
    for revision in ["2025-11-25", "2026-07-28"] {
        passes(&fixture.url, revision, none.path()).await;
    }
}
