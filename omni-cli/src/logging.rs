//! What omni logs, to standard error.

#[cfg(feature = "serve")]
use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "serve")]
use omni_core::config::LogFormat;
use omni_core::log::LogLines;
#[cfg(feature = "serve")]
use omni_http::logging::{self, LogOptions};
use tracing_subscriber::EnvFilter;

use crate::{
    Process,
    args::Cli,
    console::{self, beside::Beside, spinner::Spinner},
};

/// The log of this run.
///
/// The command line decides how much is logged, then `RUST_LOG`, then `LOG_LEVEL` and what else the
/// configuration knows; that is read later, so the level may change once.
#[derive(Default)]
pub struct Logging {
    /// `None` where the level is settled.
    set: Option<Box<dyn Fn(EnvFilter) + Send + Sync>>,
    /// What a service needs that starts its own log when it knows its configuration.
    #[cfg(feature = "serve")]
    service: Option<Service>,
    beside: Beside,
}

/// What command line and environment say of a service's log.
#[cfg(feature = "serve")]
#[derive(Debug)]
struct Service {
    directives: Option<String>,
    color: bool,
}

impl Logging {
    /// Starts to log.
    #[must_use]
    pub fn start(process: &Process, cli: &Cli) -> Self {
        let settled = settled(process, cli);
        let directives = settled.clone().unwrap_or_else(|| directives(process.var("LOG_LEVEL")));
        let color = console::wants_color(process, cli.global.color, process.stderr_tty);
        #[cfg(feature = "serve")]
        if cli.command.is_service() {
            return Self { service: Some(Service { directives: settled, color }), ..Self::default() };
        }
        let mut own = Self::default();
        let beside = own.beside.clone();
        let lines = move || LogLines::new(beside.clone(), color);
        let log = tracing_subscriber::fmt().with_env_filter(filter(&directives)).with_writer(lines).with_ansi(color);
        // An error means that the embedding program has set up its own log already.
        if cli.global.verbose > 0 {
            let _ = log.try_init();
            return own;
        }
        let log = log.without_time().with_target(false).with_filter_reloading();
        let handle = log.reload_handle();
        let is_own = log.try_init().is_ok() && settled.is_none();
        let set = move |filter| {
            // It only fails when nothing is logged any more.
            let _ = handle.reload(filter);
        };
        if is_own {
            own.set = Some(Box::new(set));
        }
        own
    }

    /// Starts the log of a service.
    #[cfg(feature = "serve")]
    pub(crate) fn serve(
        &self,
        format: LogFormat,
        level: Option<&str>,
        env: &BTreeMap<String, String>,
    ) -> Option<logging::Logging> {
        let Service { directives, color } = self.service.as_ref()?;
        let options = LogOptions { format, directives: directives.as_deref(), level, color: *color, env };
        Some(logging::start(&options))
    }

    /// From now on this spinner makes room for what is logged.
    pub(crate) fn beside(&self, spinner: &Spinner) {
        self.beside.set(spinner);
    }

    /// Logs as much as the configuration says, where nothing before it has spoken.
    pub(crate) fn follow(&self, level: Option<&str>) {
        if let Some(set) = &self.set {
            set(filter(&directives(level)));
        }
    }
}

impl fmt::Debug for Logging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logging").field("is_settled", &self.set.is_none()).finish()
    }
}

/// What no level shows: the library for Slack's sockets logs their addresses, with tickets that let anybody in, and
/// what people write.
const NEVER: &str = "slack_morphism=off,tungstenite=info,tokio_tungstenite=info";

/// PostgreSQL says of each word of a record that is too long that it cannot be searched for: no news to anybody, unless
/// they ask for it.
const NOTICES: &str = "sqlx::postgres::notice=warn";

fn filter(directives: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(discreet(directives))
}

/// Directives without what is never shown.
fn discreet(directives: &str) -> String {
    let is_kept = |one: &&str| {
        !["slack_morphism", "tungstenite", "tokio_tungstenite"].iter().any(|name| one.trim().starts_with(name))
    };
    let kept = directives.split(',').filter(is_kept).chain([NEVER]);
    kept.collect::<Vec<_>>().join(",")
}

/// What the command line or `RUST_LOG` wants logged.
fn settled(process: &Process, cli: &Cli) -> Option<String> {
    Some(match (cli.global.verbose, cli.global.quiet) {
        (1, _) => format!("info,rmcp=warn,{NOTICES}"),
        (2, _) => format!("debug,rmcp=info,hyper=info,h2=info,sqlx=info,{NOTICES}"),
        (3.., _) => "trace".into(),
        (0, true) => "error,rmcp=off".into(),
        (0, false) => return process.var("RUST_LOG").map(str::to_owned),
    })
}

fn directives(level: Option<&str>) -> String {
    let level = level.unwrap_or_default().to_lowercase();
    match level.as_str() {
        "debug" | "trace" => format!("{level},rmcp=info,hyper=info,h2=info,sqlx=info,{NOTICES}"),
        "info" => format!("info,rmcp=warn,{NOTICES}"),
        "error" | "critical" => "error,rmcp=off".into(),
        // What ails a server is part of what every command shows.
        _ => "warn,rmcp=off,omni_core::mcp=error".into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn of(env: &[(&str, &str)], args: &[&str]) -> Option<String> {
        let mut process = Process::capture();
        process.env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let cli = Cli::try_parse_from(["omni", "version"].iter().chain(args)).unwrap();
        settled(&process, &cli)
    }

    #[test]
    fn the_command_line_then_rust_log_settle_what_is_logged() {
        assert_eq!(of(&[("LOG_LEVEL", "INFO")], &[]), None);
        assert_eq!(of(&[("RUST_LOG", "omni_core=debug")], &[]).as_deref(), Some("omni_core=debug"));
        assert!(of(&[("RUST_LOG", "trace")], &["-v"]).unwrap().starts_with("info,rmcp=warn"));
        assert_eq!(of(&[("LOG_LEVEL", "INFO")], &["-q"]).as_deref(), Some("error,rmcp=off"));
    }

    #[test]
    fn the_levels_of_the_configuration_are_pythons() {
        for (level, starts) in
            [(None, "warn,"), (Some("WARNING"), "warn,"), (Some("INFO"), "info,"), (Some("CRITICAL"), "error,")]
        {
            assert!(directives(level).starts_with(starts), "{level:?}");
        }
        assert!(directives(Some("DEBUG")).starts_with("debug,"));
    }

    #[test]
    fn what_postgresql_says_of_long_words_is_shown_to_those_alone_who_ask_for_it() {
        let shown =
            [of(&[], &["-v"]), of(&[], &["-vv"]), Some(directives(Some("INFO"))), Some(directives(Some("DEBUG")))];
        assert!(shown.iter().flatten().all(|directives| directives.contains(NOTICES)), "{shown:?}");
        assert_eq!(shown.iter().flatten().count(), 4);
        assert_eq!(of(&[("RUST_LOG", "sqlx=info")], &[]).as_deref(), Some("sqlx=info"));
    }

    #[test]
    fn no_level_shows_the_addresses_of_sockets() {
        for asked in ["trace", "info,slack_morphism=trace", "slack_morphism::socket_mode=debug,warn", ""] {
            let all = discreet(asked);
            assert!(all.ends_with(NEVER) && all.matches("slack_morphism").count() == 1, "{all}");
        }
    }
}
