//! The names by which a model calls tools: legal for its vendor, and never two alike.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ToolDef;
use crate::hex::to_hex;

#[cfg(test)]
mod tests;

/// When a tool's name says which server it is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefix {
    /// Always: no name depends on what other servers offer.
    #[default]
    Always,
    /// Only where two tools on offer would share a name.
    OnConflict,
}

/// What a vendor allows in a tool name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NameRules {
    /// Longest name, in characters of `[a-zA-Z0-9_-]`. Below 16 there is no room to tell many tools apart.
    pub max_len: usize,
    /// Whether the server's name is in it.
    pub prefix: Prefix,
}

impl NameRules {
    /// Names of `server__tool` that are no longer than this.
    #[must_use]
    pub fn up_to(max_len: usize) -> Self {
        Self { max_len, prefix: Prefix::Always }
    }

    /// The same with the server's name in them or not.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self
    }
}

impl Default for NameRules {
    fn default() -> Self {
        Self::up_to(64)
    }
}

/// How many characters of hash a name gets when it has to differ, and by how many more each time
/// that this is not enough.
const HASH_STEP: usize = 8;
/// Rounds until the whole hash is in the name.
const MAX_ROUNDS: usize = 8;

/// One name per tool, in the order of the tools: `server__tool` with the illegal characters
/// replaced. A name that is too long, or that two tools would share, ends in a hash of the tool's
/// full name instead, so that no name depends on the order of the tools or on unrelated ones.
///
/// With [`Prefix::OnConflict`] it is `tool` alone where no other tool would have that name.
pub(super) fn assign(tools: &[Arc<ToolDef>], rules: NameRules) -> Vec<Arc<str>> {
    let keys: Vec<(&str, &str)> = tools.iter().map(|def| (&*def.server, &*def.name)).collect();
    assign_keys(&keys, rules)
}

/// The same for whatever has a name at a server.
pub(crate) fn assign_keys(keys: &[(&str, &str)], rules: NameRules) -> Vec<Arc<str>> {
    let mut names = candidates(keys, rules);
    for _ in 0..MAX_ROUNDS {
        let shared = shared(&names);
        if shared.is_empty() {
            break;
        }
        for candidate in names.iter_mut().filter(|candidate| shared.contains(&candidate.name)) {
            candidate.lengthen(rules);
        }
    }
    names.into_iter().map(|candidate| candidate.name.into()).collect()
}

struct Candidate {
    plain: String,
    hash: String,
    hash_len: usize,
    name: String,
}

impl Candidate {
    fn lengthen(&mut self, rules: NameRules) {
        self.hash_len += HASH_STEP;
        let hash = &self.hash[..self.hash_len.min(self.hash.len()).min(rules.max_len)];
        let room = rules.max_len.saturating_sub(hash.len() + 1);
        self.name = match room {
            0 => hash.to_owned(),
            room => format!("{}_{hash}", &self.plain[..room.min(self.plain.len())]),
        };
    }
}

fn candidates(keys: &[(&str, &str)], rules: NameRules) -> Vec<Candidate> {
    let mut listed: HashMap<(&str, &str), u32> = HashMap::new();
    let number = |def| {
        // A server that lists one name twice must not make every request fail.
        let times: &mut u32 = listed.entry(def).or_default();
        *times += 1;
        *times
    };
    let bare = bare(keys, rules);
    let keys = keys.iter().copied();
    let plain = |(server, tool)| {
        let tool: String = legal(tool);
        if bare.contains(&tool) { tool } else { format!("{}__{tool}", legal(server)) }
    };
    let plains = keys.clone().map(plain);
    let named = keys.clone().map(number).zip(keys).zip(plains);
    named.map(|((times, key), plain)| candidate(key, plain, times, rules)).collect()
}

/// The names that stand for one tool without its server's.
fn bare(keys: &[(&str, &str)], rules: NameRules) -> HashSet<String> {
    if rules.prefix == Prefix::Always {
        return HashSet::new();
    }
    let mut times: HashMap<String, u32> = HashMap::new();
    for (_, name) in keys {
        *times.entry(legal(name)).or_default() += 1;
    }
    times.into_iter().filter(|(_, times)| *times == 1).map(|(name, _)| name).collect()
}

fn candidate((server, tool): (&str, &str), plain: String, times: u32, rules: NameRules) -> Candidate {
    let full = if times == 1 { format!("{server}\0{tool}") } else { format!("{server}\0{tool}\0{times}") };
    let mut candidate = Candidate { name: plain.clone(), plain, hash: to_hex(Sha256::digest(full)), hash_len: 0 };
    if candidate.name.len() > rules.max_len {
        candidate.lengthen(rules);
    }
    candidate
}

fn shared(names: &[Candidate]) -> HashSet<String> {
    let mut seen = HashSet::new();
    names.iter().filter(|candidate| !seen.insert(&candidate.name)).map(|candidate| candidate.name.clone()).collect()
}

/// All characters that a vendor may refuse become `_`; what is left is ASCII.
fn legal(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
