//! The server as a program. See the README for its configuration.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{Config, DatabaseServer, sample, serve};

/// An MCP server for database performance. It speaks over standard input and output unless --http is given.
#[derive(Debug, Parser)]
#[command(name = "database-mcp", version, about)]
struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DATABASE_MCP_CONFIG", required_unless_present = "sample")]
    config: Option<PathBuf>,
    /// Serve three SQLite databases that are made in this directory, beside what the file has
    #[arg(long, value_name = "DIR")]
    sample: Option<PathBuf>,
    /// Serve streamable HTTP at this address, at /mcp
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8300")]
    http: Option<SocketAddr>,
}

/// Runs the program with the arguments and the environment of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Standard output is the protocol's.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "database_mcp=info,warn".into());
    tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter).with_ansi(false).init();
    let runtime = tokio::runtime::Runtime::new().context("no threads can be started");
    match runtime.and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "database-mcp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = config(arguments).await?;
    let http = config.http.clone();
    let server = DatabaseServer::new(config)?;
    let stop = CancellationToken::new();
    let watching = tokio::spawn({
        let (server, stop) = (server.clone(), stop.clone());
        async move { server.watch(stop).await }
    });
    let stopping = tokio::spawn(stopped(stop.clone()));
    let served = match arguments.http {
        Some(at) => serve::http(server, at, &http, stop.clone()).await,
        None => serve::stdio(server, stop.clone()).await,
    };
    stop.cancel();
    stopping.abort();
    watching.await?;
    served
}

async fn config(arguments: &Arguments) -> anyhow::Result<Config> {
    let mut config = Config::default();
    if let Some(file) = &arguments.config {
        let text =
            tokio::fs::read_to_string(file).await.with_context(|| format!("{} cannot be read", file.display()))?;
        let text_of = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let env: BTreeMap<String, String> = std::env::vars_os().filter_map(text_of).collect();
        config = Config::parse(&text, &env).with_context(|| file.display().to_string())?;
    }
    if let Some(dir) = &arguments.sample {
        config.databases.extend(sample::databases(dir).await?);
    }
    Ok(config)
}

/// Ends it when the terminal or the system wants it to end.
async fn stopped(stop: CancellationToken) {
    #[cfg(unix)]
    if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        return stop.cancel();
    }
    let _ = tokio::signal::ctrl_c().await;
    stop.cancel();
}
