//! `omni-http`: the service alone.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use omni_core::{
    Config, Error,
    config::{LoadOptions, LogFormat, Process},
};
use omni_http::{
    logging::{self, LogOptions},
    registry, run,
};

mod args;

/// A request makes hundreds of small values that live as long as it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // An error means that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let process = Process::capture();
    let args = args::Args::parse_from(&process.args);
    match serve(&process, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => args::told(&error),
    }
}

fn serve(process: &Process, args: &args::Args) -> Result<(), Error> {
    let mut options = LoadOptions::new(process.env.clone(), &process.cwd).with_os_user(&process.os_user);
    options.dir.clone_from(&args.config);
    let options = options.with_bind(args.bind.as_deref());
    let config = Config::load(options.clone())?;
    let format = args.log_format.map(Into::into).or(config.log_format).unwrap_or(LogFormat::Console);
    let (directives, level) = (process.var("RUST_LOG"), config.log_level.as_deref());
    let log = LogOptions { format, directives, level, color: process.stderr_tty, env: &process.env };
    let _logging = logging::start(&log);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::Internal { message: error.to_string() })?;
    runtime.block_on(run(&config, options, Arc::new(registry::registry())))
}
