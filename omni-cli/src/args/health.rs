//! `omni health`.

use clap::Args;
use url::Url;

/// Ask a running service whether it takes questions.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  omni health\n  omni health --url http://127.0.0.1:8302/healthz\n\nExits 0 when it does and 8 when it does not. Needs no configuration and no key."
)]
pub struct HealthArgs {
    /// The service's address; with a path, that path is asked in place of /health/ready [default: this machine, at the
    /// port of settings.yaml or 8000]
    #[arg(long, value_name = "URL")]
    pub url: Option<Url>,
}
