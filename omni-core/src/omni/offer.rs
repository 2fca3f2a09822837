//! The servers as one person sees them: what one may use nothing of is not there for one.

use std::{collections::BTreeMap, sync::Arc};

use super::{Omni, steps};
use crate::{
    catalog::{Catalog, Health, ServerView},
    error::Error,
    identity::{CallerToken, Credential, Scope},
    mcp::{McpError, ServerOptions},
    parts::Parts,
    policy::{Grant, ToolRef},
};

/// What people are told of a server that does not answer; why, administrators are.
pub(super) const AWAY: &str = "it does not answer at the moment";

/// A server as one person sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OfferedServer {
    /// The server; of its tools, those that the person may use, and why it is away only for
    /// administrators.
    pub view: ServerView,
    /// How many tools it has, as far as they are there for the person: for administrators all of them.
    pub total_tools: usize,
    /// How the pool treats it.
    pub options: ServerOptions,
    /// Free labels.
    pub tags: Vec<String>,
    /// The mode of its `tool_policy`.
    pub policy_mode: &'static str,
    /// How many patterns its `tool_policy` excludes.
    pub excluded: usize,
    /// How it is reached, for administrators; `None` also where no configuration says.
    pub place: Option<ServerPlace>,
}

/// How a server is reached, without secrets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerPlace {
    /// Its address.
    pub url: Option<String>,
    /// Its program.
    pub command: Option<String>,
    /// The program's arguments.
    pub args: Vec<String>,
    /// The kind of credentials that it is sent: `bearer`, `basic`, `api_key`.
    pub auth: Option<&'static str>,
}

/// Who looks.
#[derive(Clone, Copy)]
pub(super) enum Eyes<'a> {
    /// An administrator at work, to whom all tools of all servers are shown.
    All,
    /// A person, who is shown what they may use. An administrator of all tenants is told of every server.
    Of(&'a Grant),
}

impl Eyes<'_> {
    fn is_admin(self) -> bool {
        match self {
            Self::All => true,
            Self::Of(grant) => grant.administers_all_tenants(),
        }
    }

    /// Whether a server may be asked for on behalf of whoever looks.
    fn may_know(self, server: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(grant) => self.is_admin() || !grant.rules.is_closed(server),
        }
    }

    fn may_use(self, tool: ToolRef<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Of(grant) => grant.decide_tool(tool, None).is_allowed(),
        }
    }

    /// All servers of a catalog that are there for whoever looks.
    pub(super) fn see_all(self, parts: &Parts, catalog: &Catalog) -> Vec<OfferedServer> {
        catalog.servers.iter().filter_map(|view| self.see(parts, view)).collect()
    }

    fn see(self, parts: &Parts, view: &ServerView) -> Option<OfferedServer> {
        let tools: Vec<_> = view.tools.iter().filter(|def| self.may_use(def.rule_ref())).cloned().collect();
        // Of a server that has not told of its tools yet, the rules alone say whether it is for one.
        let is_there = self.may_know(&view.name) && (view.tools.is_empty() || !tools.is_empty() || self.is_admin());
        let options = parts.pool.options(&view.name).filter(|_| is_there)?.clone();
        let total_tools = if self.is_admin() { view.tools.len() } else { tools.len() };
        let health = if self.is_admin() { view.health.clone() } else { told(&view.health) };
        let config = parts.config.as_ref();
        let (policy_mode, excluded) = config.map_or(("allow_all", 0), |config| config.tool_policy(&view.name));
        let entry = config.and_then(|config| config.servers.iter().find(|server| *server.name == *view.name));
        let place = entry.filter(|_| self.is_admin()).map(|server| ServerPlace {
            url: server.shown_url(),
            command: server.command.clone(),
            args: server.shown_args(),
            auth: server.auth.kind(),
        });
        let tags = entry.map(|server| server.tags.clone()).unwrap_or_default();
        let mut view = ServerView { health, tools, ..view.clone() };
        if !self.is_admin() {
            (view.withheld, view.flagged) = (Vec::new(), BTreeMap::new());
        }
        Some(OfferedServer { view, total_tools, options, tags, policy_mode, excluded, place })
    }
}

fn told(health: &Health) -> Health {
    match health {
        Health::Unhealthy { .. } => Health::Unhealthy { reason: AWAY.into() },
        other => other.clone(),
    }
}

/// To whoever may not know a server there is none.
fn no_server(name: &str) -> Error {
    Error::Server { server: name.into(), source: McpError::UnknownServer { server: name.into() } }
}

impl Omni {
    /// The servers that somebody may use something of, after each that was not asked yet was asked
    /// once. One that does not answer is among them, and unhealthy.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no; so for all of these.
    pub async fn servers(&self, who: impl Into<Credential>) -> Result<Vec<OfferedServer>, Error> {
        let (parts, grant, token) = self.tool_user(who.into()).await?;
        let catalog = parts.pool.discover_for(token.as_ref()).await;
        Ok(Eyes::Of(&grant).see_all(&parts, &catalog))
    }

    /// The same as far as they are known, without asking any.
    ///
    /// # Errors
    /// As [`Omni::servers`].
    pub async fn known_servers(&self, who: impl Into<Credential>) -> Result<Vec<OfferedServer>, Error> {
        let (parts, grant, _) = self.tool_user(who.into()).await?;
        Ok(Eyes::Of(&grant).see_all(&parts, &parts.pool.catalog()))
    }

    /// One server, after it was asked once. It is not asked on behalf of somebody for whom it is
    /// not there.
    ///
    /// # Errors
    /// As [`Omni::servers`], and [`McpError::UnknownServer`].
    pub async fn server(&self, who: impl Into<Credential>, name: &str) -> Result<OfferedServer, Error> {
        let (parts, grant, token) = self.tool_user(who.into()).await?;
        let eyes = Eyes::Of(&grant);
        if !eyes.may_know(name) {
            return Err(no_server(name));
        }
        // Why it cannot be used is in its view.
        let _ = parts.pool.discover_server_for(name, token.as_ref()).await;
        let catalog = parts.pool.catalog();
        let view = catalog.servers.iter().find(|view| *view.name == *name);
        view.and_then(|view| eyes.see(&parts, view)).ok_or_else(|| no_server(name))
    }

    async fn tool_user(&self, who: Credential) -> Result<(Arc<Parts>, Arc<Grant>, Option<Arc<CallerToken>>), Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who).await?;
        let grant = steps::policy(&parts, &principal).await?;
        grant.require(Scope::Tools)?;
        let token = steps::token(&parts, &who, &principal);
        Ok((parts, grant, token))
    }
}
