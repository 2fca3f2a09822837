//! What clients want of servers beside calls: log messages of some severity, and to know whose a resource is.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use super::Omni;
use crate::{
    catalog::NameRules,
    error::Error,
    identity::Credential,
    mcp::{CallContext, LogLevel},
};

/// How long a server may take to take note.
const NOTE_WITHIN: Duration = Duration::from_secs(10);

impl Omni {
    /// Has every server that somebody may use, and that logs, log from this level on: also one that is connected to
    /// later.
    pub(crate) async fn log_from(&self, who: Credential, level: LogLevel) -> Result<(), Error> {
        let (parts, grant, catalog) = self.visit(who).await?;
        let open = catalog.servers.iter().filter(|view| !grant.rules.is_closed(&view.name));
        let logs = open.map(|view| async {
            let cx = CallContext::within(NOTE_WITHIN);
            if let Err(error) = parts.pool.log_from(&view.name, level, &cx).await {
                tracing::debug!(server = %view.name, %error, "a server does not log from another level on");
            }
        });
        join_all(logs).await;
        Ok(())
    }

    /// Which server a resource is of, for somebody who may read it.
    pub(crate) async fn server_of(&self, who: Credential, uri: &str) -> Option<Arc<str>> {
        self.with_offer(who, NameRules::default(), |offer| offer.server_of(uri)).await.ok().flatten()
    }
}
