//! One pipeline before one misbehaving server, and what is seen of it.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Error, Omni, Principal,
    ask::DirectCall,
    catalog::BreakerState,
    ledger::Outcome,
    llm::scripted::Scripted,
    mcp::{BreakerOptions, Connector, ServerOptions},
    omni::CallReply,
};
use serde_json::{json, value::to_raw_value};
use uuid::Uuid;

use super::table;
use crate::{recorder::Recorder, rig::until};

/// How long anything may take.
pub const LONG: Duration = Duration::from_secs(60);

/// A pipeline whose one server is called `s`.
#[derive(Debug)]
pub struct Stand {
    name: &'static str,
    /// The pipeline.
    pub omni: Omni,
    recorder: Recorder,
    asker: Vec<String>,
    asked: Vec<Uuid>,
}

/// Options with which a breaker opens after three failures, for a short while.
#[must_use]
pub fn options() -> ServerOptions {
    let mut breaker = BreakerOptions::default();
    breaker.failures = 3;
    breaker.pause = Duration::from_millis(1_500);
    let mut options = ServerOptions::default();
    options.breaker = breaker;
    options
}

impl Stand {
    /// The stand of a case, whose server was found to be well where it is `well`.
    ///
    /// # Panics
    /// When it cannot be built, or the server is not well; so for all of these.
    pub async fn new(name: &'static str, connector: Arc<dyn Connector>, options: ServerOptions) -> Self {
        let recorder = Recorder::default();
        let builder = Omni::builder().llm(Scripted::new()).server_with("s", connector, options);
        let omni = builder.audit(recorder.clone()).build().await.unwrap();
        Self { name, omni, recorder, asker: Vec::new(), asked: Vec::new() }
    }

    /// Calls the tool `t`, and notes what is seen of it.
    pub async fn call(&mut self) -> String {
        self.call_within(LONG).await
    }

    /// The same within a time.
    pub async fn call_within(&mut self, within: Duration) -> String {
        let call = direct(within);
        self.asked.push(call.request_id);
        let seen = seen(self.omni.call_tool(call).await);
        self.asker.push(seen.clone());
        seen
    }

    /// Calls it so many times at once.
    pub async fn call_at_once(&mut self, times: usize) {
        let calls: Vec<DirectCall> = (0..times).map(|_| direct(LONG)).collect();
        self.asked.extend(calls.iter().map(|call| call.request_id));
        let all = futures::future::join_all(calls.into_iter().map(|call| self.omni.call_tool(call))).await;
        self.asker.extend(all.into_iter().map(seen));
    }

    /// Begins a call that goes on while other things happen; `seen` notes what comes of it.
    #[must_use]
    pub fn begin(&mut self, within: Duration) -> tokio::task::JoinHandle<String> {
        let (omni, call) = (self.omni.clone(), direct(within));
        self.asked.push(call.request_id);
        tokio::spawn(async move { seen(omni.call_tool(call).await) })
    }

    /// Notes what was seen of something else.
    pub fn saw(&mut self, what: &str) {
        self.asker.push(what.into());
    }

    /// The names of the tools that the pool knows.
    #[must_use]
    pub fn tools(&self) -> Vec<String> {
        self.omni.known_catalog().tools().map(|tool| tool.name.to_string()).collect()
    }

    /// How the server's breaker is.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.omni.known_catalog().servers[0].breaker
    }

    /// Waits until the pool knows that the server is well.
    pub async fn until_well(&self) {
        until(|| {
            let catalog = self.omni.known_catalog();
            catalog.servers[0].health.is_healthy() && catalog.servers[0].breaker == BreakerState::Closed
        })
        .await;
    }

    /// Waits until these are the tools.
    pub async fn until_tools(&self, tools: &[&str]) {
        until(|| self.tools() == tools).await;
    }

    /// Ends it, and compares what was seen with what the table says.
    pub async fn end(self) {
        self.omni.shutdown().await;
        let row = table::of(self.name);
        let mut ledger = Vec::new();
        for id in self.asked {
            let closings: Vec<&str> = self.recorder.closings(id).into_iter().map(Outcome::as_str).collect();
            assert_eq!(closings.len(), 1, "{}: every call ends in one record", self.name);
            ledger.extend(closings.into_iter().map(str::to_owned));
        }
        assert_eq!((self.asker, ledger), (row.asker, row.ledger), "{}", self.name);
    }
}

fn direct(within: Duration) -> DirectCall {
    let call = DirectCall::new(Principal::email("ada@company.com"), "s", "t", to_raw_value(&json!({})).unwrap());
    call.with_timeout(Some(within))
}

/// What somebody sees: an answer, a tool's own failure, or the kind of an error.
fn seen(reply: Result<CallReply, Error>) -> String {
    match reply {
        Ok(reply) if reply.output.is_error => "failure of the tool".into(),
        Ok(_) => "answer".into(),
        Err(error) => error.kind().as_str().into(),
    }
}
