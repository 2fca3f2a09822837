//! What clients want to be told by servers: log messages of some severity, and changes of resources.

use std::{sync::Arc, time::Duration};

use futures::{future::join_all, stream::BoxStream};
use serde_json::{json, value::to_raw_value};

use super::Omni;
use crate::{
    catalog::NameRules,
    error::Error,
    identity::Credential,
    mcp::{CallContext, McpRequest, ResourceUpdate},
};

/// How long a server may take to take note.
const NOTE_WITHIN: Duration = Duration::from_secs(10);

impl Omni {
    /// Has every server that somebody may use, and that logs, log from this level on.
    pub(crate) async fn log_from(&self, who: Credential, level: &'static str) -> Result<(), Error> {
        let (parts, grant, catalog) = self.visit(who).await?;
        let logs = catalog
            .servers
            .iter()
            .filter(|view| view.capabilities.logging() && !grant.rules.is_closed(&view.name))
            .map(|view| async {
                let params = to_raw_value(&json!({ "level": level })).ok();
                let cx = CallContext::within(NOTE_WITHIN).with_principal(grant.principal.clone());
                let noted = parts.pool.request(&view.name, McpRequest::new("logging/setLevel", params), &cx).await;
                if let Err(error) = noted {
                    tracing::debug!(server = %view.name, %error, "a server does not log from another level on");
                }
            });
        join_all(logs).await;
        Ok(())
    }

    /// Changes of resources, as the present servers tell of them.
    pub(crate) fn resource_updates(&self) -> BoxStream<'static, ResourceUpdate> {
        self.parts().pool.updates()
    }

    /// Which server a resource is of, for somebody who may read it.
    pub(crate) async fn server_of(&self, who: Credential, uri: &str) -> Option<Arc<str>> {
        self.with_offer(who, NameRules::default(), |offer| offer.server_of(uri)).await.ok().flatten()
    }
}
