//! The `Dockerfile`, as far as its words are instructions.

use std::collections::{BTreeMap, BTreeSet};

use super::{read, root};

/// What the `Dockerfile` says.
pub(super) struct Recipe {
    /// Instructions with their arguments, continued lines joined.
    lines: Vec<(String, String)>,
}

impl Recipe {
    pub(super) fn load() -> Self {
        let text = read(&root().join("Dockerfile"));
        let uncommented: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let joined = uncommented.join("\n").replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let pair = |line: String| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.to_owned()));
        Self { lines: lines.filter_map(pair).collect() }
    }

    /// The arguments of every instruction of a name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.lines.iter().filter(|(word, _)| word == name).map(|(_, rest)| rest.as_str()).collect()
    }

    /// The arguments of the one instruction of a name.
    pub(super) fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0]
    }

    /// The words of an instruction that starts no shell.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let (_, list) = self.one(name).split_once('[').unwrap_or_else(|| panic!("{name} starts a shell"));
        serde_json::from_str(&format!("[{list}")).unwrap()
    }

    /// The names of the stages.
    pub(super) fn stages(&self) -> BTreeSet<&str> {
        self.all("FROM").iter().filter_map(|from| Some(from.split_once(" AS ")?.1)).collect()
    }

    /// What the image sets in the environment.
    pub(super) fn env(&self) -> BTreeMap<&str, &str> {
        self.all("ENV").iter().flat_map(|line| line.split(' ')).filter_map(|pair| pair.split_once('=')).collect()
    }

    /// The user's and the group's number.
    pub(super) fn user(&self) -> (u32, u32) {
        let (user, group) = self.one("USER").split_once(':').unwrap();
        (user.parse().unwrap(), group.parse().unwrap())
    }

    /// The directory that is a volume.
    pub(super) fn volume(&self) -> String {
        let mut volumes = self.words("VOLUME");
        assert_eq!(volumes.len(), 1, "{volumes:?}");
        volumes.remove(0)
    }

    /// The port that is listened at.
    pub(super) fn port(&self) -> u16 {
        self.one("EXPOSE").parse().unwrap()
    }

    /// Where the configuration is.
    pub(super) fn config_dir(&self) -> String {
        self.env()["OMNI_CONFIG"].to_owned()
    }

    /// The words that ask whether the service in the container is ready.
    pub(super) fn probe(&self) -> Vec<String> {
        let (_, list) = self.one("HEALTHCHECK").split_once(" CMD ").unwrap();
        serde_json::from_str(list).unwrap()
    }
}
