//! `cargo bench -p omni-benches --bench connect`: the first look at many servers takes as long as the slowest
//! of them. `twenty_at_once` minus `the_slowest_alone` is what the other nineteen cost.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use divan::Bencher;
use futures::stream::{BoxStream, pending};
use omni_core::mcp::{
    CallContext, Connector, McpError, McpEvent, McpReply, McpRequest, McpTransport, Pool, ServerOptions,
    pool::ServerEntry,
};
use serde_json::{json, value::to_raw_value};
use tokio::{runtime::Runtime, time::sleep};

fn main() {
    divan::main();
}

/// A server that takes its time to connect, and then answers at once.
#[derive(Debug, Clone, Copy)]
struct Slow(Duration);

#[async_trait]
impl Connector for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        sleep(self.0).await;
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl McpTransport for Slow {
    async fn request(&self, _: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        let tools: Vec<_> = (0..10).map(|tool| json!({ "name": format!("t{tool}"), "inputSchema": {} })).collect();
        Ok(McpReply::Complete(to_raw_value(&json!({ "tools": tools })).unwrap()))
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(pending())
    }

    async fn close(&self) {}
}

fn pool(delays: impl Iterator<Item = u64>) -> Pool {
    let entry = |ms: u64| {
        let connector = Arc::new(Slow(Duration::from_millis(ms)));
        (format!("s{ms}"), ServerEntry { connector, options: ServerOptions::default() })
    };
    Pool::new(delays.map(entry).collect::<BTreeMap<_, _>>())
}

fn look(bencher: Bencher, delays: &[u64]) {
    let runtime = Runtime::new().unwrap();
    bencher.with_inputs(|| pool(delays.iter().copied())).bench_local_values(|pool| {
        let catalog = runtime.block_on(pool.discover());
        assert_eq!(catalog.tools().count(), 10 * delays.len());
        pool
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn the_slowest_alone(bencher: Bencher) {
    look(bencher, &[200]);
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn twenty_at_once(bencher: Bencher) {
    let delays: Vec<u64> = (1..=20).map(|server| server * 10).collect();
    look(bencher, &delays);
}
