//! `omni serve`.

use omni_core::config::LogFormat;

use crate::{app::App, args::ServeArgs, exit::Exit, fault::Fault};

/// Serves until the process is asked to end.
pub(super) async fn run(app: &App, args: &ServeArgs) -> Result<Exit, Fault> {
    let options = app.load_options().with_os_user(&app.process.os_user).with_bind(args.bind.as_deref());
    let config = app.config_by(options.clone())?;
    let format = args.log_format.map(Into::into).or(config.log_format).unwrap_or(LogFormat::Console);
    // It sends the last spans when it goes.
    let _logging = app.logging.serve(format, config.log_level.as_deref(), &app.process.env);
    #[cfg(feature = "slack")]
    if args.slack {
        return super::slack::beside_http(app, &config, options).await;
    }
    omni_http::run(&config, options, app.registry.clone()).await?;
    Ok(Exit::Success)
}
