//! [`Omni`]: the pipeline as a value.
//!
//! ```text
//! identity → policy → limit → thread → catalog → agent ⇄ tools → answer → settle → ledger
//! ```
//!
//! An ask passes these steps in `omni/ask.rs`, a direct call in `omni/direct.rs`; both call the same functions.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Mutex as AsyncMutex, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ask::Ask,
    audit::AuditAccess,
    builder::OmniBuilder,
    catalog::{Catalog, NameRules, ToolSet},
    config::{Config, SlackConfig},
    error::Error,
    identity::{Credential, Scope},
    kept::Kept,
    ledger::Ledger,
    llm::ModelInfo,
    metrics,
    parts::Parts,
    policy::Grant,
};

mod admin;
mod ask;
mod begun;
mod decide;
mod direct;
mod feedback;
mod handed;
mod inside;
mod keeping;
mod known;
mod lapsing;
pub(crate) mod noted;
mod offer;
#[cfg(feature = "gateway")]
mod offered;
#[cfg(feature = "gateway")]
mod passed;
mod profile;
mod providers;
mod pulse;
mod ready;
mod refusing;
mod results;
mod resumed;
mod retention;
mod standings;
mod steps;
mod sweeping;
mod talk;
#[cfg(feature = "gateway")]
mod task;
mod threads;
#[cfg(feature = "gateway")]
mod told;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use admin::ListedUser;
pub use admin::{Admin, Explanation, KeyPage, NewKey, Refreshed, Rights, ToolRight};
pub use begun::CallReply;
use begun::EVENT_BUFFER;
pub use decide::{ConfirmationView, Decider};
pub(crate) use handed::Handed;
pub use inside::Inside;
pub use offer::{OfferedServer, ServerPlace};
#[cfg(feature = "gateway")]
pub(crate) use offered::{Changed, Offer};
#[cfg(feature = "gateway")]
pub(crate) use passed::{Asked, Passing};
pub use profile::{People, Profile, UserStatus};
pub use pulse::Pulse;
pub use standings::LimitStanding;
#[cfg(feature = "gateway")]
pub(crate) use task::{AboutTask, BackgroundTask};

/// How long `shutdown` lets running asks finish before it cancels them.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// One pipeline, shared by whoever holds a clone.
///
/// End it with [`Omni::shutdown`]: asks that run are let finish, and the ledger writes what it has. Where the last clone
/// is only dropped, what is not in the database by then waits in the ledger's directory for the next start; without such
/// a directory it is lost.
#[derive(Debug, Clone)]
pub struct Omni {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What new asks are made with; a running one keeps what it began with.
    parts: ArcSwap<Parts>,
    /// Grows whenever other parts are in their place.
    replaced: watch::Sender<u64>,
    ledger: Ledger,
    /// Held while parts are built that take the place of the present ones.
    reloading: AsyncMutex<()>,
    /// Held while a store is asked what expired.
    lapsing: Arc<AsyncMutex<()>>,
    tasks: TaskTracker,
    /// Cancels everything that still runs when the grace of `shutdown` is over.
    kill: CancellationToken,
    /// Ends what runs for as long as there is an `Omni`, also when nobody shuts it down.
    idle: CancellationToken,
    readiness: ready::Readiness,
    /// The configuration of the first parts.
    begun_with: Option<Arc<Config>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.idle.cancel();
    }
}

/// What an ask would be given, without asking.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Preview {
    /// Whose rights would count.
    pub grant: Arc<Grant>,
    /// The model.
    pub model: ModelInfo,
    /// The system prompt.
    pub system: String,
    /// The tools on offer.
    pub tools: Arc<ToolSet>,
    /// All servers and how they are doing.
    pub catalog: Arc<Catalog>,
}

