//! `omni-slack`: the bot alone.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use omni_core::{
    Config, Error,
    config::{LoadOptions, LogFormat, Process},
    identity::Credential,
};
use omni_http::{
    logging::{self, LogOptions},
    stop_signal,
};
use omni_slack::{BotError, Terminal, registry, run, run_fake};
use tokio_util::sync::CancellationToken;

mod args;

/// Many small values live for one request: an allocator that is made for that halves what they cost.
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

fn serve(process: &Process, args: &args::Args) -> Result<(), BotError> {
    let mut options = LoadOptions::new(process.env.clone(), &process.cwd).with_os_user(&process.os_user);
    options.dir.clone_from(&args.config);
    let config = Config::load(options.clone()).map_err(Error::from)?;
    let format = args.log_format.map(Into::into).or(config.log_format).unwrap_or(LogFormat::Console);
    // Whoever tries the bot reads their terminal for answers.
    let level = config.log_level.as_deref().or(args.fake.then_some("warn"));
    let directives = process.var("RUST_LOG");
    let log = LogOptions { format, directives, level, color: process.stderr_tty, env: &process.env };
    let _logging = logging::start(&log);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::Internal { message: error.to_string() })?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let (stopped, _guard) = (stop.clone(), stop.clone().drop_guard());
        tokio::spawn(async move {
            stopped.run_until_cancelled(stop_signal()).await;
            stopped.cancel();
        });
        let registry = Arc::new(registry::registry());
        if args.fake {
            let who = Credential::Local { os_user: process.os_user.clone(), act_as: args.act_as.clone() };
            return run_fake(&config, registry, who, Terminal::standard(), stop).await;
        }
        run(&config, options, registry, stop).await
    })
}
