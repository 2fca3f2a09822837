//! The directory of the files is empty, gone, or another one by now.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use omni_core::{
    Config, Omni, Principal,
    config::LoadOptions,
    identity::Via,
    llm::scripted::Scripted,
    reload::{Outcome, Reloader},
};
use omni_tests::server::FakeServer;
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};

use super::{ADA, Lab, MCPS, SOON, echo, write};

/// Ada may call nothing.
const NOTHING: &str = "users: [{ email: ada@company.com, role: dba, allowed_mcps: [] }]";

/// A service that found its files in `config` of the working directory.
struct Found {
    lab: Lab,
    home: TempDir,
    omni: Omni,
    reloader: Reloader,
}

impl Found {
    async fn new() -> Self {
        let (lab, home) = (Lab::new(FakeServer::echo(), Scripted::new()).await, tempfile::tempdir().unwrap());
        fill(home.path(), "config", ADA);
        let options = LoadOptions::new(BTreeMap::new(), home.path());
        let config = Config::load(options.clone()).unwrap();
        let omni = Omni::from_config(&config, &lab.registry).await.unwrap();
        let reloader = Reloader::new(omni.clone(), lab.registry.clone(), options);
        Self { lab, home, omni, reloader }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn may_call(&self) -> bool {
        self.omni.call_tool(echo()).await.is_ok()
    }

    /// Whether somebody is let in who is in no file.
    async fn knows_strangers(&self) -> bool {
        self.omni.grant(Principal::new("eve@company.com", Via::ApiKey)).await.is_ok()
    }

    /// Waits until files are live by which Ada may call, or may not.
    async fn until(&self, may: bool, outcome: &mut watch::Receiver<Option<Outcome>>) {
        let live = async {
            while self.may_call().await != may {
                outcome.changed().await.unwrap();
            }
        };
        timeout(SOON, live).await.expect("it is not live");
    }

    async fn end(self) {
        self.omni.shutdown().await;
        self.lab.omni.shutdown().await;
    }
}

/// A directory with these people.
fn fill(home: &Path, name: &str, users: &str) {
    let dir = home.join(name);
    fs::create_dir(&dir).unwrap();
    let settings = format!("data_dir: '{}'\nllm: {{ provider: script }}", home.join("data").display());
    for (file, text) in [("settings.yaml", settings.as_str()), ("mcps.yaml", MCPS), ("users.yaml", users)] {
        write(&dir, file, text);
    }
}

#[tokio::test]
async fn a_directory_whose_files_are_all_gone_lets_in_nobody_more() {
    let found = Found::new().await;
    let is_as_before = async || !found.knows_strangers().await && found.may_call().await;
    assert!(is_as_before().await);
    for file in fs::read_dir(found.path("config")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let error = found.reloader.reload().await.unwrap_err().to_string();
    assert!(error.contains("none of its files is there"), "{error}");
    assert!(is_as_before().await);
    fs::remove_dir(found.path("config")).unwrap();
    let error = found.reloader.reload().await.unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
    assert!(is_as_before().await);
    // Nor by whoever searches again themselves.
    let nothing = Config::load(LoadOptions::new(BTreeMap::new(), found.home.path())).unwrap();
    let error = found.omni.reload(&nothing, &found.lab.registry).await.unwrap_err().to_string();
    assert!(nothing.dir.is_none() && error.contains("not found any more"), "{error}");
    assert!(is_as_before().await);
    fill(found.home.path(), "config", NOTHING);
    assert_eq!(found.reloader.reload().await.unwrap().after_restart, Vec::<&str>::new());
    assert!(!found.may_call().await);
    found.end().await;
}

#[tokio::test]
async fn a_directory_that_was_put_in_the_place_of_the_old_one_is_live_too() {
    let found = Found::new().await;
    let (home, config) = (found.home.path(), found.path("config"));
    let watching = found.reloader.clone().watch().unwrap();
    let mut outcome = watching.outcome();
    fill(home, "new", NOTHING);
    fs::rename(&config, home.join("old")).unwrap();
    fs::rename(home.join("new"), &config).unwrap();
    found.until(false, &mut outcome).await;
    write(&config, "users.yaml", ADA);
    found.until(true, &mut outcome).await;

    fs::remove_dir_all(&config).unwrap();
    fill(home, "config", NOTHING);
    found.until(false, &mut outcome).await;
    write(&config, "users.yaml", ADA);
    found.until(true, &mut outcome).await;
    drop(watching);
    found.end().await;
}

#[tokio::test]
async fn a_link_that_leads_to_another_directory_by_now_is_live_too() {
    let found = Found::new().await;
    let (home, config) = (found.home.path(), found.path("config"));
    fs::rename(&config, home.join("first")).unwrap();
    symlink("first", &config).unwrap();
    let watching = found.reloader.clone().watch().unwrap();
    let mut outcome = watching.outcome();
    fill(home, "second", NOTHING);
    symlink("second", home.join("next")).unwrap();
    fs::rename(home.join("next"), &config).unwrap();
    found.until(false, &mut outcome).await;
    write(&home.join("second"), "users.yaml", ADA);
    found.until(true, &mut outcome).await;
    drop(watching);
    found.end().await;
}
