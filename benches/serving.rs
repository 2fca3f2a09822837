//! The service that is measured.

use std::{sync::Arc, time::Duration};

use omni_benches::{Instant, policy_of, raw};
use omni_core::{
    Config, ExposeSecret as _, McpTransport, Omni,
    audit::{AuditBackend, sql::SqlAudit},
    config::{Ack, HttpConfig, LoadOptions},
    identity::{ApiKey, Authenticator, Keys, Scope, keys::memory::MemoryKeys},
    llm::{
        Speaker,
        scripted::{Scripted, call_turn, text_turn},
    },
    mcp::{CallContext, Connector, McpError, McpEvent, McpReply, McpRequest},
};
use serde_json::json;

/// Whoever asks.
const ASKER: &str = "user0@company.com";

/// Serves until the process is killed; prints where, and a key.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(MemoryKeys::new());
        let issued = ApiKey::issue(ASKER, [Scope::Ask].into_iter().collect());
        keys.store().insert(&issued.key).await.unwrap();
        let omni = omni(dir.path(), keys).await;
        let mut config = HttpConfig::default();
        config.port = 0;
        config.max_concurrent = 20_000;
        let server = omni_http::Server::bind(omni, config).await.unwrap();
        println!("{} {}", server.address().unwrap(), issued.secret.expose_secret());
        server.run(std::future::pending()).await.unwrap();
    });
}

async fn omni(dir: &std::path::Path, keys: Keys) -> Omni {
    let llm = Scripted::from_fn(|request| {
        let asked = format!("{:?}", request.messages.last());
        let answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        Ok(match answered {
            true => text_turn("It said hi."),
            false if asked.contains("Just talk") => text_turn("Hi."),
            false if asked.contains("Wait") => call_turn(0, &[("never__wait", json!({}))]),
            false => call_turn(0, &[("lab__echo", json!({ "message": "hi" }))]),
        })
    });
    let store = SqlAudit::open(&dir.join("omni.db").display().to_string()).await.unwrap();
    Omni::builder()
        .llm(llm)
        .server("lab", Instant)
        .server("never", Never)
        .policy(policy_of(&config(dir)))
        .authenticator(Authenticator::new().with_keys(keys))
        .audit_backend(AuditBackend::new(store))
        .ledger_dir(dir)
        .ledger_ack(Ack::Local)
        .build()
        .await
        .unwrap()
}

/// A person with a limit that they do not reach, and servers with rules for their role.
fn config(dir: &std::path::Path) -> Config {
    let rules = json!({ "dba": { "allow_only": ["echo", "wait", "get_*"], "deny": ["drop_*"] } });
    let servers = ["lab", "never"].map(|name| json!({ "name": name, "url": "http://h", "role_restrictions": rules }));
    std::fs::write(dir.join("mcps.yaml"), json!({ "mcps": servers }).to_string()).unwrap();
    let users = json!({ "users": [{ "email": ASKER, "role": "dba",
        "rate_limit": { "requests_per_hour": 100_000_000_u64, "concurrent_requests": 100_000 } }] });
    std::fs::write(dir.join("users.yaml"), users.to_string()).unwrap();
    Config::load(LoadOptions::default().with_dir(dir)).unwrap()
}

/// A server whose one tool does not answer.
#[derive(Debug, Clone, Copy)]
struct Never;

#[async_trait::async_trait]
impl Connector for Never {
    fn kind(&self) -> &'static str {
        "never"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        Ok(Arc::new(*self))
    }
}

#[async_trait::async_trait]
impl McpTransport for Never {
    async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        if request.method != "tools/list" {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        }
        let tools = json!({ "tools": [{ "name": "wait", "inputSchema": { "type": "object" } }] });
        Ok(McpReply::Complete(raw(&tools)))
    }

    fn events(&self) -> futures::stream::BoxStream<'static, McpEvent> {
        Box::pin(futures::stream::pending())
    }

    async fn close(&self) {}
}
