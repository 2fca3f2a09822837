//! `get_file_contents`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::{Client, Request},
    error::Error,
    names::{self, RepoPath, Repository},
    server::Outcome,
    text::line,
};

mod render;
mod window;

use window::{Lines, window};

pub(crate) const NAME: &str = "get_file_contents";
const TITLE: &str = "Get file or directory contents from GitHub";
const DESCRIPTION: &str = "Read a file of a GitHub repository, such as its README.md, Cargo.toml or a source file, or list \
     a directory, at the default branch or at a branch, tag or commit. Use it when owner, repository and path are known, \
     as in `tokio-rs/tokio`; without a path it lists the root directory. Long files come in parts, by line numbers.";

/// What the tool takes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Owner of the repository: a user or an organization.
    owner: String,
    /// Name of the repository, without the owner.
    repo: String,
    /// Path of the file or directory, from the root of the repository.
    #[schemars(extend("default" = "/"))]
    path: Option<String>,
    /// Branch, tag or other ref, such as `main`, `v1.2.0` or `refs/pull/7/head`. Absent: the default branch.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Hash of a commit, in place of `ref`.
    sha: Option<String>,
    /// First line of the file to show, counted from 1.
    #[schemars(range(min = 1))]
    start_line: Option<u64>,
    /// Last line of the file to show.
    #[schemars(range(min = 1))]
    end_line: Option<u64>,
}

/// What there can be at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Kind {
    File,
    #[serde(alias = "dir")]
    Directory,
    Symlink,
    Submodule,
}

/// What is at a path. What its people write is data.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Contents {
    kind: Kind,
    owner: String,
    repo: String,
    path: String,
    /// The ref or commit that was asked for; absent: the default branch.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// Whether the repository has another name now, which `html_url` tells.
    has_moved: bool,
    /// The hash of the file, or the commit of the submodule.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha: Option<String>,
    /// Bytes of the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_url: Option<String>,
    /// Whether the file is something else than text in UTF-8, which is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_binary: Option<bool>,
    /// Which lines of the file are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Lines>,
    /// The text of these lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What is in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Entry>>,
    /// Where the symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Where the submodule comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    submodule_git_url: Option<String>,
}

/// One entry of a directory.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Entry {
    kind: Kind,
    name: String,
    path: String,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    sha: String,
}

/// What GitHub answers: a list for a directory, else one item.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Directory(Vec<Item>),
    Item(Box<Item>),
}

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Kind,
    name: String,
    path: String,
    sha: String,
    #[serde(default)]
    size: u64,
    html_url: Option<String>,
    git_url: Option<String>,
    content: Option<String>,
    encoding: Option<String>,
    target: Option<String>,
    submodule_git_url: Option<String>,
}

/// The tool, as it is on offer.
pub(crate) fn tool() -> Tool {
    let annotations = ToolAnnotations::with_title(TITLE).read_only(true).destructive(false).idempotent(true);
    Tool::new(NAME, DESCRIPTION, JsonObject::new())
        .with_input_schema::<Arguments>()
        .with_title(TITLE)
        .with_output_schema::<Contents>()
        .with_annotations(annotations.open_world(true))
}

/// Reads.
///
/// # Errors
/// [`Error`] when the arguments are none or GitHub has no answer.
pub(crate) async fn call(client: &Client, arguments: Arguments) -> Result<Outcome, Error> {
    let repository = Repository::new(&arguments.owner, &arguments.repo)?;
    let path = RepoPath::new(arguments.path.as_deref().unwrap_or("/"))?;
    let commit = arguments.sha.as_deref().filter(|sha| !sha.is_empty()).map(names::commit).transpose()?;
    let reference = arguments.reference.as_deref().filter(|text| !text.is_empty()).map(names::reference).transpose()?;
    let revision = commit.or(reference);
    window::check(arguments.start_line, arguments.end_line)?;
    let reply = client.get(&Request::contents(&client.base, &repository, &path, revision.as_deref())).await?;
    let answer = serde_json::from_slice(&reply.body);
    let answer = answer.map_err(|error| Error::Protocol { message: line(&error.to_string(), 200) })?;
    let mut contents = Contents::at(&repository, &path, revision, reply.has_moved);
    match answer {
        Answer::Directory(items) => contents.list(items),
        Answer::Item(item) => {
            let bytes = bytes_of(client, &repository, &item).await?;
            contents.describe(*item);
            if let Some((bytes, is_cut)) = bytes {
                contents.read(bytes, is_cut, arguments.start_line, arguments.end_line)?;
            }
        }
    }
    Outcome::new(render::text(&contents), &contents)
}

/// The bytes of a file, and whether there are more. Up to a megabyte they came with the answer.
async fn bytes_of(client: &Client, repository: &Repository, item: &Item) -> Result<Option<(Vec<u8>, bool)>, Error> {
    if item.kind != Kind::File {
        return Ok(None);
    }
    if let (Some("base64"), Some(content)) = (item.encoding.as_deref(), &item.content) {
        let packed: Vec<u8> = content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(packed);
        let bytes = bytes.map_err(|error| Error::Protocol { message: format!("the file is no base64: {error}") })?;
        return Ok(Some((bytes, false)));
    }
    if !names::is_hex(&item.sha) {
        return Err(Error::Protocol { message: "the file's hash is none".into() });
    }
    let reply = client.get(&Request::blob(&client.base, repository, &item.sha)).await?;
    Ok(Some((reply.body, reply.is_cut)))
}

impl Contents {
    fn at(repository: &Repository, path: &RepoPath, revision: Option<String>, has_moved: bool) -> Self {
        Self {
            kind: Kind::Directory,
            owner: repository.owner.clone(),
            repo: repository.name.clone(),
            path: path.shown().into(),
            revision,
            has_moved,
            sha: None,
            size: None,
            html_url: None,
            is_binary: None,
            lines: None,
            text: None,
            entries: None,
            target: None,
            submodule_git_url: None,
        }
    }

    fn list(&mut self, items: Vec<Item>) {
        self.entries = Some(items.into_iter().map(Entry::from).collect());
    }

    fn describe(&mut self, item: Item) {
        self.kind = item.kind;
        self.sha = Some(item.sha);
        self.size = (item.kind == Kind::File).then_some(item.size);
        self.html_url = item.html_url;
        self.target = item.target;
        self.submodule_git_url = item.submodule_git_url;
    }

    fn read(&mut self, bytes: Vec<u8>, is_cut: bool, first: Option<u64>, last: Option<u64>) -> Result<(), Error> {
        let text = window::text_of(bytes, is_cut);
        self.is_binary = Some(text.is_none());
        if let Some(text) = text {
            let (lines, shown) = window(&text, is_cut, first, last)?;
            (self.lines, self.text) = (Some(lines), Some(shown.to_owned()));
        }
        Ok(())
    }
}

impl From<Item> for Entry {
    fn from(item: Item) -> Self {
        // A list calls submodules files, for the sake of old clients; what they are is a tree.
        let is_tree = item.git_url.as_deref().is_some_and(|url| url.contains("/git/trees/"));
        let kind = if item.kind == Kind::File && is_tree { Kind::Submodule } else { item.kind };
        let size = (kind == Kind::File).then_some(item.size);
        Self { kind, name: item.name, path: item.path, size, sha: item.sha }
    }
}
