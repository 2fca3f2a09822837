//! What a server says unasked, as whoever listens is told it.

use std::{collections::BTreeSet, sync::Arc};

use futures::stream::BoxStream;
use tokio::sync::{broadcast::error::RecvError, watch};

use crate::mcp::{
    McpEvent,
    tap::{Tap, Told},
};

/// What the tap hears from now on, until the connection is lost. In place of what was missed all is told that may have
/// changed.
pub(super) fn heard(tap: Arc<Tap>, wanted: watch::Receiver<BTreeSet<String>>) -> BoxStream<'static, McpEvent> {
    let mut events = tap.events();
    Box::pin(async_stream::stream! {
        loop {
            let told = tokio::select! {
                biased;
                told = events.recv() => told,
                () = tap.closed().cancelled() => break,
            };
            match told {
                Ok(Told::Event(event)) => yield event,
                Ok(Told::Missed) | Err(RecvError::Lagged(_)) => {
                    let missed = missed(&wanted.borrow());
                    for event in missed {
                        yield event;
                    }
                }
                Err(RecvError::Closed) => break,
            }
        }
        yield McpEvent::Closed { reason: tap.reason() };
    })
}

/// What stands for everything: a change of one list, after which all are asked for again, and one of each resource that
/// somebody wants to be told of.
fn missed(wanted: &BTreeSet<String>) -> Vec<McpEvent> {
    let updated = wanted.iter().map(|uri| McpEvent::ResourceUpdated { uri: uri.clone() });
    std::iter::once(McpEvent::ToolsChanged).chain(updated).collect()
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;
    use crate::{mcp::tap::Reach, redact::Redactor};

    /// What is told of what happens while nobody listens.
    async fn told(happens: impl FnOnce(&Tap)) -> Vec<String> {
        let tap = Tap::new(Redactor::new(), Reach::Nobody);
        let wanted = watch::Sender::new(BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        let events = heard(tap.clone(), wanted.subscribe());
        happens(&tap);
        tap.close("it ended");
        events.map(|event| format!("{event:?}")).collect().await
    }

    #[tokio::test]
    async fn what_was_missed_is_told_as_a_change_of_all_that_may_have_changed() {
        let everything = [
            "ToolsChanged",
            r#"ResourceUpdated { uri: "a" }"#,
            r#"ResourceUpdated { uri: "b" }"#,
            r#"Closed { reason: "it ended" }"#,
        ];
        assert_eq!(told(Tap::missed).await, everything);
    }

    #[tokio::test]
    async fn whoever_is_too_slow_for_a_burst_misses_no_change_of_a_resource() {
        let burst = told(|tap| (0..1_000).for_each(|_| tap.event(McpEvent::PromptsChanged))).await;
        assert_eq!(burst[..3], ["ToolsChanged", r#"ResourceUpdated { uri: "a" }"#, r#"ResourceUpdated { uri: "b" }"#]);
        assert!(burst[3..burst.len() - 1].iter().all(|event| event == "PromptsChanged"), "the newest are still there");
    }
}
