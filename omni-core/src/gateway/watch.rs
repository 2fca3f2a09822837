//! Clients are told when what is on offer to them has changed.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use super::{Gateway, Newest, Visitor};
use crate::error::{Error, ErrorKind};

/// Changes that come together are told as one.
const SETTLE: Duration = Duration::from_millis(50);

/// What is on offer, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    tools: u64,
    prompts: u64,
    resources: u64,
}

/// Which lists are other ones now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
}

/// Looks whether what one visitor is offered has changed, by what they came with last.
pub(super) struct Watch {
    gateway: Gateway,
    newest: Newest,
    changes: watch::Receiver<u64>,
    seen: Seen,
    /// Whether something was told that was not looked at yet: nobody need wait to the end of looking.
    pending: bool,
}

impl Watch {
    /// Begins with what is on offer now.
    pub(super) async fn begin(gateway: Gateway, newest: Newest) -> Self {
        // First: what changes while this looks is told.
        let changes = gateway.changes.subscribe(&gateway.omni);
        let mut watch = Self { gateway, newest, changes, seen: Seen::default(), pending: false };
        watch.seen = watch.look().await.unwrap_or_default();
        watch
    }

    /// Waits until something else is on offer; `None` once nothing can change any more.
    pub(super) async fn changed(&mut self) -> Option<Changed> {
        loop {
            if !self.pending {
                self.changes.changed().await.ok()?;
                self.pending = true;
            }
            sleep(SETTLE).await;
            self.changes.mark_unchanged();
            let looked = self.look().await;
            self.pending = false;
            let Some(now) = looked else { continue };
            let old = std::mem::replace(&mut self.seen, now);
            if old != now {
                return Some(Changed {
                    tools: old.tools != now.tools,
                    prompts: old.prompts != now.prompts,
                    resources: old.resources != now.resources,
                });
            }
        }
    }

    /// What is on offer; `None` where that cannot be said at the moment.
    async fn look(&self) -> Option<Seen> {
        match self.count(&self.newest.visitor()?).await {
            Ok(seen) => Some(seen),
            Err(error) if error.kind() == ErrorKind::Unavailable => None,
            // Whoever may nothing any more is offered nothing.
            Err(_) => Some(Seen { tools: number([("", "")]), prompts: number([("", "")]), resources: 0 }),
        }
    }

    async fn count(&self, visitor: &Visitor) -> Result<Seen, Error> {
        let set = self.gateway.tools(visitor).await?;
        let definitions: Vec<_> = set.tools().iter().map(|tool| (&*tool.llm_name, tool.def.definition())).collect();
        let tools = number(definitions.iter().map(|(name, raw)| (*name, raw.get())));
        let count = |offer: &crate::omni::Offer<'_>| {
            let resources = offer.resources.iter().map(|def| (&*def.uri, def.raw.get()));
            let templates = offer.templates.iter().map(|def| (&*def.uri_template, def.raw.get()));
            Seen {
                tools,
                prompts: number(offer.prompts.iter().map(|(name, def)| (&**name, def.raw.get()))),
                resources: number(resources.chain(templates)),
            }
        };
        self.gateway.omni.with_offer(visitor.credential.clone(), self.gateway.names, count).await
    }
}

fn number<'a>(definitions: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hash = DefaultHasher::new();
    definitions.into_iter().for_each(|definition| definition.hash(&mut hash));
    hash.finish()
}
