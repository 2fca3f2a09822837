//! What an agreement is bound to.

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::Confirmation;
use crate::hex::to_hex;

/// Changes when the same things get another digest, so that no digest means two things.
const FORM: &str = "omni-call-1";

/// A call with everything that an agreement to it depends on. Another call, tool, person or rule is
/// another one.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// Whose rights count.
    pub subject: &'a str,
    /// Who acts for them, if somebody does.
    pub actor: Option<&'a str>,
    /// The server.
    pub server: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The exact bytes that are sent.
    pub arguments: &'a RawValue,
    /// The digest of the tool's definition.
    pub tool_digest: &'a str,
    /// The digest of the rules that decided.
    pub rule_digest: &'a str,
}

/// What is not as it was agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The call.
    #[error("the call is another one")]
    Call,
    /// The tool's definition.
    #[error("the tool is not what it was")]
    Tool,
    /// Whose call it is.
    #[error("it is somebody else's call")]
    Person,
    /// The rule.
    #[error("another rule decides by now")]
    Rule,
    /// What is stored does not fit together.
    #[error("what is stored of it does not fit together")]
    Record,
}

impl Bound<'_> {
    /// The SHA-256 of all of it, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let actor = self.actor.map(|actor| format!("by {actor}"));
        digest(&[
            FORM,
            self.tenant,
            self.subject,
            actor.as_deref().unwrap_or_default(),
            self.server,
            self.tool,
            self.arguments.get(),
            self.tool_digest,
            self.rule_digest,
        ])
    }
}

/// The SHA-256 of texts, none of which can pass for the end of the one before it.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    to_hex(sha.finalize())
}

impl Confirmation {
    /// What was agreed to, by what is stored.
    #[must_use]
    pub fn bound(&self) -> Bound<'_> {
        Bound {
            tenant: &self.tenant,
            subject: &self.subject,
            actor: self.actor.as_deref(),
            server: &self.server,
            tool: &self.tool,
            arguments: &self.arguments,
            tool_digest: &self.tool_digest,
            rule_digest: &self.rule_digest,
        }
    }

    /// Whether the call that is about to be sent is the one that was agreed to.
    ///
    /// # Errors
    /// What is not as it was.
    pub fn holds_for(&self, now: &Bound<'_>) -> Result<(), Broken> {
        let then = self.bound();
        if (then.server, then.tool, then.arguments.get()) != (now.server, now.tool, now.arguments.get()) {
            return Err(Broken::Call);
        }
        if (then.tenant, then.subject, then.actor) != (now.tenant, now.subject, now.actor) {
            return Err(Broken::Person);
        }
        if then.tool_digest != now.tool_digest {
            return Err(Broken::Tool);
        }
        if then.rule_digest != now.rule_digest {
            return Err(Broken::Rule);
        }
        if self.digest == now.digest() { Ok(()) } else { Err(Broken::Record) }
    }
}
