//! `omni-http`: the service alone.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use omni_core::{
    Config, Error, ErrorKind, Registry,
    config::{ConfigError, Process},
};
use omni_http::{program, run};

mod args;

/// A request makes hundreds of small values that live as long as it does.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    program::install_tls();
    let process = Process::capture();
    let args = args::Args::parse_from(&process.args);
    match serve(&process, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => program::told(&error, error.kind() == ErrorKind::Config && !is_of_address(&error)),
    }
}

/// Whether it may work later, as the configuration is.
fn is_of_address(error: &Error) -> bool {
    matches!(error, Error::Config(ConfigError::Address { .. }))
}

fn serve(process: &Process, args: &args::Args) -> Result<(), Error> {
    let options = args.common.load_options(process).with_bind(args.bind.as_deref());
    let config = Config::load(options.clone())?;
    let _logging = args.common.start_log(process, &config, None);
    program::runtime()?.block_on(run(&config, options, Arc::new(Registry::full())))
}
