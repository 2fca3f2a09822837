//! `omni mcp`: omni as an MCP server of whoever runs it.

#[cfg(all(feature = "analytics", feature = "serve"))]
use omni_core::config::{LogFormat, SecurityMode};
use omni_core::gateway::{Gateway, GatewayOptions, Visitor};
#[cfg(feature = "watch")]
use omni_core::{
    Config, Omni,
    config::LoadOptions,
    reload::{Reloader, Watching},
};
use tokio_util::sync::CancellationToken;

use super::follow::{self, Interruption};
#[cfg(feature = "analytics")]
use crate::args::{AnalyticsArgs, McpServer};
use crate::{app::App, args::McpArgs, exit::Exit, fault::Fault};

/// Serves until the client goes.
pub(super) async fn run(app: &App, args: &McpArgs) -> Result<Exit, Fault> {
    #[cfg(feature = "analytics")]
    if let Some(McpServer::Analytics(own)) = &args.server {
        return analytics(app, args, own).await;
    }
    everything(app, args).await
}

/// The analytics server alone: its calls pass what all calls pass.
#[cfg(feature = "analytics")]
async fn analytics(app: &App, args: &McpArgs, own: &AnalyticsArgs) -> Result<Exit, Fault> {
    let options = app.load_options();
    #[cfg(feature = "serve")]
    let options = options.with_bind(own.http.as_deref());
    let config = app.config_by(options)?.with_analytics_alone();
    #[cfg(feature = "serve")]
    if own.http.is_some() {
        let mut config = config;
        // Whoever comes by the network has a key.
        config.http.mode = SecurityMode::Keys;
        let format = config.log_format.unwrap_or(LogFormat::Console);
        let _logging = app.logging.serve(format, config.log_level.as_deref(), &app.process.env);
        omni_http::run_mcp(&config, app.registry.clone()).await?;
        return Ok(Exit::Success);
    }
    let names = GatewayOptions::default().with_prefix(config.http.gateway.prefix);
    let act_as = own.act_as.as_deref().or(args.act_as.as_deref());
    let omni = app.build(&config).await?;
    let visitor = Visitor::new(app.credential(act_as));
    let served = match omni.grant(visitor.credential.clone()).await {
        Ok(_) => serve(&Gateway::new(omni.clone(), names), visitor).await,
        Err(error) => Err(error.into()),
    };
    follow::close(&omni).await;
    served
}

async fn everything(app: &App, args: &McpArgs) -> Result<Exit, Fault> {
    let options = app.load_options();
    let config = app.config_by(options.clone())?;
    let names = GatewayOptions::default().with_prefix(config.http.gateway.prefix);
    let omni = app.build(&config).await?;
    let visitor = Visitor::new(app.credential(args.act_as.as_deref()));
    // Whoever may not be served learns it at once, and not as a list without tools.
    let served = match omni.grant(visitor.credential.clone()).await {
        Ok(_) => {
            #[cfg(feature = "watch")]
            let _watching = watch(app, &config, &omni, options)?;
            serve(&Gateway::new(omni.clone(), names), visitor).await
        }
        Err(error) => Err(error.into()),
    };
    follow::close(&omni).await;
    served
}

async fn serve(gateway: &Gateway, visitor: Visitor) -> Result<Exit, Fault> {
    // With SIGHUP the files are read anew.
    let (stop, mut interruption) = (CancellationToken::new(), Interruption::listen_but_hangup());
    let served = gateway.serve_stdio(visitor, stop.clone());
    tokio::pin!(served);
    tokio::select! {
        served = &mut served => return Ok(served.map(|()| Exit::Success)?),
        () = interruption.arrives() => stop.cancel(),
    }
    served.await?;
    Ok(Exit::Interrupted)
}

/// Changed files are live at once, as long as there are any.
#[cfg(feature = "watch")]
fn watch(app: &App, config: &Config, omni: &Omni, options: LoadOptions) -> Result<Option<Watching>, Fault> {
    if config.dir.is_none() {
        return Ok(None);
    }
    let reloader = Reloader::new(omni.clone(), app.registry.clone(), options);
    Ok(Some(reloader.watch()?))
}
