//! The program.

use std::{
    collections::BTreeMap,
    io::{Write as _, stderr},
    net::SocketAddr,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{serve, server::GithubServer, settings::Settings};

const ENVIRONMENT: &str = "\
Environment:
  GITHUB_PERSONAL_ACCESS_TOKEN, GITHUB_TOKEN  The token; without one, what is public, at a low rate limit
  GITHUB_API_URL                              The API of a GitHub Enterprise, such as https://HOST/api/v3
  RUST_LOG                                    What is logged, to standard error";

/// GitHub's repositories as an MCP server: search, and the contents of files and directories.
#[derive(Debug, Parser)]
#[command(name = "github-mcp", version, after_help = ENVIRONMENT)]
struct Cli {
    /// Serves streamable HTTP at this address, in place of standard input and output; 127.0.0.1:8301 where none is given
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8301")]
    http: Option<SocketAddr>,
    /// A name by which requests may call the server beside this machine's own; needed where others can reach it
    #[arg(long, value_name = "NAME", requires = "http")]
    allow_host: Vec<String>,
}

/// Runs the program with the process's own arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this cannot be written.
            let _ = writeln!(stderr(), "github-mcp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let env: BTreeMap<_, _> = std::env::vars_os().collect();
    let variable = |name: &str| env.get(std::ffi::OsStr::new(name))?.to_str().map(str::to_owned);
    let filter = EnvFilter::builder().parse_lossy(variable("RUST_LOG").as_deref().unwrap_or("warn,github_mcp=info"));
    tracing_subscriber::fmt().with_writer(stderr).with_env_filter(filter).init();
    let settings = Settings::from_env(variable).context("the environment cannot be used")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(cli, settings));
    // A read of standard input that is under way would hold up the end.
    runtime.shutdown_background();
    ended
}

async fn serve(cli: &Cli, settings: Settings) -> anyhow::Result<()> {
    let server = GithubServer::new(settings)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = stop_signal().await {
            tracing::warn!(%error, "signals cannot be heard");
            return;
        }
        told.cancel();
    });
    match cli.http {
        Some(address) => serve::http(server, address, &cli.allow_host, stop).await?,
        None => serve::stdio(server, stop).await?,
    }
    Ok(())
}

/// Waits for somebody to end this process.
async fn stop_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
