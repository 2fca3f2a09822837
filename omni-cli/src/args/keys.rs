//! `omni keys`.

use clap::{Args, Subcommand};
use omni_core::identity::Scope;

use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni keys create --user ci@company.com --scope ask
  omni keys create --user bot@company.com --scope ask,act_as --act-as role:dba,role:read_only --ceiling dba --json
  omni keys list --user ci@company.com
  omni keys revoke 7

Scopes: ask (ask questions), mcp (list and call tools directly), audit (read the ledger), admin
(administer, where the owner's role may), act_as (ask for others).";

const SCOPE_HELP: &str = "What it may be used for: ask, mcp, audit, admin, act_as; several with commas between them";

/// What to do with API keys.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum KeysCommand {
    /// Make a key; it is shown this once
    Create(CreateKeyArgs),
    /// List keys; nothing of a key can be read from it
    #[command(after_help = "Example:\n  omni keys list --user ci@company.com --json")]
    List(ListKeysArgs),
    /// Take a key back
    #[command(after_help = "Example:\n  omni keys revoke 7")]
    Revoke(RevokeKeyArgs),
}

impl KeysCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::json_if(match self {
            Self::Create(args) => args.json,
            Self::List(args) => args.json,
            Self::Revoke(args) => args.json,
        })
    }
}

/// Make a key.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni keys create --user ci@company.com --scope ask,audit --expires-days 90 --json")]
pub struct CreateKeyArgs {
    /// Whose it will be
    #[arg(short, long, value_name = "EMAIL")]
    pub user: String,
    /// What it may be used for
    #[arg(short, long, value_name = "SCOPE", help = SCOPE_HELP)]
    #[arg(value_delimiter = ',', required = true, value_parser = scope)]
    pub scope: Vec<Scope>,
    /// What it is for
    #[arg(short, long)]
    pub name: Option<String>,
    /// Whom it may act for: addresses, role:NAME, or * [default: *]
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    pub act_as: Vec<String>,
    /// A role that its rights never exceed [default, if it may act for others: the user's]
    #[arg(long, value_name = "ROLE")]
    pub ceiling: Option<String>,
    /// When it ends
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub expires_days: Option<u32>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// List keys.
#[derive(Debug, Clone, Args)]
pub struct ListKeysArgs {
    /// Whose
    #[arg(short, long, value_name = "EMAIL")]
    pub user: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Take a key back.
#[derive(Debug, Clone, Args)]
pub struct RevokeKeyArgs {
    /// Its number, as `omni keys list` shows it
    pub id: i64,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

fn scope(name: &str) -> Result<Scope, String> {
    let names = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::from_name(name).ok_or_else(|| format!("there is no scope {name:?}; the scopes are: {}", names()))
}
