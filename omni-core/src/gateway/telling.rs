//! Telling clients what has changed: lists, and resources that they asked after.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::pending;
use rmcp::{
    RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{Peer, SubscriptionContext},
};
use serde_json::value::RawValue;
use tokio::time::{Duration, Instant, sleep_until};
use uuid::Uuid;

use super::{
    Gateway, Newest, Visitor,
    watch::{Changed, Watch},
};
use crate::{
    error::Error,
    mcp::{Heard, Hearing, Nobody, Subscription},
    omni::{Asked, Passing},
};

/// How long a resource that no server tells of is left alone before somebody asks for it again, at first and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// The resources of whose changes one client wants to be told.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    hearing: Arc<Hearing>,
    /// Each lives here: what is taken out ends.
    subscriptions: Mutex<HashMap<String, Subscription>>,
}

impl Subscribed {
    /// Has a resource's server tell of its changes.
    pub(super) async fn begin(&self, gateway: &Gateway, visitor: &Visitor, uri: &str) -> Result<(), Error> {
        let subscription = self.asked(gateway, visitor, uri, false).await?;
        let before = self.subscriptions().insert(uri.to_owned(), subscription);
        drop(before);
        Ok(())
    }

    /// Has the server that there is now tell of a resource whose server told of it before.
    async fn begin_again(&self, gateway: &Gateway, visitor: &Visitor, uri: &str) -> Result<(), Error> {
        let mut subscription = self.asked(gateway, visitor, uri, true).await?;
        // Unless nobody wants to know by now.
        if let Some(own) = self.subscriptions().get_mut(uri) {
            std::mem::swap(own, &mut subscription);
        }
        drop(subscription);
        Ok(())
    }

    async fn asked(
        &self,
        gateway: &Gateway,
        visitor: &Visitor,
        uri: &str,
        is_again: bool,
    ) -> Result<Subscription, Error> {
        let passing = Passing {
            credential: visitor.credential.clone(),
            client: visitor.client.clone(),
            asked: Asked::Subscription(uri.to_owned(), self.hearing.clone()),
            names: gateway.names,
            rest: BTreeMap::<String, Box<RawValue>>::new(),
            peer: Arc::new(Nobody),
            progress: None,
            request_id: Uuid::now_v7(),
            is_again,
        };
        gateway.omni.subscribe(passing).await
    }

    pub(super) fn end(&self, uri: &str) {
        let ended = self.subscriptions().remove(uri);
        drop(ended);
    }

    pub(super) fn len(&self) -> usize {
        self.subscriptions().len()
    }

    /// Waits for a resource that this client wants to know of, and may by now; `None` where nobody is there any more.
    async fn next(&self, gateway: &Gateway, newest: &Newest, lost: &mut Lost) -> Option<String> {
        loop {
            let (uri, heard) = tokio::select! {
                heard = self.hearing.next() => heard,
                uri = lost.next(newest) => (uri, Heard::Lost),
            };
            let visitor = newest.visitor()?;
            let Some(before) = self.server_of(&uri) else {
                lost.found(&uri);
                continue;
            };
            if heard == Heard::Lost {
                // There may be another server now, which tells as well.
                if let Err(error) = self.begin_again(gateway, &visitor, &uri).await {
                    tracing::debug!(%error, server = %before, "a server tells no more of a resource's changes");
                    lost.missed(uri);
                    continue;
                }
                lost.found(&uri);
            }
            let Some(server) = self.server_of(&uri) else { continue };
            if gateway.omni.server_of(visitor.credential, &uri).await.as_ref() == Some(&server) {
                return Some(uri);
            }
        }
    }

