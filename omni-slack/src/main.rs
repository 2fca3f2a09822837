//! `omni-slack`: the bot alone.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use omni_core::{Config, Error, Registry, config::Process, identity::Credential};
use omni_http::{program, stop_signal};
use omni_slack::{BotError, Terminal, run, run_fake};
use tokio_util::sync::CancellationToken;

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
        Err(error) => program::told(&error, error.is_config()),
    }
}

fn serve(process: &Process, args: &args::Args) -> Result<(), BotError> {
    let options = args.common.load_options(process);
    let config = Config::load(options.clone()).map_err(Error::from)?;
    // Whoever tries the bot reads their terminal for answers.
    let _logging = args.common.start_log(process, &config, args.fake.then_some("warn"));
    program::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let (stopped, _guard) = (stop.clone(), stop.clone().drop_guard());
        tokio::spawn(async move {
            stopped.run_until_cancelled(stop_signal()).await;
            stopped.cancel();
        });
        let registry = Arc::new(Registry::full());
        if args.fake {
            let who = Credential::Local { os_user: process.os_user.clone(), act_as: args.act_as.clone() };
            return run_fake(&config, registry, who, Terminal::standard(), stop).await;
        }
        run(&config, options, registry, stop).await
    })
}
