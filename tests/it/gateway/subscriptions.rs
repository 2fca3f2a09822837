//! What clients want to be told goes on when a server was away, and ends with the last who wants it.
#![expect(deprecated, reason = "older clients subscribe to resources and set the level of messages")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use omni_core::{OmniBuilder, identity::Scope, mcp::http::HttpServer};
use omni_tests::{
    agent::{Agent, Speaks},
    door::Door,
    fixture::FixtureServer,
    rig::until,
};
use rmcp::model::{
    LoggingLevel, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use serde_json::json;
use tokio::task::JoinHandle;

use super::http::ADA;

const WATCHED: &str = "test://watched-resource";
const BOTH: [Speaks; 2] = [Speaks::Old, Speaks::New];

fn fronting(builder: OmniBuilder, fixture: &FixtureServer) -> OmniBuilder {
    builder.server("fix", HttpServer::new(&fixture.url).unwrap())
}

async fn connect(door: &Door, speaks: Speaks) -> Agent {
    let key = door.key(ADA, &[Scope::Tools]).await;
    Agent::connect(&format!("http://{}/mcp", door.address()), &key, speaks).await
}

/// A client that wants to be told of the resource.
struct Reader {
    agent: Agent,
    told: Arc<AtomicUsize>,
    listening: Option<JoinHandle<()>>,
}

impl Reader {
    async fn of(agent: Agent, speaks: Speaks) -> Self {
        let told = Arc::<AtomicUsize>::default();
        if speaks == Speaks::Old {
            agent.peer().subscribe(SubscribeRequestParams::new(WATCHED)).await.unwrap();
            return Self { agent, told, listening: None };
        }
        let mut filter = SubscriptionFilter::new();
        filter.resource_subscriptions = Some(vec![WATCHED.into()]);
        let mut changes = agent.peer().listen(filter).await.unwrap();
        let count = told.clone();
        let listening = tokio::spawn(async move {
            while let Ok(Some(_)) = changes.next().await {
                count.fetch_add(1, SeqCst);
            }
        });
        Self { agent, told, listening: Some(listening) }
    }

    fn told(&self) -> usize {
        self.told.load(SeqCst) + self.agent.heard.updated.lock().unwrap().len()
    }

    /// Changes the resource until this one was told so often.
    async fn is_told(&self, times: usize) {
        let until = self.told() + times;
        for _ in 0..300 {
            let _ = self.agent.call("fix__test_touch_resource", json!({})).await;
            if self.told() >= until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it is not told within 30 s");
    }

    async fn wants_no_more(&mut self) {
        match self.listening.take() {
            Some(listening) => listening.abort(),
            None => self.agent.peer().unsubscribe(UnsubscribeRequestParams::new(WATCHED)).await.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_of_a_resource_after_its_server_was_restarted_and_until_it_wants_no_more() {
    for (client, server) in BOTH.into_iter().flat_map(|client| BOTH.map(|server| (client, server))) {
        let mut fixture = FixtureServer::speaking(server).await;
        let door = Door::with(|_| {}, |builder| fronting(builder, &fixture)).await;
        let mut reader = Reader::of(connect(&door, client).await, client).await;
        reader.is_told(1).await;
        fixture.restart().await;
        // Once because it may have changed meanwhile, and then because it did.
        reader.is_told(3).await;
        assert_eq!(fixture.subscribed(), [WATCHED], "{client:?} {server:?}");
        let mut other = Reader::of(connect(&door, client).await, client).await;
        other.is_told(1).await;
        reader.wants_no_more().await;
        other.is_told(2).await;
        assert_eq!(fixture.subscribed(), [WATCHED], "somebody still wants to know: {client:?} {server:?}");
        let told = reader.told();
        other.is_told(2).await;
        assert_eq!(reader.told(), told, "{client:?} {server:?}");
        other.wants_no_more().await;
        until(|| fixture.subscribed().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_logs_as_clients_wanted_before() {
    let mut fixture = FixtureServer::speaking(Speaks::Old).await;
    let door = Door::with(|_| {}, |builder| fronting(builder, &fixture)).await;
    let agent = connect(&door, Speaks::Old).await;
    agent.peer().set_level(SetLevelRequestParams::new(LoggingLevel::Warning)).await.unwrap();
    until(|| fixture.level().as_deref() == Some("warning")).await;
    agent.peer().set_level(SetLevelRequestParams::new(LoggingLevel::Error)).await.unwrap();
    fixture.restart().await;
    for _ in 0..300 {
        let _ = agent.call("fix__test_simple_text", json!({})).await;
        if fixture.level().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(fixture.level().as_deref(), Some("warning"), "the least severe that anybody wanted");
}
