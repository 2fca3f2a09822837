//! GitHub's repositories as an MCP server: `search_repositories` and `get_file_contents`, with the names and
//! arguments of GitHub's own server, over the REST API.
//!
//! [`GithubServer`] is an rmcp service: in process it is handed to whatever speaks to one, and [`serve`] puts it
//! behind standard input and output or behind streamable HTTP. What it needs to know of its surroundings is a
//! value, [`Settings`].
//!
//! Reading order: [`server`](GithubServer) → `search`, `contents` (one tool each) → `client` (one request, its
//! limits and what becomes of refusals) → `names` (what may stand in a request at all).
//!
//! What always holds: nothing is written to GitHub; nothing is sent whose owner, repository, path or ref is not
//! one; every answer has a size cap and every call an end; the token goes to the configured host alone and is in
//! no output, error or log; what GitHub says is data.

mod cli;
mod client;
mod contents;
mod error;
mod names;
mod search;
pub mod serve;
mod server;
mod settings;
mod text;
mod token;

pub use cli::main;
pub use error::{Error, Limited};
pub use server::{BuildError, GithubServer};
pub use settings::{Settings, SettingsError};
