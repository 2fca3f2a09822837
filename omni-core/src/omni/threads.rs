//! One's own conversations.

use super::{Omni, steps};
use crate::{
    ask::Source,
    error::Error,
    identity::{Credential, Scope},
    thread::{ChannelKey, ThreadKey},
};

/// Most conversations of one list.
const MAX_LISTED: usize = 1_000;

impl Omni {
    /// Somebody's own conversations at a door: those that belong to no channel of others. The newest
    /// come first.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, or they cannot be read.
    pub async fn threads(&self, who: impl Into<Credential>, source: Source) -> Result<Vec<ThreadKey>, Error> {
        let channel = self.own_channel(who.into(), source).await?;
        Ok(self.parts().threads.list(&channel, MAX_LISTED).await?)
    }

    /// Forgets one of them.
    ///
    /// # Errors
    /// As [`Omni::threads`], and [`Error::NotFound`].
    pub async fn delete_thread(&self, who: impl Into<Credential>, source: Source, thread: &str) -> Result<(), Error> {
        let channel = self.own_channel(who.into(), source).await?;
        match self.parts().threads.delete(&channel.thread(thread)).await? {
            true => Ok(()),
            false => Err(Error::NotFound { message: format!("there is no conversation {thread:?}") }),
        }
    }

    async fn own_channel(&self, who: Credential, source: Source) -> Result<ChannelKey, Error> {
        let parts = self.parts();
        let principal = parts.authenticator.authenticate(who).await?;
        steps::policy(&parts, &principal).await?.require(Scope::Ask)?;
        Ok(ChannelKey::new(&principal.tenant, source.as_str(), &principal.subject))
    }
}
