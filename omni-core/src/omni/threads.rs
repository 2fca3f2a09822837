//! One's own conversations.

use tokio::time::timeout;

use super::{Omni, steps, talk::own_channel};
use crate::{
    ask::Source,
    error::Error,
    identity::{Credential, Scope},
    parts::STEP_TIMEOUT,
    policy::Grant,
    thread::{KeptTurn, Most, Summary, ThreadEntry, ThreadError, ThreadKey, ThreadRules, view},
};

/// Most conversations of one list.
const MAX_LISTED: usize = 1_000;
/// Enough to know whether there is one.
const ANY: Most = Most::new(1, Most::ALL.bytes);

impl Omni {
    /// Somebody's own conversations at a door: those that belong to no channel of others. Those that went
    /// on last come first.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, or they cannot be read.
    pub async fn threads(&self, who: impl Into<Credential>, source: Source) -> Result<Vec<ThreadEntry>, Error> {
        let grant = self.asker(&who.into()).await?;
        let channel = own_channel(&grant, source.as_str());
        within(self.parts().threads.list(&channel, MAX_LISTED)).await
    }

    /// The turns of one of them, oldest first, without what one may no longer use.
    ///
    /// # Errors
    /// As [`Omni::threads`], and [`Error::NotFound`].
    pub async fn thread(&self, who: impl Into<Credential>, source: Source, name: &str) -> Result<Vec<KeptTurn>, Error> {
        let grant = self.asker(&who.into()).await?;
        let parts = self.parts();
        let key = own_channel(&grant, source.as_str()).thread(name);
        let mut kept = within(parts.threads.history(&key, Most::ALL)).await?;
        if kept.is_empty() {
            return Err(unknown(name));
        }
        let catalog = parts.pool.catalog();
        kept.iter_mut().for_each(|kept| view::hide(&mut kept.turn, &grant, &catalog));
        Ok(kept)
    }

    /// What models are told of the older turns of one of them, in their place; `None` where nothing is. It is of
    /// questions and answers alone, and goes with the conversation.
    ///
    /// # Errors
    /// As [`Omni::threads`].
    pub async fn thread_summary(
        &self,
        who: impl Into<Credential>,
        source: Source,
        name: &str,
    ) -> Result<Option<Summary>, Error> {
        let grant = self.asker(&who.into()).await?;
        let key = own_channel(&grant, source.as_str()).thread(name);
        within(self.parts().threads.summary(&key)).await
    }

    /// Forgets one of them, and what tools returned in it.
    ///
    /// # Errors
    /// As [`Omni::threads`], and [`Error::NotFound`].
    pub async fn delete_thread(&self, who: impl Into<Credential>, source: Source, name: &str) -> Result<(), Error> {
        let grant = self.asker(&who.into()).await?;
        let (key, parts) = (own_channel(&grant, source.as_str()).thread(name), self.parts());
        if within(parts.threads.history(&key, ANY)).await?.is_empty() {
            return Err(unknown(name));
        }
        // First: whoever tries again after a failure finds what is left.
        self.forget_results(&grant, source, &key).await?;
        match within(parts.threads.delete(&key)).await? {
            true => Ok(()),
            false => Err(unknown(name)),
        }
    }

    /// What holds for conversations by now: doors that have threads ask it where an answer stands.
    #[must_use]
    pub fn thread_rules(&self) -> ThreadRules {
        self.parts().thread_rules.clone()
    }

    /// Whether something was said in a conversation at a place that several people share: for doors that
    /// answer there without being called by name.
    ///
    /// # Errors
    /// An [`Error`] when it cannot be read.
    pub async fn knows_thread(&self, key: &ThreadKey) -> Result<bool, Error> {
        Ok(!within(self.parts().threads.history(key, ANY)).await?.is_empty())
    }

    pub(super) async fn asker(&self, who: &Credential) -> Result<std::sync::Arc<Grant>, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, who).await?;
        let grant = steps::policy(&parts, &principal).await?;
        grant.require(Scope::Ask)?;
        Ok(grant)
    }
}

async fn within<T>(asked: impl Future<Output = Result<T, ThreadError>>) -> Result<T, Error> {
    let answered = timeout(STEP_TIMEOUT, asked).await;
    Ok(answered.unwrap_or_else(|_| Err(ThreadError::new("no answer in time")))?)
}

fn unknown(name: &str) -> Error {
    Error::NotFound { message: format!("there is no conversation {name:?}") }
}
