//! What is asked of `omni-bench`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

/// Measures omni as people run it. Without a command: speed and footprint, side by side with the same straight.
#[derive(Debug, Clone, Parser)]
#[command(name = "omni-bench", max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// The program that is measured [default: `omni` beside this one]
    #[arg(long, global = true, value_name = "FILE")]
    omni: Option<PathBuf>,
    /// The same built without Slack and Swagger, whose size is told beside
    #[arg(long, value_name = "FILE")]
    pub(super) lean: Option<PathBuf>,
    /// How long each measurement of a round takes
    #[arg(long, global = true, default_value_t = 3.0)]
    pub(super) seconds: f64,
    /// How often everything is measured in turns
    #[arg(long, global = true, default_value_t = 3)]
    pub(super) rounds: usize,
    /// Everything once, in short: shows that it works, and no more
    #[arg(long, global = true)]
    pub(super) quick: bool,
    /// Writes the figures as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Puts the tables in their section of a Markdown file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Ends with 1 where a gate is not held
    #[arg(long)]
    pub(super) strict: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Command {
    /// Whether a call costs more with a long history, many people or many servers
    Growth(GrowthArgs),
    /// What a model reads, with few tools and with many: counted without one
    Tokens,
    /// Many clients and servers for long, of which some are killed: nothing else fails, and nothing grows
    Soak(SoakArgs),
    /// An MCP server that does next to nothing
    #[command(hide = true)]
    Upstream {
        #[arg(long, default_value = "127.0.0.1:0")]
        bind: String,
    },
    /// A model that answers at once
    #[command(hide = true)]
    Model,
    /// The MCP server on standard input and output
    #[command(hide = true)]
    Stdio {
        /// Whose it is: seen in lists of processes
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct GrowthArgs {
    /// Requests of the long history, each with a call of a tool
    #[arg(long, default_value_t = 10_000_000)]
    pub(super) rows: u64,
    /// The many people, whom the database names: `policy: { store: sql }`
    #[arg(long, default_value_t = 100_000)]
    pub(super) people: usize,
    /// The many servers
    #[arg(long, default_value_t = 100)]
    pub(super) servers: usize,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct SoakArgs {
    /// How long
    #[arg(long, default_value_t = 10.0)]
    pub(super) minutes: f64,
    /// Servers
    #[arg(long, default_value_t = 20)]
    pub(super) servers: usize,
    /// Clients
    #[arg(long, default_value_t = 50)]
    pub(super) clients: usize,
    /// How long a client waits between two calls, in milliseconds
    #[arg(long, default_value_t = 100)]
    pub(super) pause_ms: u64,
    /// How often a server is killed, in seconds
    #[arg(long, default_value_t = 30.0)]
    pub(super) kill_every: f64,
}

impl Args {
    /// The program that is measured.
    pub(super) fn program(&self) -> Result<PathBuf> {
        let program = match &self.omni {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("omni"),
        };
        let found = program.canonicalize();
        let found = found.with_context(|| format!("there is no program at {}; see --omni", program.display()))?;
        ensure!(found.is_file(), "{} is no program", found.display());
        Ok(found)
    }

    /// How long each measurement takes.
    pub(super) fn window(&self) -> f64 {
        if self.quick { 0.2 } else { self.seconds }
    }

    /// How often it is made.
    pub(super) fn turns(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }
}
