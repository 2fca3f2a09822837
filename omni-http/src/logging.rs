//! What a service logs, to standard error.

use omni_core::config::LogFormat;
use tracing_subscriber::EnvFilter;

/// Starts the log of a service. `directives` are those of the command line or of `RUST_LOG`; without
/// them it is as much as the configuration's `level` says, and `INFO` where it says nothing.
///
/// A program that has set up a log of its own keeps it.
pub fn start(format: LogFormat, directives: Option<&str>, level: Option<&str>, color: bool) {
    let filter = EnvFilter::builder().parse_lossy(directives.map_or_else(|| of_level(level), str::to_owned));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that there is a log already.
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        _ => log.with_ansi(color).try_init(),
    };
}

/// The level's name is one of Python's, as the original has it.
fn of_level(level: Option<&str>) -> String {
    let level = level.unwrap_or_default().to_lowercase();
    match level.as_str() {
        "debug" | "trace" => format!("{level},rmcp=info,hyper=info,h2=info,sqlx=info"),
        "warning" | "warn" => "warn,rmcp=error".into(),
        "error" | "critical" => "error,rmcp=off".into(),
        _ => "info,rmcp=warn".into(),
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
}
