//! What may stand in a request: repositories, paths, revisions and queries. Whatever is none of them is refused
//! before anything is sent.

use std::fmt;

use crate::error::Error;

#[cfg(test)]
mod tests;

/// GitHub's own bounds.
const MAX_OWNER: usize = 39;
const MAX_REPOSITORY: usize = 100;
const MAX_REVISION: usize = 255;
/// Longer than any path that a file system takes.
const MAX_PATH: usize = 4_096;
/// GitHub counts 256 without qualifiers, and says so itself.
const MAX_QUERY: usize = 1_024;

fn refuse<T>(argument: &'static str, problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Argument { argument, problem: problem.into() })
}

/// A repository, by its owner and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) owner: String,
    pub(crate) name: String,
}

impl Repository {
    pub(crate) fn new(owner: &str, name: &str) -> Result<Self, Error> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if owner.len() > MAX_OWNER
            || !owner.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !owner.chars().all(is_letter)
        {
            return refuse("owner", "is no name of a user or an organization: letters, digits and hyphens, at most 39");
        }
        let is_name = (1..=MAX_REPOSITORY).contains(&name.len()) && name.chars().all(|c| is_letter(c) || c == '.');
        if !is_name || name == "." || name == ".." {
            return refuse(
                "repo",
                "is no name of a repository: letters, digits, `.`, `-` and `_`, at most 100, without the owner",
            );
        }
        Ok(Self { owner: owner.into(), name: name.into() })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A place in a repository, without slashes around it; empty is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepoPath(String);

impl RepoPath {
    pub(crate) fn new(path: &str) -> Result<Self, Error> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.len() > MAX_PATH {
            return refuse("path", format!("is longer than {MAX_PATH} bytes"));
        }
        if inner.chars().any(|c| c.is_control() || c == '\\') {
            return refuse("path", "has control characters or backslashes in it; directories are parted by `/`");
        }
        if !inner.is_empty() && inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse(
                "path",
                "has to lead from the root of the repository down, without `.`, `..` and empty parts",
            );
        }
        Ok(Self(inner.into()))
    }

    /// Its parts from the root down.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// As it is written, `/` for the root.
    pub(crate) fn shown(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }
}

/// A branch, a tag or another ref, by git's own rules for their names.
pub(crate) fn reference(text: &str) -> Result<String, Error> {
    let has_odd = text.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c));
    let is_odd_part =
        |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with('.') || part.ends_with(".lock");
    let is_odd = has_odd || text.contains("..") || text.contains("@{") || text.starts_with('-') || text == "@";
    if text.is_empty() || text.len() > MAX_REVISION || is_odd || text.split('/').any(is_odd_part) {
        return refuse("ref", "is no name of a branch or a tag, such as `main`, `v1.2.0` or `refs/pull/7/head`");
    }
    Ok(text.into())
}

/// A commit, by as much of its hash as tells it.
pub(crate) fn commit(text: &str) -> Result<String, Error> {
    if !(7..=64).contains(&text.len()) || !is_hex(text) {
        return refuse("sha", "is no hash of a commit: seven to 64 hexadecimal digits");
    }
    Ok(text.into())
}

/// Whether a text is nothing but hexadecimal digits.
pub(crate) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What to search for.
pub(crate) fn query(text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return refuse("query", "is empty; name what to look for, such as `web framework language:rust`");
    }
    if text.chars().count() > MAX_QUERY {
        return refuse("query", format!("is longer than {MAX_QUERY} characters; GitHub takes 256 beside qualifiers"));
    }
    if text.chars().any(char::is_control) {
        return refuse("query", "has control characters in it");
    }
    Ok(text.into())
}
