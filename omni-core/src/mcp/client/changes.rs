//! Changes that a server tells of only whoever asks to be told, since 2026-07-28.

use std::{collections::BTreeSet, time::Duration};

use rmcp::{
    Peer, RoleClient,
    model::{ServerCapabilities, SubscriptionFilter},
    service::{ServiceError, Subscription},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{sync::watch, time::sleep};

use super::protocol;
use crate::mcp::{McpError, McpEvent, McpReply, McpRequest, ext::METHOD_NOT_FOUND, tap::Tap};

/// How long a server that ended the telling of changes is left alone at first, and at most.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
const LISTEN_AGAIN_AT_LAST: Duration = Duration::from_secs(300);

/// Most resources that one connection is told of.
const MAX_RESOURCES: usize = 1_000;

/// Resources whose changes somebody wants to be told of.
pub(super) type Wanted = watch::Sender<BTreeSet<String>>;

/// Why the telling came to an end.
enum Ended {
    /// Something else is wanted.
    Changed,
    /// The server ended it.
    ByServer,
    /// The server does not tell at all.
    Unknown,
}

/// Since 2026-07-28 a subscription is part of what a connection listens to. Earlier it is a request like
/// any other: `None`.
pub(super) fn subscribed(request: &McpRequest, wanted: &Wanted) -> Option<Result<McpReply, McpError>> {
    #[derive(Deserialize)]
    struct Params {
        uri: String,
    }
    let adds = match &*request.method {
        "resources/subscribe" => true,
        "resources/unsubscribe" => false,
        _ => return None,
    };
    let params = request.params.as_deref().map_or("{}", RawValue::get);
    let uri = match serde_json::from_str::<Params>(params) {
        Ok(params) => params.uri,
        Err(error) => return Some(Err(protocol(&error))),
    };
    if adds && wanted.borrow().len() >= MAX_RESOURCES {
        let message = format!("more than {MAX_RESOURCES} resources are subscribed to already");
        return Some(Err(McpError::rpc(-32_603, message)));
    }
    wanted.send_if_modified(|wanted| if adds { wanted.insert(uri) } else { wanted.remove(&uri) });
    Some(Ok(McpReply::Complete(RawValue::from_string("{}".into()).unwrap_or_default())))
}

/// Listens to changes for as long as the connection lasts; the tap hears them. A server that ends the
/// telling is asked again, less and less often.
pub(super) async fn hear(peer: &Peer<RoleClient>, tap: &Tap, mut wanted: watch::Receiver<BTreeSet<String>>) {
    let Some((filter, events)) = peer.peer_info().map(|info| told_of(&info.capabilities)) else { return };
    let mut pause = LISTEN_AGAIN;
    loop {
        let resources = wanted.borrow_and_update().clone();
        if events.is_empty() && resources.is_empty() {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        let mut filter = filter.clone();
        filter.resource_subscriptions = Some(resources).filter(|uris| !uris.is_empty()).map(Vec::from_iter);
        match listen(peer, filter, &mut wanted, || {
            if pause > LISTEN_AGAIN {
                // What changed while nobody listened was not told.
                events.iter().for_each(|event| tap.event(event.clone()));
            }
        })
        .await
        {
            Ended::Changed => {}
            Ended::Unknown => return,
            Ended::ByServer => {
                sleep(pause).await;
                pause = (pause * 2).min(LISTEN_AGAIN_AT_LAST);
            }
        }
    }
}

async fn listen(
    peer: &Peer<RoleClient>,
    filter: SubscriptionFilter,
    wanted: &mut watch::Receiver<BTreeSet<String>>,
    begun: impl FnOnce(),
) -> Ended {
    let mut changes: Subscription = match peer.listen(filter).await {
        Ok(changes) => changes,
        Err(error) => {
            tracing::debug!(%error, "a server does not tell when something changes");
            let is_unknown =
                matches!(&error, ServiceError::McpError(error) if i64::from(error.code.0) == METHOD_NOT_FOUND);
            return if is_unknown { Ended::Unknown } else { Ended::ByServer };
        }
    };
    begun();
    loop {
        tokio::select! {
            change = changes.next() => {
                if !matches!(change, Ok(Some(_))) {
                    return Ended::ByServer;
                }
            }
            Ok(()) = wanted.changed() => {
                let _ = changes.cancel().await;
                return Ended::Changed;
            }
        }
    }
}

/// Which changes a server tells of, as a filter and as the events that these are.
fn told_of(capabilities: &ServerCapabilities) -> (SubscriptionFilter, Vec<McpEvent>) {
    let mut filter = SubscriptionFilter::new();
    filter.tools_list_changed = capabilities.tools.as_ref().and_then(|tools| tools.list_changed);
    filter.prompts_list_changed = capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed);
    filter.resources_list_changed = capabilities.resources.as_ref().and_then(|resources| resources.list_changed);
    let told = [
        (&mut filter.tools_list_changed, McpEvent::ToolsChanged),
        (&mut filter.prompts_list_changed, McpEvent::PromptsChanged),
        (&mut filter.resources_list_changed, McpEvent::ResourcesChanged),
    ];
    let mut events = Vec::new();
    for (told, event) in told {
        *told = told.filter(|told| *told);
        events.extend(told.map(|_| event));
    }
    (filter, events)
}
