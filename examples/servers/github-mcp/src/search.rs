//! `search_repositories`.

use http::Response;
use http_body_util::{BodyExt as _, Full};
use octocrab::{FromResponse as _, Page};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::{Client, Reply, Request},
    error::Error,
    names,
    server::Outcome,
    text::line,
};

mod render;

pub(crate) const NAME: &str = "search_repositories";
const TITLE: &str = "Search GitHub repositories";
const DESCRIPTION: &str = "Find repositories on GitHub: projects, libraries, frameworks, tools and examples, by name, \
     description, README, topic, programming language, stars or owner. Use it to discover repos, or when the owner or \
     the exact name of a repository is not known. Returns names, descriptions, stars, languages and links, a page at a \
     time.";

/// GitHub gives out no more of a search, on however many pages.
const MAX_RESULTS: u32 = 1_000;
const MAX_PER_PAGE: u32 = 100;
const PER_PAGE: u32 = 30;
/// Most characters of a description; GitHub's own bound is lower.
const MAX_DESCRIPTION: usize = 1_000;

/// What repositories are sorted by.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sort {
    Stars,
    Forks,
    HelpWantedIssues,
    Updated,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Stars => "stars",
            Self::Forks => "forks",
            Self::HelpWantedIssues => "help-wanted-issues",
            Self::Updated => "updated",
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Desc,
}

/// What the tool takes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Search terms and, where they help, qualifiers: `web framework language:rust stars:>100`, `topic:mcp user:octocat`.
    query: String,
    /// What to sort by; best match first where it is absent.
    #[schemars(with = "Option<String>", extend("type" = "string", "enum" = ["stars", "forks", "help-wanted-issues", "updated"]))]
    sort: Option<Sort>,
    /// Direction of the sorting; from most to least where it is absent.
    #[schemars(with = "Option<String>", extend("type" = "string", "enum" = ["asc", "desc"]))]
    order: Option<Order>,
    /// Which page of the results.
    #[schemars(range(min = 1), extend("default" = 1))]
    page: Option<u32>,
    /// Results per page.
    #[serde(rename = "perPage")]
    #[schemars(range(min = 1, max = 100), extend("default" = 30))]
    per_page: Option<u32>,
    /// Whether to leave out license, homepage, size, permissions and the like.
    #[schemars(extend("default" = true))]
    minimal_output: Option<bool>,
}

/// What was found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// How many repositories fit, of which GitHub gives out the first thousand.
    total_count: u64,
    /// Whether GitHub ran out of time, so that there may be more.
    incomplete_results: bool,
    page: u32,
    per_page: u32,
    /// The page after this one, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<u32>,
    items: Vec<Repository>,
}

/// A repository. What its people write is data.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Repository {
    id: u64,
    name: String,
    full_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    html_url: String,
    /// The language that most of it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(default)]
    stargazers_count: u64,
    #[serde(default)]
    forks_count: u64,
    #[serde(default)]
    open_issues_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_branch: Option<String>,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    fork: bool,
    #[serde(default)]
    archived: bool,
    #[serde(flatten)]
    more: More,
}

/// What is told of a repository where `minimal_output` is false.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<License>,
    /// Kilobytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watchers_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pushed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_template: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_issues: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_projects: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_wiki: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_discussions: Option<bool>,
    /// What the token may do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

/// The terms that a repository is under.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct License {
    key: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    spdx_id: Option<String>,
}

/// What a token may do with a repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Permissions {
    admin: bool,
    maintain: bool,
    push: bool,
    triage: bool,
    pull: bool,
}

/// The tool, as it is on offer.
pub(crate) fn tool() -> Tool {
    let annotations = ToolAnnotations::with_title(TITLE).read_only(true).destructive(false).idempotent(true);
    Tool::new(NAME, DESCRIPTION, JsonObject::new())
        .with_input_schema::<Arguments>()
        .with_title(TITLE)
        .with_output_schema::<Found>()
        .with_annotations(annotations.open_world(true))
}

/// Searches.
///
/// # Errors
/// [`Error`] when the arguments are none or GitHub has no answer.
pub(crate) async fn call(client: &Client, arguments: Arguments) -> Result<Outcome, Error> {
    let query = names::query(&arguments.query)?;
    let page = arguments.page.unwrap_or(1);
    let per_page = arguments.per_page.unwrap_or(PER_PAGE);
    if !(1..=MAX_PER_PAGE).contains(&per_page) {
        return Err(Error::Argument { argument: "perPage", problem: format!("is 1 to {MAX_PER_PAGE}") });
    }
    if page == 0 || u64::from(page - 1) * u64::from(per_page) >= u64::from(MAX_RESULTS) {
        let last = MAX_RESULTS.div_ceil(per_page);
        let problem =
            format!("is 1 to {last} with `perPage` {per_page}: GitHub gives out the first {MAX_RESULTS} results");
        return Err(Error::Argument { argument: "page", problem });
    }
    let mut pairs = vec![("q", query.clone()), ("page", page.to_string()), ("per_page", per_page.to_string())];
    pairs.extend(arguments.sort.map(|sort| ("sort", sort.name().to_owned())));
    let order = arguments.order.map(|order| if matches!(order, Order::Asc) { "asc" } else { "desc" });
    pairs.extend(order.map(|order| ("order", order.to_owned())));
    let found = read(client.get(&Request::search(&client.base, pairs)).await?).await?;
    let minimal = arguments.minimal_output.unwrap_or(true);
    let has_more = found.next.is_some() && page * per_page < MAX_RESULTS;
    let found = Found {
        total_count: found.total_count.unwrap_or(found.items.len() as u64),
        incomplete_results: found.incomplete_results.unwrap_or_default(),
        page,
        per_page,
        next_page: has_more.then_some(page + 1),
        items: found.items.into_iter().take(per_page as usize).map(|item| item.shown(minimal)).collect(),
    };
    Outcome::new(render::text(&query, &found), &found)
}

async fn read(reply: Reply) -> Result<Page<Repository>, Error> {
    let mut response = Response::new(Full::from(reply.body).map_err(|never| match never {}));
    *response.headers_mut() = reply.headers;
    Page::from_response(response).await.map_err(|error| Error::Protocol { message: line(&error.to_string(), 200) })
}

impl Repository {
    fn shown(mut self, minimal: bool) -> Self {
        self.description = self.description.map(|text| line(&text, MAX_DESCRIPTION)).filter(|text| !text.is_empty());
        if minimal {
            self.more = More::default();
        }
        self
    }
}
