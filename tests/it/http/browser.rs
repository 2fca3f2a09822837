//! `/docs` and `/redoc` in a real browser whose network ends at this machine.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use omni_tests::door::Door;
use serde_json::Value;

/// Where the browser is; `None` where there is none. Under CI there is one.
fn chromium() -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places).map(|dir| dir.join("chromium")).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no chromium; `tests/run.sh` brings one");
        eprintln!("skipped: there is no chromium; `tests/run.sh` brings one");
    }
    found
}

/// A page as it was rendered.
struct Page {
    document: String,
    /// What it told its console.
    console: Vec<String>,
    /// What it asked for.
    requests: Vec<String>,
}

impl Page {
    fn open(chromium: &Path, url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("net.json");
        let output = Command::new("timeout")
            .args(["120", chromium.to_str().unwrap(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .args(["--enable-logging=stderr", "--virtual-time-budget=15000"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .arg(format!("--log-net-log={}", log.display()))
            .args(["--dump-dom", url])
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let console = told.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        let document = String::from_utf8(output.stdout).unwrap();
        Self { document, console, requests: requests(&std::fs::read_to_string(log).unwrap(), url) }
    }
}

/// What a page asked for: the browser's own requests have no initiator, or another one.
fn requests(log: &str, page: &str) -> Vec<String> {
    let origin = page.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let log: Value = serde_json::from_str(log).unwrap();
    let params = log["events"].as_array().unwrap().iter().map(|event| &event["params"]);
    let of_page = params.filter(|params| params["initiator"].as_str().is_some_and(|from| from.starts_with(&origin)));
    of_page.filter_map(|params| params["url"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_rendered_with_the_network_cut_and_asks_no_other_host() {
    let Some(chromium) = chromium() else { return };
    let door = Door::new().await;
    let host = format!("http://{}", door.address());
    for (path, script) in [("/docs/", "swagger-ui-bundle.js"), ("/redoc", "redoc.standalone.js")] {
        let (chromium, url) = (chromium.clone(), format!("{host}{path}"));
        let page = tokio::task::spawn_blocking(move || Page::open(&chromium, &url)).await.unwrap();
        assert!(page.document.contains("/chat/ask/stream"), "{path} is not rendered: {}", page.document);
        assert!(page.console.is_empty(), "{path}: {:?}", page.console);
        assert!(page.requests.iter().any(|url| url.ends_with(script)), "{path}: {:?}", page.requests);
        let foreign = page
            .requests
            .iter()
            .find(|url| !url.starts_with(&host) && !url.starts_with("data:") && !url.starts_with("blob:"));
        assert_eq!(foreign, None, "{path}");
    }
    door.end().await;
}
