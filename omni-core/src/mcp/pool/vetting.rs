//! Which of the listed tools may be used: the pool's side of pins.

use super::Pool;
use crate::mcp::McpError;

impl Pool {
    /// Whether a tool is kept back, as far as is known at this moment.
    #[must_use]
    pub fn is_withheld(&self, server: &str, tool: &str) -> bool {
        self.shared.servers.get(server).is_some_and(|server| server.is_withheld(tool))
    }

    /// The servers' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.shared.servers.keys().map(String::as_str)
    }

    /// Judges the known tools of a server anew, without asking it.
    ///
    /// # Errors
    /// [`McpError::UnknownServer`].
    pub(crate) async fn judge_again(&self, name: &str) -> Result<(), McpError> {
        self.enabled(name)?.judge_now().await;
        Ok(())
    }
}
