//! One's own results: what tools returned to somebody's questions, for as long as it is kept.

use tokio::time::timeout;

use super::Omni;
use crate::{
    ask::{DirectCall, Source},
    error::Error,
    identity::Credential,
    parts::{Parts, STEP_TIMEOUT},
    policy::Grant,
    results::{KeptCall, KeptResult, Owner, ResultError, ResultFilter},
    thread::ThreadKey,
};

impl Omni {
    /// The calls whose results are kept of somebody, the newest first: of tools that they may use by now.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, or they cannot be read.
    pub async fn results(&self, who: impl Into<Credential>, filter: &ResultFilter) -> Result<Vec<KeptCall>, Error> {
        let grant = self.asker(&who.into()).await?;
        let parts = self.parts();
        let mut calls = within(parts.results.list(Owner::of(&grant.principal), filter)).await?;
        let catalog = parts.pool.catalog();
        calls.retain(|call| call.is_for(&grant, &catalog));
        Ok(calls)
    }

    /// One of them.
    ///
    /// # Errors
    /// As [`Omni::results`], and [`Error::NotFound`]: there is none of that name, its time is over, it is somebody
    /// else's, or of a tool that one may no longer use.
    pub async fn result(&self, who: impl Into<Credential>, id: &str) -> Result<KeptResult, Error> {
        let grant = self.asker(&who.into()).await?;
        self.parts().result(&grant, id).await
    }

    /// The call that one of them came from, to be made again by [`Omni::call_tool`]: it passes all steps anew. Whoever
    /// makes it says by which door, and who is there to agree to it.
    ///
    /// # Errors
    /// As [`Omni::result`], and [`Error::Conflict`] where its arguments had a secret, which is not kept.
    pub async fn call_again(&self, who: impl Into<Credential>, id: &str) -> Result<DirectCall, Error> {
        let who = who.into();
        let kept = self.result(who.clone(), id).await?.call;
        if !kept.is_whole {
            let message = format!("the arguments of {id} had a secret, which is not kept: ask or call again");
            return Err(Error::Conflict { message });
        }
        Ok(DirectCall::new(who, kept.server, kept.tool, kept.arguments))
    }

    /// With a conversation goes what tools returned in it, and nothing of another one of that name.
    pub(super) async fn forget_results(&self, grant: &Grant, source: Source, key: &ThreadKey) -> Result<(), Error> {
        let filter = ResultFilter::at(source).in_thread(&*key.thread).in_channel(&*key.channel);
        within(self.parts().results.forget(Owner::of(&grant.principal), &filter)).await.map(drop)
    }
}

impl Parts {
    /// A result that is the grant's person's own and of a tool that they may use.
    pub(crate) async fn result(&self, grant: &Grant, id: &str) -> Result<KeptResult, Error> {
        let found = within(self.results.read(Owner::of(&grant.principal), id)).await?;
        let catalog = self.pool.catalog();
        let unknown = || Error::NotFound { message: format!("no result {id:?} is kept") };
        found.filter(|kept| kept.call.is_for(grant, &catalog)).ok_or_else(unknown)
    }
}

async fn within<T>(asked: impl Future<Output = Result<T, ResultError>>) -> Result<T, Error> {
    let answered = timeout(STEP_TIMEOUT, asked).await;
    Ok(answered.unwrap_or_else(|_| Err(ResultError::new("no answer in time")))?)
}
