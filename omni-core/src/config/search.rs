//! Which directory the configuration is in.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::ConfigError;

/// The files of a configuration.
pub(super) const FILES: [&str; 5] = ["settings.yaml", "mcps.yaml", "users.yaml", "slack.yaml", "threading.yaml"];

/// What is wrong with a link to what is not there.
pub(super) const NOWHERE: &str = "it is a link that leads nowhere";

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
    for dir in candidates.into_iter().flatten() {
        if holds_configuration(&dir)? {
            return Ok(Some(dir));
        }
    }
    Ok(None)
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
///
/// # Errors
/// It is there and cannot be looked into: whoever passed it over would pass over its people and their rules.
pub(crate) fn holds_configuration(dir: &Path) -> Result<bool, ConfigError> {
    let failed = |message: String| ConfigError::Read { path: dir.display().to_string(), message };
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Ok(false),
        Err(_) if fs::symlink_metadata(dir).is_err() => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(failed(NOWHERE.into())),
        Err(error) => return Err(failed(error.to_string())),
    }
    for file in FILES {
        // A link is one of its files wherever it leads, which is for whoever reads it to find out.
        match fs::symlink_metadata(dir.join(file)) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(format!("it cannot be looked into: {error}"))),
        }
    }
    Ok(false)
}
