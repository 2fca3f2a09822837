//! Where things are, for administrators who look how they are doing.

use std::collections::BTreeMap;

use super::Omni;
use crate::config::DatabasePlace;

/// Where things are that the configuration names, without credentials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inside {
    /// What `APP_ENV` says, or else `development`.
    pub environment: String,
    /// The database of the ledger, where it is in one.
    pub database: Option<DatabasePlace>,
    /// The addresses of servers, by name; of those that are programs, their commands.
    pub urls: BTreeMap<String, String>,
}

impl Omni {
    /// Where things are; `None` without a configuration. For administrators alone: nobody is judged here.
    #[must_use]
    pub fn inside(&self) -> Option<Inside> {
        let parts = self.parts();
        let config = parts.config.as_ref()?;
        let urls = config.servers.iter().map(|server| (server.name.clone(), server.place()));
        Some(Inside {
            environment: config.environment.clone(),
            database: config.audit.database(),
            urls: urls.filter(|(_, place)| !place.is_empty()).collect(),
        })
    }
}
