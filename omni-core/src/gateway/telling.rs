//! Telling clients what has changed: lists, and resources that they asked after.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::stream::{BoxStream, StreamExt as _};
use rmcp::{
    RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{Peer, SubscriptionContext},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Gateway, Visitor,
    watch::{Changed, Watch},
};
use crate::{
    mcp::{Nobody, ResourceUpdate},
    omni::{Asked, Passing},
};

/// The resources of whose changes somebody wants to be told.
#[derive(Debug, Default)]
pub(super) struct Subscribed(Mutex<BTreeSet<String>>);

impl Subscribed {
    pub(super) fn insert(&self, uri: String) {
        self.uris().insert(uri);
    }

    pub(super) fn remove(&self, uri: &str) {
        self.uris().remove(uri);
    }

    pub(super) fn len(&self) -> usize {
        self.uris().len()
    }

    fn contains(&self, uri: &str) -> bool {
        self.uris().contains(uri)
    }

    fn uris(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that a client is told.
enum News {
    Lists(Changed),
    Resource(String),
}

/// All that happens to what one client may use.
struct Ear {
    watch: Watch,
    gateway: Gateway,
    visitor: Visitor,
    /// Of the servers that there were when it last looked.
    updates: BoxStream<'static, ResourceUpdate>,
    subscribed: Arc<Subscribed>,
}

impl Ear {
    async fn begin(gateway: Gateway, visitor: Visitor, subscribed: Arc<Subscribed>) -> Self {
        let updates = gateway.omni.resource_updates();
        let watch = Watch::begin(gateway.clone(), visitor.clone()).await;
        Self { watch, gateway, visitor, updates, subscribed }
    }

    /// Waits for something; `None` once nothing can happen any more.
    async fn next(&mut self) -> Option<News> {
        loop {
            tokio::select! {
                changed = self.watch.changed() => {
                    // There may be other servers now.
                    self.updates = self.gateway.omni.resource_updates();
                    return changed.map(News::Lists);
                }
                Some(update) = self.updates.next() => {
                    if is_theirs(&self.gateway, &self.visitor, &self.subscribed, &update).await {
                        return Some(News::Resource(update.uri));
                    }
                }
            }
        }
    }
}

/// Whether a client wants to know, and may by now.
async fn is_theirs(gateway: &Gateway, visitor: &Visitor, subscribed: &Subscribed, update: &ResourceUpdate) -> bool {
    subscribed.contains(&update.uri)
        && gateway.omni.server_of(visitor.credential.clone(), &update.uri).await.as_ref() == Some(&update.server)
}

/// Tells a session of an older client, for as long as it takes what it is told.
pub(super) async fn to_session(
    gateway: Gateway,
    visitor: Visitor,
    peer: Peer<RoleServer>,
    subscribed: Arc<Subscribed>,
) {
    let mut ear = Ear::begin(gateway, visitor, subscribed).await;
    while let Some(news) = ear.next().await {
        let told = async {
            match news {
                News::Lists(changed) => {
                    if changed.tools {
                        peer.notify_tool_list_changed().await?;
                    }
                    if changed.prompts {
                        peer.notify_prompt_list_changed().await?;
                    }
                    if changed.resources {
                        peer.notify_resource_list_changed().await?;
                    }
                }
                News::Resource(uri) => {
                    peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await?;
                }
            }
            Ok::<_, rmcp::ServiceError>(())
        };
        if told.await.is_err() {
            return;
        }
    }
}

/// Tells a newer client that listens, as far as it wanted to be told.
pub(super) async fn to_listener(gateway: Gateway, visitor: Visitor, subscription: &SubscriptionContext) {
    let (sink, accepted) = (subscription.sink(), subscription.accepted());
    let subscribed = Arc::new(Subscribed::default());
    let mut ear = Ear::begin(gateway.clone(), visitor.clone(), subscribed.clone()).await;
    for uri in accepted.resource_subscriptions.iter().flatten() {
        subscribe(&gateway, &visitor, uri).await;
        subscribed.insert(uri.clone());
    }
    while let Some(news) = ear.next().await {
        let told = async {
            match news {
                News::Lists(changed) => {
                    if changed.tools && accepted.tools_list_changed == Some(true) {
                        sink.notify_tool_list_changed().await?;
                    }
                    if changed.prompts && accepted.prompts_list_changed == Some(true) {
                        sink.notify_prompt_list_changed().await?;
                    }
                    if changed.resources && accepted.resources_list_changed == Some(true) {
                        sink.notify_resource_list_changed().await?;
                    }
                }
                News::Resource(uri) => sink.notify_resource_updated(uri).await?,
            }
            Ok::<_, rmcp::service::SubscriptionSendError>(())
        };
        if told.await.is_err() {
            return;
        }
    }
}

/// Has a resource's server tell of its changes, where it does.
async fn subscribe(gateway: &Gateway, visitor: &Visitor, uri: &str) {
    let passing = Passing {
        credential: visitor.credential.clone(),
        client: visitor.client.clone(),
        asked: Asked::Subscription(uri.to_owned()),
        names: gateway.names,
        rest: BTreeMap::<String, Box<RawValue>>::new(),
        peer: Arc::new(Nobody),
        progress: None,
        request_id: Uuid::now_v7(),
    };
    if let Err(error) = gateway.omni.pass(passing).await {
        tracing::debug!(%error, "a server does not tell of a resource's changes");
    }
}
