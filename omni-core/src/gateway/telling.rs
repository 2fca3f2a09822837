//! Telling clients what has changed: lists, and resources that they asked after.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{Peer, SubscriptionContext},
};
use serde_json::value::RawValue;
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
        let passing = Passing {
            credential: visitor.credential.clone(),
            client: visitor.client.clone(),
            asked: Asked::Subscription(uri.to_owned(), self.hearing.clone()),
            names: gateway.names,
            rest: BTreeMap::<String, Box<RawValue>>::new(),
            peer: Arc::new(Nobody),
            progress: None,
            request_id: Uuid::now_v7(),
        };
        let subscription = gateway.omni.subscribe(passing).await?;
        let before = self.subscriptions().insert(uri.to_owned(), subscription);
        drop(before);
        Ok(())
    }

    pub(super) fn end(&self, uri: &str) {
        let ended = self.subscriptions().remove(uri);
        drop(ended);
    }

    pub(super) fn len(&self) -> usize {
        self.subscriptions().len()
    }

    /// Waits for a resource that this client wants to know of, and may by now; `None` where nobody is there any more.
    async fn next(&self, gateway: &Gateway, newest: &Newest) -> Option<String> {
        loop {
            let (uri, heard) = self.hearing.next().await;
            let visitor = newest.visitor()?;
            if heard == Heard::Lost && self.server_of(&uri).is_some() {
                // There may be another server now, which tells as well.
                if let Err(error) = self.begin(gateway, &visitor, &uri).await {
                    tracing::debug!(%error, "a server tells no more of a resource's changes");
                    self.end(&uri);
                    continue;
                }
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
        while let Some(uri) = subscribed.next(&gateway, &newest).await {
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
        while let Some(uri) = subscribed.next(&gateway, &newest).await {
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
