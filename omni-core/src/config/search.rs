//! Which directory the configuration is in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::ConfigError;

/// The files of a configuration.
pub(super) const FILES: [&str; 5] = ["settings.yaml", "mcps.yaml", "users.yaml", "slack.yaml", "threading.yaml"];

/// The directory asked for, or the first that holds a configuration; `None` if there is none.
pub(super) fn find(
    dir: Option<PathBuf>,
    cwd: &Path,
    env: &BTreeMap<String, String>,
) -> Result<Option<PathBuf>, ConfigError> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = dir.or_else(|| set("OMNI_CONFIG")) {
        return existing(cwd.join(dir)).map(Some);
    }
    let user = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let candidates = [Some(cwd.join("config")), user.map(|dir| dir.join("omni"))];
    Ok(candidates.into_iter().flatten().find(|dir| holds_configuration(dir)))
}

/// Where omni keeps its files when nobody says otherwise.
pub(super) fn data_dir(env: &BTreeMap<String, String>, cwd: &Path) -> PathBuf {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    data.map_or_else(|| cwd.join(".omni"), |data| data.join("omni"))
}

fn existing(dir: PathBuf) -> Result<PathBuf, ConfigError> {
    let path = dir.display().to_string();
    if dir.is_dir() {
        Ok(dir)
    } else if dir.exists() {
        Err(ConfigError::Read { path, message: "it is no directory; name the one that holds the files".into() })
    } else {
        Err(ConfigError::NoDirectory { path })
    }
}

/// Many projects have a `config` directory of their own; omni's holds one of its files.
pub(crate) fn holds_configuration(dir: &Path) -> bool {
    FILES.iter().any(|file| dir.join(file).is_file())
}
