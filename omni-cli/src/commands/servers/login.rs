//! `omni servers login` and `omni servers logout`.

use std::{collections::BTreeMap, time::Duration};

use omni_core::{
    Config, Error,
    config::ServerConfig,
    mcp::auth::{Granted, Login, LoginOptions, LoginState, OAuth, OAuthError},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{app::App, args::LoginArgs, exit::Exit, fault::Fault};

mod browser;
mod callback;

use callback::Callback;

/// What is known of logins, by server.
pub(super) type Logins = BTreeMap<String, Value>;

/// Logs in with a browser.
pub(crate) async fn login(app: &App, args: &LoginArgs) -> Result<Exit, Fault> {
    let oauth = oauth(&app.config()?, &args.server)?;
    if oauth.is_machine() {
        let message = format!("omni lets itself in at {}: nobody has to log in there", args.server);
        return Err(Fault::usage(message).hint("`omni servers check` tells whether that works"));
    }
    let callback = Callback::listen(oauth.redirect_port()).await?;
    let options = LoginOptions::new(callback.redirect_uri()).with_scopes(args.scopes.clone());
    app.console.spinner.show("asking the server who gives out its tokens …");
    let login = oauth.begin_login(options).await.map_err(|error| failed(&error))?;
    invite(app, args, &login)?;
    let back = callback.wait(|query| login.is_answered_by(query));
    let back = timeout(Duration::from_secs(args.timeout), back).await;
    let Ok(query) = back else {
        let message = format!("nobody logged in within {} s", args.timeout);
        return Err(Fault::with_exit(message, Exit::Timeout).hint("--timeout takes a longer time"));
    };
    let granted = oauth.finish_login(login, &query?).await.map_err(|error| failed(&error))?;
    app.console.line(&format!("logged in to {}: {}", args.server, told(&granted)))?;
    Ok(Exit::Success)
}

/// Shows whose page it is, and opens it.
fn invite(app: &App, args: &LoginArgs, login: &Login) -> Result<(), Fault> {
    let scopes = match login.scopes() {
        [] => String::new(),
        scopes => format!(" ({})", scopes.join(", ")),
    };
    app.console.hint(&format!("log in at {} to let omni use {}{scopes}", login.origin(), args.server));
    app.console.line(login.url().as_str())?;
    if !args.no_browser && !browser::open(login.url()) {
        app.console.hint("no browser could be opened; open the address above in one on this machine");
    }
    app.console.spinner.show("waiting for the browser …");
    Ok(())
}

/// Forgets a login.
pub(crate) async fn logout(app: &App, server: &str) -> Result<Exit, Fault> {
    let oauth = oauth(&app.config()?, server)?;
    let was_there = oauth.logout().await.map_err(|error| failed(&error))?;
    let message = if was_there { "logged out of" } else { "nobody was logged in to" };
    app.console.line(&format!("{message} {server}"))?;
    Ok(Exit::Success)
}

/// Who is logged in where; servers that want no login are not among them.
pub(super) async fn states(config: &Config) -> Logins {
    let mut states = Logins::new();
    for server in &config.servers {
        if let Ok(Some(oauth)) = OAuth::of_config(config, server) {
            states.insert(server.name.clone(), document(oauth.state().await));
        }
    }
    states
}

fn document(state: Result<LoginState, OAuthError>) -> Value {
    match state {
        Ok(LoginState::Machine) => json!({ "state": "lets_itself_in" }),
        Ok(LoginState::LoggedOut) => json!({ "state": "logged_out" }),
        Ok(LoginState::LoggedIn(granted)) => json!({
            "state": "logged_in",
            "issuer": granted.issuer,
            "scopes": granted.scopes,
            "since": granted.since,
            "expires_at": granted.expires_at,
            "renewable": granted.is_renewable,
        }),
        Ok(LoginState::Ended { why }) => json!({ "state": "login_ended", "reason": why }),
        Ok(_) => json!({ "state": "unknown" }),
        Err(error) => json!({ "state": "login_unreadable", "reason": error.to_string() }),
    }
}

fn told(granted: &Granted) -> String {
    let until = match (granted.is_renewable, granted.expires_at) {
        (true, _) => "omni renews the token by itself".to_owned(),
        (false, Some(end)) => format!("until {}, without renewal", end.format("%Y-%m-%d %H:%M UTC")),
        (false, None) => "until the server wants another login".to_owned(),
    };
    format!("tokens of {}, {until}", granted.issuer)
}

fn oauth(config: &Config, name: &str) -> Result<OAuth, Fault> {
    let server: Option<&ServerConfig> = config.servers.iter().find(|server| server.name == name);
    let Some(server) = server else {
        let message = format!("there is no server {name:?}");
        return Err(Fault::usage(message).hint("`omni servers list` shows which there are"));
    };
    config.require(omni_core::config::Need::Servers).map_err(Error::from)?;
    let found = OAuth::of_config(config, server).map_err(Error::from)?;
    found.ok_or_else(|| {
        let message = format!("nobody logs in to {name}: mcps.yaml says nothing of it");
        Fault::usage(message).hint("a server with a login has `authentication: {type: oauth}` there")
    })
}

fn failed(error: &OAuthError) -> Fault {
    let exit = match error {
        OAuthError::Refused { .. } => Exit::Denied,
        OAuthError::Asking(_) => Exit::Unavailable,
        _ => Exit::Failed,
    };
    Fault::with_exit(error.to_string(), exit)
}
