//! What is asked of GitHub.

use url::Url;

use super::Bucket;
use crate::names::{RepoPath, Repository};

/// Most bytes of an answer in JSON: a hundred repositories or a thousand entries are well below a quarter of it.
const MAX_JSON: usize = 4 * 1024 * 1024;
/// Most bytes of a file.
pub(crate) const MAX_FILE: usize = 8 * 1024 * 1024;

/// In which form an answer is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    Json,
    /// A file's own bytes.
    Raw,
}

impl Accept {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/vnd.github+json",
            Self::Raw => "application/vnd.github.raw+json",
        }
    }
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(super) bucket: Bucket,
    pub(super) accept: Accept,
    /// How much of the answer is read. Of a file, what is beyond it is left; any other answer has to fit.
    pub(super) most_bytes: usize,
    /// What it is about, after "knows no".
    pub(super) wanted: String,
}

impl Request {
    /// Repositories that fit a query. `pairs` are the parameters beside it.
    pub(crate) fn search<'a>(base: &Url, pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let mut url = below(base, ["search", "repositories"]);
        url.query_pairs_mut().extend_pairs(pairs);
        let wanted = "search of repositories".into();
        Self { url, bucket: Bucket::Search, accept: Accept::Json, most_bytes: MAX_JSON, wanted }
    }

    /// What is at a path of a repository, at a revision or, without one, at its default branch.
    pub(crate) fn contents(base: &Url, repository: &Repository, path: &RepoPath, revision: Option<&str>) -> Self {
        let fixed = ["repos", &repository.owner, &repository.name, "contents"];
        let mut url = below(base, fixed.into_iter().chain(path.parts()));
        let mut wanted = format!("`{}` in {repository}", path.shown());
        if let Some(revision) = revision {
            url.query_pairs_mut().append_pair("ref", revision);
            wanted.push_str(&format!(" at `{revision}`"));
        }
        Self { url, bucket: Bucket::Core, accept: Accept::Json, most_bytes: MAX_JSON, wanted }
    }

    /// The bytes of a file by its hash, which has to be one.
    pub(crate) fn blob(base: &Url, repository: &Repository, sha: &str) -> Self {
        let url = below(base, ["repos", &repository.owner, &repository.name, "git", "blobs", sha]);
        let wanted = format!("blob {sha} in {repository}");
        Self { url, bucket: Bucket::Core, accept: Accept::Raw, most_bytes: MAX_FILE, wanted }
    }
}

/// An address below that of the API, every part of it encoded.
fn below<'a>(base: &Url, parts: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    // Addresses of APIs are http or https, which have paths.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}
