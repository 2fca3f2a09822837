//! What tools were, are, and may become.

use serde_json::json;

use super::{Admin, quoted, record};
use crate::{error::Error, pin::Pin, policy::Permission};

/// How often somebody else may get in between.
const ROUNDS: usize = 3;

impl Admin {
    /// What is known of the tools of a server, or of all: what each is agreed to be, and what it is
    /// while it is kept back. No server is asked.
    ///
    /// # Errors
    /// An [`Error`] when it may not be told, or cannot be read.
    pub async fn pins(&self, server: Option<&str>, tool: Option<&str>) -> Result<Vec<Pin>, Error> {
        self.require(Permission::CanModifyConfig)?;
        Ok(self.parts.vetter.store().pins(server, tool).await?)
    }

    /// Agrees to what a tool has become, so that it may be used again. With a `digest` only to that
    /// definition: what somebody looked at, and nothing that came since.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the tool is not known, [`Error::Conflict`] when it is not kept back or has
    /// another digest, or an [`Error`] when it may not be done, or cannot.
    pub async fn approve_tool(&self, server: &str, tool: &str, digest: Option<&str>) -> Result<Pin, Error> {
        let said = record("tool.approve", &format!("{server}.{tool}"), json!({ "digest": digest }));
        let work = async {
            let mut approved = self.approve(server, Some(tool), digest).await?;
            approved.pop().ok_or_else(|| Error::Conflict { message: format!("{server}.{tool} is not kept back") })
        };
        self.run_and_tell(Permission::CanModifyConfig, said, work, |said, pin| {
            said.details = json!({ "digest": pin.pinned.as_ref().map(|seen| &seen.digest) });
        })
        .await
    }

    /// Agrees to what all tools of a server have become that are kept back; returns those.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is known of the server, or an [`Error`] when it may not be done,
    /// or cannot.
    pub async fn approve_tools(&self, server: &str) -> Result<Vec<Pin>, Error> {
        let said = record("tool.approve", server, serde_json::Value::Null);
        self.run_and_tell(Permission::CanModifyConfig, said, self.approve(server, None, None), |said, pins| {
            said.details = json!({ "tools": pins.iter().map(|pin| &pin.tool).collect::<Vec<_>>() });
        })
        .await
    }

    async fn approve(&self, server: &str, tool: Option<&str>, digest: Option<&str>) -> Result<Vec<Pin>, Error> {
        let store = self.parts.vetter.store();
        for _ in 0..ROUNDS {
            let known = store.pins(Some(server), tool).await?;
            if known.is_empty() {
                return Err(unknown(server, tool));
            }
            let held: Vec<Pin> = known.into_iter().filter(|pin| pin.held.is_some()).collect();
            if let Some(digest) = digest {
                held.iter().try_for_each(|pin| is_what_was_seen(pin, digest))?;
            }
            let agreed: Vec<Pin> = held.into_iter().map(|pin| self.agreed(pin)).collect();
            if store.put(&agreed).await? {
                // A server of another configuration is judged by whoever has that.
                let _ = self.parts.pool.judge_again(server).await;
                if let Some(config) = &self.parts.config {
                    let tools: Vec<&str> = agreed.iter().map(|pin| pin.tool.as_str()).collect();
                    self.parts.live.keeper.let_in(config, server, &tools).await;
                }
                return Ok(agreed);
            }
        }
        Err(Error::Conflict { message: format!("the tools of {server} change at this moment; try again") })
    }

    fn agreed(&self, mut pin: Pin) -> Pin {
        if let Some((_, seen)) = pin.held.take() {
            (pin.pinned, pin.pinned_by) = (Some(seen), Some(self.actor().to_owned()));
        }
        pin
    }
}

fn unknown(server: &str, tool: Option<&str>) -> Error {
    let what = match tool {
        Some(tool) => format!("no tool {} of {} was ever seen", quoted(tool), quoted(server)),
        None => format!("no tool of {} was ever seen", quoted(server)),
    };
    Error::NotFound { message: format!("{what}; `omni tools pins` lists what was") }
}

/// Refuses to agree to a definition that came after the one that somebody looked at.
fn is_what_was_seen(pin: &Pin, digest: &str) -> Result<(), Error> {
    match &pin.held {
        Some((_, seen)) if !digest.is_empty() && seen.digest.starts_with(digest) => Ok(()),
        Some((_, seen)) => Err(Error::Conflict {
            message: format!("{}.{} is another one by now: {}", pin.server, pin.tool, seen.digest),
        }),
        None => Ok(()),
    }
}
