//! The command line of the service.

use clap::Parser;
use omni_http::program::Common;

/// Serves omni over HTTP.
#[derive(Debug, Parser)]
#[command(name = "omni-http", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Address to listen at [default: that of settings.yaml, or 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) bind: Option<String>,
}