    fn server_of(&self, uri: &str) -> Option<Arc<str>> {
        self.subscriptions().get(uri).map(|subscription| subscription.server().clone())
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<String, Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resources that no server tells of at the moment, although a client wants to know.
#[derive(Debug, Default)]
struct Lost(BTreeMap<String, Missed>);

#[derive(Debug)]
struct Missed {
    /// How long it is left alone the next time.
    pause: Duration,
    again_at: Instant,
}

impl Lost {
    /// Nobody could be asked for it: that is done again after a pause that grows.
    fn missed(&mut self, uri: String) {
        let now = Instant::now();
        let missed = self.0.entry(uri).or_insert(Missed { pause: AGAIN, again_at: now });
        missed.again_at = now + missed.pause;
        missed.pause = (missed.pause * 2).min(AGAIN_AT_MOST);
    }

    fn found(&mut self, uri: &str) {
        self.0.remove(uri);
    }

    /// Waits until one is to be asked for again: with a token that took another's place, all are. Dropping the future
    /// loses nothing.
    async fn next(&mut self, newest: &Newest) -> String {
        loop {
            let first = self.0.iter().min_by_key(|(_, missed)| missed.again_at);
            let Some((uri, missed)) = first else { return pending().await };
            tokio::select! {
                () = sleep_until(missed.again_at) => return uri.clone(),
                () = newest.renewed() => {}
            }
            let now = Instant::now();
            self.0.values_mut().for_each(|missed| *missed = Missed { pause: AGAIN, again_at: now });
        }
    }
}

/// Tells a session of an older client, for as long as it takes what it is told. Lists and resources are told side by
/// side: neither waits for the other.
pub(super) async fn to_session(gateway: Gateway, newest: Newest, peer: Peer<RoleServer>, subscribed: Arc<Subscribed>) {
    let lists = async {
        let mut watch = Watch::begin(gateway.clone(), newest.clone()).await;
        while let Some(changed) = watch.changed().await {
            if tell_lists(&peer, changed).await.is_err() {
                return;
            }
        }
    };
    let resources = async {
        let mut lost = Lost::default();
        while let Some(uri) = subscribed.next(&gateway, &newest, &mut lost).await {
            if peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = lists => {}
        () = resources => {}
    }
}

async fn tell_lists(peer: &Peer<RoleServer>, changed: Changed) -> Result<(), rmcp::ServiceError> {
    if changed.tools {
        peer.notify_tool_list_changed().await?;
    }
    if changed.prompts {
        peer.notify_prompt_list_changed().await?;
    }
    if changed.resources {
        peer.notify_resource_list_changed().await?;
    }
    Ok(())
}

/// Tells a newer client that listens, as far as it wanted to be told. What it subscribed to ends with its listening.
pub(super) async fn to_listener(gateway: Gateway, visitor: Visitor, subscription: &SubscriptionContext) {
    let (sink, accepted) = (subscription.sink(), subscription.accepted());
    let (subscribed, newest) = (Subscribed::default(), Newest::from(visitor.clone()));
    let lists = async {
        let mut watch = Watch::begin(gateway.clone(), newest.clone()).await;
        while let Some(changed) = watch.changed().await {
            let told = async {
                if changed.tools && accepted.tools_list_changed == Some(true) {
                    sink.notify_tool_list_changed().await?;
                }
                if changed.prompts && accepted.prompts_list_changed == Some(true) {
                    sink.notify_prompt_list_changed().await?;
                }
                if changed.resources && accepted.resources_list_changed == Some(true) {
                    sink.notify_resource_list_changed().await?;
                }
                Ok::<_, rmcp::service::SubscriptionSendError>(())
            };
            if told.await.is_err() {
                return;
            }
        }
    };
    let resources = async {
        for uri in accepted.resource_subscriptions.iter().flatten() {
            if let Err(error) = subscribed.begin(&gateway, &visitor, uri).await {
                tracing::debug!(%error, "a server does not tell of a resource's changes");
            }
        }
        let mut lost = Lost::default();
        while let Some(uri) = subscribed.next(&gateway, &newest, &mut lost).await {
            if sink.notify_resource_updated(uri).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = lists => {}
        () = resources => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Credential;

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_is_asked_for_after_pauses_that_grow_and_at_once_by_another_token() {
        let visitor = |token: &str| Visitor::new(Credential::bearer(token.to_owned()));
        let (newest, mut lost, began) = (Newest::from(visitor("one")), Lost::default(), Instant::now());
        for seconds in [1, 3, 7] {
            lost.missed("note://a".into());
            assert_eq!(lost.next(&newest).await, "note://a");
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
        lost.missed("note://a".into());
        newest.is(visitor("one"));
        newest.is(visitor("two"));
        assert_eq!(lost.next(&newest).await, "note://a");
        assert_eq!(began.elapsed().as_secs(), 7);
        for _ in 0..20 {
            lost.missed("note://a".into());
        }
        let asked = Instant::now();
        lost.next(&newest).await;
        assert!(asked.elapsed() <= AGAIN_AT_MOST + AGAIN);
    }
}
