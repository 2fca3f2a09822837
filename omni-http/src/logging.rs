//! What a service logs, to standard error, and where its spans go.

use std::{collections::BTreeMap, io};

use omni_core::{config::LogFormat, log::LogLines};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use later::Later;

#[cfg(feature = "otel")]
use crate::otel::{self, Export};

mod later;

/// How a service logs.
#[derive(Debug)]
pub struct LogOptions<'a> {
    /// For people or for programs.
    pub format: LogFormat,
    /// What is logged, as the command line or `RUST_LOG` says.
    pub directives: Option<&'a str>,
    /// How much the configuration wants logged where there are no directives; `INFO` if it says nothing.
    pub level: Option<&'a str>,
    /// Whether a terminal shows it.
    pub color: bool,
    /// The environment of the process. With the feature `otel`, spans go where its
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub env: &'a BTreeMap<String, String>,
}

/// What has to live as long as the service: spans that wait are sent when it is dropped, which may take a
/// few seconds.
#[derive(Debug)]
#[must_use = "spans are exported for as long as it lives"]
pub struct Logging {
    #[cfg(feature = "otel")]
    _spans: Option<Export>,
}

type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts the log of a service. A program that has set up a log of its own keeps it.
pub fn start(options: &LogOptions<'_>) -> Logging {
    #[cfg(feature = "otel")]
    let (spans, fault) = match otel::is_wanted(options.env).then(Export::start) {
        None => (None, None),
        Some(Ok(spans)) => (Some(spans), None),
        Some(Err(error)) => (None, Some(error)),
    };
    #[cfg(feature = "otel")]
    let exported = spans.as_ref().map(|spans| spans.layer().boxed());
    #[cfg(not(feature = "otel"))]
    let exported = None;
    let layers: Vec<AnyLayer> = exported.into_iter().chain([log(options)]).collect();
    // An error means that there is a log already.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    #[cfg(feature = "otel")]
    if let Some(error) = fault {
        tracing::error!(%error, "spans are not exported");
    }
    Logging {
        #[cfg(feature = "otel")]
        _spans: spans,
    }
}

/// What no level shows: the library for Slack's sockets logs their addresses, with tickets that let anybody in, and
/// what people write.
const NEVER: &str = "slack_morphism=off,tungstenite=info,tokio_tungstenite=info";

/// PostgreSQL says of each word of a record that is too long that it cannot be searched for: no news to anybody, unless
/// they ask for it.
const NOTICES: &str = "sqlx::postgres::notice=warn";

/// Connections that broke while nobody used them: an outage has many, and whoever needs the database says that it is away.
const IDLE: &str = "sqlx_core::pool=warn";

fn log(options: &LogOptions<'_>) -> AnyLayer {
    let directives = options.directives.map_or_else(|| of_level(options.level), str::to_owned);
    let directives = discreet(&directives);
    match targets(&directives) {
        Some(targets) => written(options, targets),
        None => written(options, EnvFilter::builder().parse_lossy(directives)),
    }
}

/// Directives of which each is a level, or a target and perhaps its level: these are asked without a lock, and a request
/// passes a dozen spans. `None` for all others.
fn targets(directives: &str) -> Option<Targets> {
    let is_plain = |one: &str| {
        let (target, level) = one.split_once('=').unwrap_or((one, "info"));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
        let is_level = !level.is_empty() && level.parse::<LevelFilter>().is_ok();
        !target.is_empty() && target.bytes().all(is_name) && is_level
    };
    if directives.split(',').all(is_plain) { directives.parse().ok() } else { None }
}

fn written<F: Filter<Registry> + Send + Sync + 'static>(options: &LogOptions<'_>, filter: F) -> AnyLayer {
    let color = options.color;
    let log = fmt::layer().with_writer(move || LogLines::new(io::stderr(), color));
    match options.format {
        // All spans: the request's id is in the outer one.
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_current_span(false).with_span_list(true);
            Later::new(log).with_filter(filter).boxed()
        }
        _ if options.color => log.with_ansi(true).with_filter(filter).boxed(),
        _ => Later::new(log.with_ansi(false)).with_filter(filter).boxed(),
    }
}

/// Directives without what is never shown.
fn discreet(directives: &str) -> String {
    let is_kept = |one: &&str| {
        !["slack_morphism", "tungstenite", "tokio_tungstenite"].iter().any(|name| one.trim().starts_with(name))
    };
    let kept = directives.split(',').filter(is_kept).filter(|one| !one.trim().is_empty()).chain([NEVER]);
    kept.collect::<Vec<_>>().join(",")
}

/// The level's name is one of Python's, as the original has it.
fn of_level(level: Option<&str>) -> String {
    let level = level.unwrap_or_default().to_lowercase();
    match level.as_str() {
        "debug" | "trace" => format!("{level},rmcp=info,hyper=info,h2=info,sqlx=info,{NOTICES}"),
        "warning" | "warn" => "warn,rmcp=error".into(),
        "error" | "critical" => "error,rmcp=off".into(),
        _ => format!("info,rmcp=warn,opentelemetry=warn,{NOTICES},{IDLE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_logs_what_happens_unless_it_is_told_otherwise() {
        for (level, starts) in
            [(None, "info,"), (Some("INFO"), "info,"), (Some("WARNING"), "warn,"), (Some("DEBUG"), "debug,")]
        {
            assert!(of_level(level).starts_with(starts), "{level:?}");
        }
    }

    #[test]
    fn what_postgresql_says_of_long_words_is_shown_to_those_alone_who_ask_for_it() {
        let shows = |directives: &str| {
            let notice = ("sqlx::postgres::notice", tracing::Level::INFO);
            targets(&discreet(directives)).unwrap().would_enable(notice.0, &notice.1)
        };
        assert!(!shows(&of_level(None)) && !shows(&of_level(Some("DEBUG"))));
        assert!(shows("info") && shows("sqlx=info"));
    }

    #[test]
    fn idle_connections_that_broke_are_no_news_and_what_is_slow_is() {
        let shown = targets(&discreet(&of_level(None))).unwrap();
        assert!(!shown.would_enable("sqlx_core::pool::inner", &tracing::Level::INFO));
        for target in ["sqlx_core::pool::inner", "sqlx::query"] {
            assert!(shown.would_enable(target, &tracing::Level::WARN), "{target}");
        }
    }

    #[test]
    fn directives_that_name_spans_are_understood_too() {
        for other in ["omni_core[omni.ask]=debug", "omni_core=", "info, rmcp=warn", "*=info", "omni_core=loud"] {
            assert!(targets(&discreet(other)).is_none(), "{other}");
        }
        let plain = targets(&discreet("info,rmcp=warn,omni_core::ledger=trace")).unwrap();
        for (target, level, is) in [
            ("omni_http", tracing::Level::INFO, true),
            ("omni_http", tracing::Level::DEBUG, false),
            ("rmcp::service", tracing::Level::INFO, false),
            ("omni_core::ledger::drain", tracing::Level::TRACE, true),
            ("slack_morphism", tracing::Level::ERROR, false),
        ] {
            assert_eq!(plain.would_enable(target, &level), is, "{target} {level}");
        }
        assert!(!targets(&discreet("")).unwrap().would_enable("omni_core", &tracing::Level::ERROR));
    }

    #[test]
    fn no_level_shows_the_addresses_of_sockets() {
        for asked in ["trace", "info,slack_morphism=trace", "slack_morphism::socket_mode=debug,warn", ""] {
            let all = discreet(asked);
            assert!(all.ends_with(NEVER) && all.matches("slack_morphism").count() == 1, "{all}");
        }
    }
}
