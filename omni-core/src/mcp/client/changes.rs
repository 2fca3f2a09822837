//! Changes that a server tells of only whoever asks to be told, since 2026-07-28.

use std::{collections::BTreeSet, future::pending, pin::pin, time::Duration};

use rmcp::{
    Peer, RoleClient,
    model::{ServerCapabilities, SubscriptionFilter},
    service::{ServiceError, Subscription},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{pause::Pause, protocol};
use crate::mcp::{McpError, McpReply, McpRequest, ext::METHOD_NOT_FOUND, tap::Tap};

/// How long a server may take to begin the telling. One that begins none while another goes on is asked again without.
const LISTEN_WITHIN: Duration = Duration::from_secs(10);

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
        let (opened, is_over) = open(peer.listen(filter), over(before.as_mut())).await;
        is_gap |= is_over;
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
        rest(pause.after(lasted), &mut wanted).await;
    }
}

/// Waits for the telling to begin, and listens to the one before meanwhile: what came of it, and whether the one before
/// was over by then.
async fn open<T>(
    opening: impl Future<Output = Result<T, ServiceError>>,
    before: impl Future<Output = ()>,
) -> (Result<T, ServiceError>, bool) {
    let mut opening = pin!(timeout(LISTEN_WITHIN, opening));
    let mut before = pin!(before);
    let mut is_over = false;
    loop {
        tokio::select! {
            biased;
            () = &mut before, if !is_over => is_over = true,
            opened = &mut opening => {
                let late = ServiceError::Timeout { timeout: LISTEN_WITHIN };
                return (opened.unwrap_or(Err(late)), is_over);
            }
        }
    }
}

/// Listens until the server ends it, or something else is wanted: whether that is so.
async fn listen(changes: &mut Subscription, wanted: &mut watch::Receiver<BTreeSet<String>>) -> bool {
    tokio::select! {
        () = over(Some(changes)) => false,
        Ok(()) = wanted.changed() => true,
    }
}

/// Listens until it ends, and for ever where there is none.
async fn over(changes: Option<&mut Subscription>) {
    let Some(changes) = changes else { return pending().await };
    while matches!(changes.next().await, Ok(Some(_))) {}
}

/// Leaves the server alone for so long, or until something else is wanted.
async fn rest(pause: Duration, wanted: &mut watch::Receiver<BTreeSet<String>>) {
    tokio::select! {
        () = sleep(pause) => {}
        Ok(()) = wanted.changed() => {}
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

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_is_wanted_while_a_server_is_left_alone_is_not_waited_for() {
        let (wanted, mut hears) = watch::channel(BTreeSet::new());
        let began = Instant::now();
        rest(SECOND * 5, &mut hears).await;
        assert!(began.elapsed() >= SECOND * 5, "nothing else is wanted");
        let began = Instant::now();
        let want = async {
            sleep(SECOND).await;
            wanted.send_replace(BTreeSet::from(["file:///plan".to_owned()]));
        };
        tokio::join!(rest(SECOND * 300, &mut hears), want);
        assert!(began.elapsed() < SECOND * 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_begin_to_tell_is_not_waited_for_without_an_end() {
        let began = Instant::now();
        let (opened, is_over) = open(pending::<Result<(), ServiceError>>(), pending()).await;
        assert!(matches!(opened, Err(ServiceError::Timeout { .. })), "{opened:?}");
        assert!(!is_over && began.elapsed() < LISTEN_WITHIN * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_telling_that_ends_before_the_next_one_has_begun_is_noticed() {
        let begins = || async {
            sleep(SECOND).await;
            Ok::<_, ServiceError>(())
        };
        let (opened, is_over) = open(begins(), sleep(SECOND / 2)).await;
        assert!(opened.is_ok() && is_over);
        let (opened, is_over) = open(begins(), pending()).await;
        assert!(opened.is_ok() && !is_over);
    }
}