impl Omni {
    /// Starts to build one.
    pub fn builder() -> OmniBuilder {
        OmniBuilder::new()
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        parts.vetter.beside(parts.pool.names(), parts.tools.pin_fail_open);
        let inner = Inner {
            ledger: parts.ledger.clone(),
            begun_with: parts.config.clone(),
            parts: ArcSwap::from_pointee(parts),
            replaced: watch::Sender::default(),
            reloading: AsyncMutex::new(()),
            lapsing: Arc::default(),
            tasks: TaskTracker::new(),
            kill: CancellationToken::new(),
            idle: CancellationToken::new(),
            readiness: ready::Readiness::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The configuration that this was begun with, whatever was reloaded since.
    pub(crate) fn begun_with(&self) -> Option<&Config> {
        self.inner.begun_with.as_deref()
    }

    pub(crate) fn parts(&self) -> Arc<Parts> {
        self.inner.parts.load_full()
    }

    /// Runs until this `Omni` ends; `shutdown` waits for that.
    pub(crate) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let ended = self.inner.idle.clone();
        self.inner.tasks.spawn(async move { ended.run_until_cancelled(work).await });
    }

    pub(crate) async fn reloading(&self) -> impl Drop {
        self.inner.reloading.lock().await
    }

    /// Puts newer parts in the place of the present ones, for everything that begins from now on.
    pub(crate) fn replace_parts(&self, parts: Parts) {
        // First: from now on it is asked before every call, of running asks too.
        parts.live.replace_policy(parts.policy.clone());
        parts.vetter.beside(parts.pool.names(), parts.tools.pin_fail_open);
        metrics::servers_gone(&self.parts().pool.catalog(), &parts.pool.catalog());
        self.inner.parts.store(Arc::new(parts));
        self.parts().pool.take_over();
        self.inner.replaced.send_modify(|times| *times += 1);
    }

    /// The tools that somebody may use, after every server was asked.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no.
    pub async fn tools(&self, who: impl Into<Credential>) -> Result<Arc<ToolSet>, Error> {
        let parts = self.parts();
        let who = who.into();
        let principal = steps::identity(&parts, &who).await?;
        let grant = steps::policy(&parts, &principal).await?;
        grant.require(Scope::Tools)?;
        let token = steps::token(&parts, &who, &principal);
        let catalog = parts.pool.discover_for(token.as_ref()).await;
        Ok(parts.tool_sets.of(&catalog, &grant, NameRules::default()))
    }

    /// Whether new asks are let in: this `Omni` is not closing, and its ledger has room.
    ///
    /// # Errors
    /// Why they are not.
    pub fn admit(&self) -> Result<(), Error> {
        steps::admit(&self.parts())
    }

    /// Who gives out the tokens that count, where any do.
    #[must_use]
    pub fn token_issuer(&self) -> Option<String> {
        Some(self.parts().config.as_ref()?.oidc.as_ref()?.issuer.clone())
    }

    /// A key for what a door has its visitors keep, such as a session. Another label is another key; instances that
    /// share the ledger's key have the same.
    #[must_use]
    pub fn door_key(&self, label: &str) -> [u8; 32] {
        self.parts().live.handed.door_key(label)
    }

    /// Whether anybody has an API key.
    ///
    /// # Errors
    /// An [`Error`] when keys cannot be looked up.
    pub async fn has_keys(&self) -> Result<bool, Error> {
        Ok(self.parts().authenticator.has_keys().await?)
    }

    /// The person whom `users.yaml` knows by an id of Slack's.
    #[must_use]
    pub fn slack_user(&self, slack_id: &str) -> Option<String> {
        self.parts().config.as_ref()?.slack_user(slack_id)
    }

    /// What holds for the Slack door by now; `None` where no configuration says.
    #[must_use]
    pub fn slack_config(&self) -> Option<SlackConfig> {
        Some(self.parts().config.as_ref()?.slack.clone())
    }

    /// Whether an answer is found in the ledger later as it is
    /// ([`AuditAccess::answer`](crate::audit::AuditAccess::answer)): content is kept, it is not too long, and nothing in it
    /// is a secret.
    #[must_use]
    pub fn keeps_answer(&self, text: &str) -> bool {
        let parts = self.parts();
        parts.reader.is_some() && parts.ledger.keeps_whole(text)
    }

    /// Whether there is a place for what people say of answers.
    #[must_use]
    pub fn keeps_feedback(&self) -> bool {
        let parts = self.parts();
        parts.reader.is_some() && parts.has_tables()
    }

    /// What a frontend keeps of its own, by its name; `None` where there is no place for it.
    #[must_use]
    pub fn kept(&self, door: &str) -> Option<Kept> {
        Some(Kept::of(self.parts().kept.clone()?, door))
    }

    /// What somebody may do.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no.
    pub async fn grant(&self, who: impl Into<Credential>) -> Result<Arc<Grant>, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who.into()).await?;
        steps::policy(&parts, &principal).await
    }

    /// What an ask would be given: nothing is asked, charged or recorded. Whether limits and budgets have room for it is
    /// not looked at.
    ///
    /// # Errors
    /// An [`Error`] when the ask would be refused.
    pub async fn preview(&self, ask: Ask) -> Result<Preview, Error> {
        ask::preview(&self.parts(), ask).await
    }

    /// All servers as far as they are known, without asking any.
    #[must_use]
    pub fn known_catalog(&self) -> Arc<Catalog> {
        self.parts().pool.catalog()
    }

    /// All servers, after each that was not asked yet was asked once.
    pub async fn catalog(&self) -> Arc<Catalog> {
        self.parts().pool.discover().await
    }

    /// All servers, after each was asked again.
    pub async fn refresh(&self) -> Arc<Catalog> {
        self.parts().pool.refresh().await
    }

    /// Connects to the servers that are to be connected to at a start: what a service does before it
    /// lets anybody in. Those without which it is not to start are waited for, the others are not. From then
    /// on it is kept [how the servers do](crate::uptime).
    ///
    /// # Errors
    /// [`Error::Needed`].
    pub async fn start(&self) -> Result<(), Error> {
        let parts = self.parts();
        parts.live.is_started.store(true, Ordering::Release);
        // What was seen so far counts as well.
        parts.pool.answered().notify_one();
        parts.start().await
    }

    /// The models on offer, the default first.
    ///
    /// # Errors
    /// Why there is no language model.
    pub fn models(&self) -> Result<Vec<ModelInfo>, Error> {
        Ok(self.parts().llm()?.models().to_vec())
    }

    /// What somebody may read of the ledger: their own entries, or those of their whole tenant.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no, or the ledger's store cannot be read.
    pub async fn audit(&self, who: impl Into<Credential>) -> Result<AuditAccess, Error> {
        let grant = self.grant(who).await?;
        let reader = self.parts().reader.clone();
        let reader = reader.ok_or_else(|| Error::Invalid { message: "the ledger's store cannot be read".into() })?;
        Ok(AuditAccess::new(reader, &grant))
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Refuses new asks, lets running ones finish for a while, cancels the rest, drains the ledger
    /// and closes every server.
    pub async fn shutdown(&self) {
        self.shutdown_within(SHUTDOWN_GRACE).await;
    }

    /// The same with another while.
    pub async fn shutdown_within(&self, grace: Duration) {
        self.parts().live.closing.store(true, Ordering::Release);
        self.inner.idle.cancel();
        self.inner.tasks.close();
        if timeout(grace, self.inner.tasks.wait()).await.is_err() {
            self.inner.kill.cancel();
            let _ = timeout(SHUTDOWN_GRACE, self.inner.tasks.wait()).await;
        }
        if timeout(SHUTDOWN_GRACE, self.parts().live.unsettled.close()).await.is_err() {
            tracing::warn!("reservations that are not settled lapse by themselves");
        }
        self.keep_the_last().await;
        if timeout(SHUTDOWN_GRACE, self.parts().pool.shutdown()).await.is_err() {
            tracing::warn!("a server did not let itself be closed in time");
        }
        self.inner.ledger.shutdown().await;
    }
}
