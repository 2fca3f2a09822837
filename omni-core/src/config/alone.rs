//! A configuration with the analytics server as its only one.

use std::sync::Arc;

use super::{Config, ServerConfig, server::BUILTIN, spec::ServerSpec};
use crate::{catalog::Prefix, policy::yaml::is_same_server};

/// What the server is called where no file names it, and what it is.
const NAME: &str = "analytics_mcp";
const ANALYTICS: &str = "analytics";

impl Config {
    /// The same with the analytics server as its only one, in this process, and its tools under their own names. What
    /// the files say of a server of its name, or of one that is it, holds.
    #[must_use]
    pub fn with_analytics_alone(mut self) -> Self {
        let is_it = |name: &str, builtin: Option<&str>| is_same_server(name, NAME) || builtin == Some(ANALYTICS);
        let known = self.servers.iter().find(|server| is_it(&server.name, server.builtin.as_deref()));
        let mut alone = ServerConfig::builtin(known.map_or(NAME, |server| server.name.as_str()), ANALYTICS);
        if let Some(known) = known {
            alone.options = known.options.clone();
            alone.source.clone_from(&known.source);
        }
        (alone.options.enabled, alone.options.trusted) = (true, true);
        let mcps = &mut Arc::make_mut(&mut self.files).mcps.mcps;
        match mcps.iter_mut().find(|spec| is_it(&spec.name, spec.builtin.as_deref())) {
            Some(spec) => {
                (spec.builtin, spec.url, spec.command, spec.enabled) = (Some(ANALYTICS.into()), None, None, None);
            }
            None => mcps.push(ServerSpec {
                name: alone.name.clone(),
                builtin: Some(ANALYTICS.into()),
                ..ServerSpec::default()
            }),
        }
        debug_assert_eq!(alone.kind, BUILTIN);
        self.servers = vec![alone];
        self.http.gateway.prefix = Prefix::OnConflict;
        self
    }
}
