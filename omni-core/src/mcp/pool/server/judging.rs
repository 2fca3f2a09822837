//! Which of a server's tools may be used: what its pins say.

use std::sync::Arc;

use tokio::time::Instant;

use super::Server;
use crate::{catalog::ToolDef, mcp::McpError, pin::vet::Vetted};

/// JSON-RPC: what servers say to a call of a tool that they do not have.
const INVALID_PARAMS: i64 = -32_602;

impl Server {
    /// Whether something is kept back about which somebody may have changed their mind, or other tools than before
    /// are beside those of this server.
    pub(in crate::mcp::pool) fn is_judging_due(&self) -> bool {
        let has_others = self.vetter.as_ref().is_some_and(|vetter| vetter.is_due(&self.name));
        self.with_listing(|listing| listing.is_judging_due(Instant::now()) || (has_others && listing.can_be_judged()))
    }

    /// Judges what is listed anew, where that is due.
    pub(super) async fn judge_again(&self) {
        if self.is_judging_due() {
            self.judge().await;
        }
    }

    /// The same at once, when somebody agreed.
    pub(in crate::mcp::pool) async fn judge_now(&self) {
        let _one = self.discovering.lock().await;
        self.judge().await;
    }

    async fn judge(&self) {
        let Some(listed) = self.with_listing(|listing| listing.listed()) else { return };
        let vetted = self.vet(listed).await;
        self.with_listing(|listing| listing.judged(vetted));
        self.publish();
    }

    pub(super) async fn vet(&self, listed: Vec<Arc<ToolDef>>) -> Vetted {
        match &self.vetter {
            Some(vetter) => vetter.vet(&self.name, listed, self.options().pin).await,
            None => Vetted { tools: listed, ..Vetted::default() },
        }
    }

    /// Refuses a tool that is kept back. Whoever calls has asked before; this is the last door.
    pub(in crate::mcp::pool) fn lets_call(&self, tool: &str) -> Result<(), McpError> {
        match self.is_withheld(tool) {
            true => Err(McpError::rpc(INVALID_PARAMS, format!("there is no tool {tool:?}"))),
            false => Ok(()),
        }
    }

    /// Whether a tool is kept back, as far as is known now.
    pub(in crate::mcp::pool) fn is_withheld(&self, tool: &str) -> bool {
        self.with_listing(|listing| listing.withheld.iter().any(|withheld| *withheld.def.name == *tool))
    }
}
