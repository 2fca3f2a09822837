//! `omni servers`.

use comfy_table::{Table, presets};
use omni_core::{
    catalog::{Health, ServerView},
    config::ServerConfig,
    mcp::Sharing,
};
use serde_json::{Value, json};

use super::follow;
use crate::{app::App, exit::Exit, fault::Fault, render::one_line};

#[cfg(feature = "mcp-oauth")]
pub(super) mod login;

/// What is known of logins, by server.
#[cfg(not(feature = "mcp-oauth"))]
type Logins = std::collections::BTreeMap<String, Value>;
#[cfg(feature = "mcp-oauth")]
use login::Logins;

/// Lists what is configured, and who is logged in.
pub(super) async fn list(app: &App, json: bool) -> Result<Exit, Fault> {
    let config = app.config()?;
    #[cfg(feature = "mcp-oauth")]
    let logins = login::states(&config).await;
    #[cfg(not(feature = "mcp-oauth"))]
    let logins = Logins::new();
    if json {
        let servers: Vec<Value> = config.servers.iter().map(|server| document(server, &logins)).collect();
        app.console.json(&servers)?;
        return Ok(Exit::Success);
    }
    let mut table = table(["SERVER", "TRANSPORT", "STATE", "AT", "DESCRIPTION"]);
    for server in &config.servers {
        let mut state = if server.options.enabled { "enabled" } else { "disabled" }.to_owned();
        if let Some(login) = logins.get(&server.name) {
            let login = login["state"].as_str().unwrap_or_default().replace('_', " ");
            state = format!("{state}, {login}");
        }
        if server.options.sharing != Sharing::Shared {
            state.push_str(", with the caller's own token");
        }
        let description = server.options.description.lines().next().unwrap_or_default();
        table.add_row([&*server.name, &server.kind, &state, &server.place(), description].map(one_line));
    }
    show(app, &table, config.servers.is_empty())?;
    Ok(Exit::Success)
}

fn document(server: &ServerConfig, logins: &Logins) -> Value {
    json!({
        "server": server.name,
        "display_name": server.options.display_name,
        "description": server.options.description,
        "transport": server.kind,
        "enabled": server.options.enabled,
        "sharing": server.options.sharing.name(),
        "connect": server.options.connect,
        "on_start_failure": server.options.on_start_failure,
        "at": server.place(),
        "source": server.source.as_ref().map(ToString::to_string),
        "login": logins.get(&server.name),
    })
}

/// Asks every server, or those named.
pub(super) async fn check(app: &App, names: &[String], json: bool) -> Result<Exit, Fault> {
    let config = app.config()?;
    if let Some(unknown) = names.iter().find(|name| !config.servers.iter().any(|server| server.name == **name)) {
        let message = format!("there is no server {unknown:?}");
        return Err(Fault::usage(message).hint("`omni servers list` shows which there are"));
    }
    let omni = app.build(&config).await?;
    app.console.spinner.show("asking the servers …");
    let catalog = omni.refresh().await;
    follow::close(&omni).await;
    let wanted = |view: &&ServerView| names.is_empty() || names.iter().any(|name| **name == *view.name);
    let views: Vec<&ServerView> = catalog.servers.iter().filter(wanted).collect();
    if json {
        app.console.json(&views.iter().map(|view| health(view)).collect::<Vec<_>>())?;
    } else {
        show(app, &checked(&views), views.is_empty())?;
    }
    let away = views.iter().any(|view| matches!(view.health, Health::Unhealthy { .. } | Health::Unknown));
    Ok(if away { Exit::Failed } else { Exit::Success })
}

fn checked(views: &[&ServerView]) -> Table {
    let mut table = table(["SERVER", "TRANSPORT", "STATE", "TOOLS", "TIME", "REASON"]);
    for view in views {
        let (state, reason) = state(&view.health);
        let time = view.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        table.add_row([&*view.name, &view.kind, state, &view.tools.len().to_string(), &time, reason].map(one_line));
    }
    table
}

/// A server's health as a document.
pub(super) fn health(view: &ServerView) -> Value {
    let (state, reason) = state(&view.health);
    json!({
        "server": &*view.name,
        "transport": view.kind,
        "status": state,
        "reason": if reason.is_empty() { None } else { Some(reason) },
        "tools": view.tools.len(),
        "latency_ms": view.latency_ms,
        "failures": view.failures,
        "breaker": view.breaker.as_str(),
    })
}

/// A state's name, and what is wrong.
pub(super) fn state(health: &Health) -> (&'static str, &str) {
    match health {
        Health::Healthy => ("healthy", ""),
        Health::Unhealthy { reason } => ("unhealthy", reason),
        Health::Disabled => ("disabled", ""),
        _ => ("unknown", ""),
    }
}

/// A table without lines, so that it can be cut and searched.
fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    table
}

fn show(app: &App, table: &Table, empty: bool) -> Result<(), Fault> {
    if empty {
        app.console.hint("no server is configured; `omni init` writes a configuration to start from");
        return Ok(());
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    Ok(app.console.line(&lines.join("\n"))?)
}
