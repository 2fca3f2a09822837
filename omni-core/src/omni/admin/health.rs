//! The servers, and what is known of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    super::offer::{Eyes, OfferedServer},
    Admin, record,
};
use crate::{
    catalog::Catalog, compose::Reload, error::Error, parts::Parts, policy::Permission, reload::Reloader, uptime::Spell,
};

/// What came of asking everything again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refreshed {
    /// What changed in the configuration, where it was read again.
    pub reload: Option<Reload>,
    /// All servers, with all their tools.
    pub servers: Vec<OfferedServer>,
}

impl Admin {
    /// All servers with all their tools, after each that was not asked yet was asked once.
    ///
    /// # Errors
    /// An [`Error`] when they may not be shown.
    pub async fn servers(&self) -> Result<Vec<OfferedServer>, Error> {
        self.require(Permission::CanModifyConfig)?;
        let catalog = self.parts.pool.discover().await;
        Ok(Eyes::All.see_all(&self.parts, &catalog))
    }

    /// How the servers did since a time, or one of them: the latest first, at most
    /// [`MAX_READ`](crate::uptime::MAX_READ); whether there may be more,
    /// [`complete_since`](crate::uptime::complete_since) says.
    ///
    /// # Errors
    /// An [`Error`] when it may not be shown, or cannot be read.
    pub async fn spells(&self, since: DateTime<Utc>, server: Option<&str>) -> Result<Vec<Spell>, Error> {
        self.require(Permission::CanModifyConfig)?;
        Ok(self.parts.uptime.since(since, server).await?)
    }

    /// Asks every server for its tools again, or one, whatever is known; what they answer is known then.
    ///
    /// # Errors
    /// An [`Error`] when it may not be done, or there is no such server. One that does not answer is
    /// unhealthy in the result.
    pub async fn list_again(&self, server: Option<&str>) -> Result<Arc<Catalog>, Error> {
        let said = record("tools.list_again", server.unwrap_or("*"), Value::Null);
        self.run(Permission::CanModifyConfig, said, asked_again(&self.parts, server)).await
    }

    /// Reads the configuration again, where there is a `reloader` that can, and asks every server for
    /// its tools again.
    ///
    /// # Errors
    /// An [`Error`] when it may not be done, or the configuration cannot be used: nothing is changed
    /// then, and nobody asked.
    pub async fn refresh_servers(&self, reloader: Option<&Reloader>) -> Result<Refreshed, Error> {
        // On the heap: a reload is large, and whoever waits for it would carry it.
        let work = Box::pin(async {
            let (reload, parts) = match reloader {
                // On the heap: a whole configuration is made in it.
                Some(reloader) => (Some(Box::pin(reloader.reload()).await?), reloader.omni().parts()),
                None => (None, self.parts.clone()),
            };
            let catalog = asked_again(&parts, None).await?;
            Ok(Refreshed { reload, servers: Eyes::All.see_all(&parts, &catalog) })
        });
        self.run(Permission::CanModifyConfig, record("tools.refresh", "*", Value::Null), work).await
    }
}

async fn asked_again(parts: &Parts, server: Option<&str>) -> Result<Arc<Catalog>, Error> {
    let Some(name) = server else { return Ok(parts.pool.refresh().await) };
    let found = parts.pool.refresh_server(name).await;
    found.map_err(|source| Error::Server { server: name.into(), source })
}
