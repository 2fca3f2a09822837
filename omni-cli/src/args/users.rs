//! `omni users` and `omni add-user`.

use clap::{Args, Subcommand};

use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni users add dba@company.com --role dba
  omni users list --json
  omni users disable intern@company.com --message \"Your contract has ended; ask hr@company.com\"
  omni users approve new@company.com

Whom users.yaml names is changed there.";

/// What to do with people.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum UsersCommand {
    /// Give somebody a role; it holds for their next ask
    Add(AddUserArgs),
    /// List the people whom users.yaml names or the database knows, and how they stand
    #[command(after_help = "Example:\n  omni users list")]
    List(JsonArgs),
    /// Keep somebody out
    #[command(after_help = "Example:\n  omni users disable intern@company.com --message \"Ask hr@company.com\"")]
    Disable(DisableArgs),
    /// Let somebody in again
    #[command(after_help = "Example:\n  omni users enable intern@company.com")]
    Enable(UserArgs),
    /// Let in somebody who waits for it
    #[command(
        after_help = "Examples:\n  omni users approve new@company.com\n  omni users approve new@company.com --role dba"
    )]
    Approve(ApproveUserArgs),
}

impl UsersCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::json_if(match self {
            Self::Add(args) => args.json,
            Self::List(args) => args.json,
            Self::Disable(args) => args.json,
            Self::Enable(args) => args.json,
            Self::Approve(args) => args.json,
        })
    }
}

/// Give somebody a role.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni users add dba@company.com --role dba --name \"Dana B. Admin\"")]
pub struct AddUserArgs {
    /// The e-mail address
    #[arg(value_name = "EMAIL", required_unless_present = "email")]
    pub user: Option<String>,
    /// The e-mail address, as an option
    #[arg(long, value_name = "EMAIL", conflicts_with = "user", hide = true)]
    pub email: Option<String>,
    /// The role
    #[arg(short, long, default_value = "read_only")]
    pub role: String,
    /// The name
    #[arg(short, long)]
    pub name: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

impl AddUserArgs {
    /// The e-mail address, whichever way it was given.
    #[must_use]
    pub fn address(&self) -> &str {
        self.user.as_deref().or(self.email.as_deref()).unwrap_or_default()
    }
}

/// In which form.
#[derive(Debug, Clone, Args)]
pub struct JsonArgs {
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Somebody.
#[derive(Debug, Clone, Args)]
pub struct UserArgs {
    /// The e-mail address
    #[arg(value_name = "EMAIL")]
    pub user: String,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Keep somebody out.
#[derive(Debug, Clone, Args)]
pub struct DisableArgs {
    /// The e-mail address
    #[arg(value_name = "EMAIL")]
    pub user: String,
    /// What they read when they ask
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Let in somebody who waits for it.
#[derive(Debug, Clone, Args)]
pub struct ApproveUserArgs {
    /// The e-mail address
    #[arg(value_name = "EMAIL")]
    pub user: String,
    /// Another role than the one on offer
    #[arg(short, long)]
    pub role: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}
