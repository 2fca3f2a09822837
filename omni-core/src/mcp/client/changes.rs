//! Changes that a server tells of only whoever asks to be told, since 2026-07-28.

use std::{collections::BTreeSet, time::Duration};

use rmcp::{
    Peer, RoleClient,
    model::{ServerCapabilities, SubscriptionFilter},
    service::{ServiceError, Subscription},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::protocol;
use crate::mcp::{McpError, McpReply, McpRequest, ext::METHOD_NOT_FOUND, tap::Tap};

/// How long a server that ended the telling of changes is left alone at first, and at most.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
const LISTEN_AGAIN_AT_LAST: Duration = Duration::from_secs(300);

/// A telling that lasted so long was none in vain, whatever ended it: streams are cut off on the way too.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// Most resources that one connection is told of.
const MAX_RESOURCES: usize = 1_000;

/// Resources whose changes somebody wants to be told of.
pub(super) type Wanted = watch::Sender<BTreeSet<String>>;

/// Takes note of a subscription or of its end; `None` for any other request. Since 2026-07-28 that is part of what a
/// connection listens to, and this the answer; earlier it is a request like any other.
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
/// telling is asked again, less and less often unless it told for a while.
pub(super) async fn hear(peer: &Peer<RoleClient>, tap: &Tap, mut wanted: watch::Receiver<BTreeSet<String>>) {
    let Some(lists) = peer.peer_info().map(|info| told_of(&info.capabilities)) else { return };
    let (mut before, mut pause, mut is_gap) = (None, Pause::default(), false);
    loop {
        let filter = filter(&lists, &wanted.borrow_and_update());
        if filter == SubscriptionFilter::new() {
            end(before.take()).await;
            is_gap = false;
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        let opened = peer.listen(filter).await;
        // Only now: what changes until then is told on the one before.
        end(before.take()).await;
        let lasted = match opened.inspect_err(|error| tracing::debug!(%error, "a server tells of no changes")) {
            Ok(mut changes) => {
                if std::mem::take(&mut is_gap) {
                    tap.missed();
                }
                let began = Instant::now();
                if listen(&mut changes, &mut wanted).await {
                    before = Some(changes);
                    continue;
                }
                began.elapsed()
            }
            Err(error) if is_unknown(&error) => return,
            Err(_) => Duration::ZERO,
        };
        is_gap = true;
        tokio::select! {
            () = sleep(pause.after(lasted)) => {}
            Ok(()) = wanted.changed() => {}
        }
    }
}

/// Listens until the server ends it, or something else is wanted: whether that is so.
async fn listen(changes: &mut Subscription, wanted: &mut watch::Receiver<BTreeSet<String>>) -> bool {
    loop {
        tokio::select! {
            change = changes.next() => {
                if !matches!(change, Ok(Some(_))) {
                    return false;
                }
            }
            Ok(()) = wanted.changed() => return true,
        }
    }
}

async fn end(changes: Option<Subscription>) {
    if let Some(mut changes) = changes {
        let _ = changes.cancel().await;
    }
}

/// Whether the server does not tell at all.
fn is_unknown(error: &ServiceError) -> bool {
    matches!(error, ServiceError::McpError(error) if i64::from(error.code.0) == METHOD_NOT_FOUND)
}

/// How long a server that ended the telling is left alone.
#[derive(Debug)]
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(LISTEN_AGAIN)
    }
}

impl Pause {
    /// After it told for so long.
    fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= self.0.min(LONG_ENOUGH) {
            *self = Self::default();
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LISTEN_AGAIN_AT_LAST);
        pause
    }
}

/// What is listened to where these resources are wanted.
fn filter(lists: &SubscriptionFilter, wanted: &BTreeSet<String>) -> SubscriptionFilter {
    let mut filter = lists.clone();
    filter.resource_subscriptions = (!wanted.is_empty()).then(|| wanted.iter().cloned().collect());
    filter
}

/// Of which lists a server tells when they change.
fn told_of(capabilities: &ServerCapabilities) -> SubscriptionFilter {
    let told = |list_changed: Option<bool>| list_changed.filter(|told| *told);
    let mut lists = SubscriptionFilter::new();
    lists.tools_list_changed = told(capabilities.tools.as_ref().and_then(|tools| tools.list_changed));
    lists.prompts_list_changed = told(capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed));
    lists.resources_list_changed = told(capabilities.resources.as_ref().and_then(|resources| resources.list_changed));
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_tells_for_a_while_is_asked_again_soon_and_one_that_does_not_less_and_less() {
        let seconds = Duration::from_secs;
        let mut pause = Pause::default();
        let pauses = [0, 0, 0].map(|lasted| pause.after(seconds(lasted)));
        assert_eq!(pauses, [1, 2, 4].map(seconds));
        assert_eq!(pause.after(seconds(60)), LISTEN_AGAIN, "streams are cut off after a minute there");
        for _ in 0..20 {
            pause.after(seconds(0));
        }
        assert_eq!(pause.after(seconds(5)), LISTEN_AGAIN_AT_LAST);
        assert_eq!(pause.after(seconds(60)), LISTEN_AGAIN, "however long it was away before");
    }
}
