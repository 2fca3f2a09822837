//! What is known of servers.

use std::sync::Arc;

use serde_json::Value;

use super::{Admin, record};
use crate::{catalog::Catalog, error::Error, policy::Permission};

impl Admin {
    /// Asks every server for its tools again, or one, whatever is known; what they answer is known then.
    ///
    /// # Errors
    /// An [`Error`] when it may not be done, or there is no such server. One that does not answer is
    /// unhealthy in the result.
    pub async fn list_again(&self, server: Option<&str>) -> Result<Arc<Catalog>, Error> {
        let work = async {
            let Some(name) = server else { return Ok(self.parts.pool.refresh().await) };
            let found = self.parts.pool.refresh_server(name).await;
            found.map_err(|source| Error::Server { server: name.into(), source })
        };
        let said = record("tools.list_again", server.unwrap_or("*"), Value::Null);
        self.run(Permission::CanModifyConfig, said, work).await
    }
}
