//! A configuration of its own, and `omni serve` in it: key, policy, limits and the ledger (`audit.ack: local`) are on.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{child::Process, drive::get};

/// Whoever calls.
const CALLER: &str = "user0@company.com";
/// Limits that nobody reaches, which are counted all the same.
const QUOTA: (u64, u64) = (1_000_000_000, 100_000);
/// So many that one person may have one for each of 256 connections.
const SESSIONS: u32 = 100_000;

/// What omni is configured with.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    /// Each as an entry of `mcps.yaml`.
    pub(super) servers: Vec<Value>,
    /// How many people `users.yaml` names.
    pub(super) people: usize,
    /// Whether the database says who people are; they are imported then.
    pub(super) in_database: bool,
    /// Where the model is; none where nobody asks one.
    pub(super) model: Option<String>,
}

/// An entry of `mcps.yaml`: a server with rules for the callers' role.
pub(super) fn server(name: &str, address: &str, path: &str) -> Value {
    entry(name, json!({ "url": format!("http://{address}{path}"), "transport": "http" }))
}

/// The same, of these other keys.
pub(super) fn entry(name: &str, mut more: Value) -> Value {
    let rules = json!({ "dba": { "allow_only": ["echo", "get_*"], "deny": ["drop_*"] } });
    more["name"] = json!(name);
    more["role_restrictions"] = rules;
    more
}

/// A home with a configuration and, once it was used, data.
#[derive(Debug)]
pub(super) struct Home {
    dir: TempDir,
    program: PathBuf,
}

impl Home {
    pub(super) fn new(program: &Path, setup: &Setup) -> Result<Self> {
        let home = Self { dir: TempDir::with_prefix("omni-bench-")?, program: program.to_owned() };
        let config = home.config_dir();
        fs::create_dir_all(&config)?;
        let mut settings = json!({ "data_dir": "../data", "audit": { "ack": "local" },
            "mcp_gateway": { "max_sessions": SESSIONS } });
        settings["llm"] = match &setup.model {
            Some(address) => json!({ "provider": "openai", "base_url": format!("http://{address}/v1"),
                "model": "instant", "api_key": "none", "prices": { "instant": { "input": 1.0, "output": 2.0 } } }),
            None => json!({ "provider": "offline" }),
        };
        if setup.in_database {
            settings["policy"] = json!({ "store": "sql" });
        }
        // (JSON is YAML.)
        fs::write(config.join("settings.yaml"), settings.to_string())?;
        fs::write(config.join("mcps.yaml"), json!({ "mcps": setup.servers }).to_string())?;
        fs::write(config.join("users.yaml"), json!({ "users": people(setup.people) }).to_string())?;
        if setup.in_database {
            home.run(&["policy", "import", "--from", "config"])?;
        }
        Ok(home)
    }

    pub(super) fn config_dir(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// Where the ledger's database is.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.path().join("data/omni.db")
    }

    /// Nothing of this process's environment reaches it.
    fn command(&self, args: &[&str]) -> Command {
        let (mut command, home) = (Command::new(&self.program), self.dir.path());
        command.args(args).current_dir(home).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("xdg")).env("XDG_DATA_HOME", home.join("xdg"));
        command
    }

    /// A key of the caller's, made as an operator makes it.
    pub(super) fn key(&self) -> Result<String> {
        Ok(self.run(&["keys", "create", "--user", CALLER, "--scope", "ask,mcp"])?.trim().to_owned())
    }

    /// What a command says.
    fn run(&self, args: &[&str]) -> Result<String> {
        let ended = self.command(args).output()?;
        ensure!(ended.status.success(), "omni {}: {}", args.join(" "), String::from_utf8_lossy(&ended.stderr));
        Ok(String::from_utf8(ended.stdout)?)
    }

    /// Starts the service, and waits until it says that it listens.
    pub(super) fn serve(&self) -> Result<Serving> {
        let started = Instant::now();
        let mut command = self.command(&["serve", "--bind", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().context("its log is ours")?;
        let (process, mut log, mut said) = (Process::of(child), BufReader::new(log), String::new());
        loop {
            let from = said.len();
            if log.read_line(&mut said)? == 0 {
                bail!("omni ended before it served: {said}");
            }
            if let Some((_, rest)) = said[from..].split_once("omni listens at http://") {
                let ready_after = started.elapsed();
                let end = rest.find(|c: char| !c.is_ascii_graphic() || c == '"').unwrap_or(rest.len());
                let address = rest[..end].to_owned();
                // A log that nobody reads would stop it.
                std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
                return Ok(Serving { process, address, ready_after });
            }
        }
    }
}

fn people(count: usize) -> Vec<Value> {
    let quota = json!({ "requests_per_hour": QUOTA.0, "concurrent_requests": QUOTA.1 });
    let person = |at: usize| match at {
        0 => json!({ "email": CALLER, "role": "dba", "rate_limit": quota }),
        _ => json!({ "email": format!("user{at}@company.com"), "role": "dba" }),
    };
    (0..count.max(1)).map(person).collect()
}

/// A service that runs.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) process: Process,
    pub(super) address: String,
    /// From its start until it listened.
    pub(super) ready_after: Duration,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.process.ask_to_end();
    }
}

impl Serving {
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until so many servers have told what they offer.
    pub(super) async fn knows(&self, servers: usize) -> Result<()> {
        for _ in 0..600 {
            let health = get(&self.address, "/health").await?;
            if health["mcps"]["healthy"].as_u64() >= Some(servers as u64) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not all servers are well: {}", get(&self.address, "/health").await?);
    }

    /// Records that wait for the ledger's store.
    pub(super) async fn backlog(&self) -> Result<u64> {
        let health = get(&self.address, "/health").await?;
        health["database"]["backlog"].as_u64().with_context(|| format!("no backlog is told: {health}"))
    }

    /// The backlog now, and how long it takes until nothing of it is left.
    pub(super) async fn drained(&self) -> Result<Drained> {
        let (started, backlog) = (Instant::now(), self.backlog().await?);
        while self.backlog().await? > 0 {
            ensure!(started.elapsed() < Duration::from_secs(60), "the ledger's backlog is not drained within a minute");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Drained { backlog, seconds: started.elapsed().as_secs_f64() })
    }
}

/// What waited when a load ended, and for how long.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Drained {
    pub(super) backlog: u64,
    pub(super) seconds: f64,
}

impl Drained {
    /// The worse of each.
    pub(super) fn or_worse(self, other: Self) -> Self {
        Self { backlog: self.backlog.max(other.backlog), seconds: self.seconds.max(other.seconds) }
    }
}
