//! The gateway that is measured: key, policy, limits and the ledger (`audit.ack: local`, SQLite) are on.

use omni_benches::policy_of;
use omni_core::{
    Config, ExposeSecret as _, Omni,
    audit::{AuditBackend, sql::SqlAudit},
    config::{Ack, HttpConfig, LoadOptions},
    identity::{ApiKey, Authenticator, Keys, Scope, keys::memory::MemoryKeys},
    llm::scripted::{Scripted, text_turn},
    mcp::http::HttpServer,
};
use serde_json::json;

/// Whoever calls.
const CALLER: &str = "user0@company.com";

/// Serves what an upstream offers until the process is killed; prints where, and a key.
pub(crate) fn serve(upstream: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(MemoryKeys::new());
        let issued = ApiKey::issue(CALLER, [Scope::Tools].into_iter().collect());
        keys.store().insert(&issued.key).await.unwrap();
        let store = SqlAudit::open(&dir.path().join("omni.db").display().to_string()).await.unwrap();
        let omni = Omni::builder()
            .llm(Scripted::from_fn(|_| Ok(text_turn("Nobody asks."))))
            .server("lab", HttpServer::new(upstream).unwrap())
            .policy(policy_of(&config(dir.path(), upstream)))
            .authenticator(Authenticator::new().with_keys(keys))
            .audit_backend(AuditBackend::new(store))
            .ledger_dir(dir.path())
            .ledger_ack(Ack::Local)
            .build()
            .await
            .unwrap();
        let mut config = HttpConfig::default();
        config.port = 0;
        let server = omni_http::Server::bind(omni, config).await.unwrap();
        println!("{} {}", server.address().unwrap(), issued.secret.expose_secret());
        server.run(std::future::pending()).await.unwrap();
    });
}

/// A person with a limit that they do not reach, and a server with rules for their role.
fn config(dir: &std::path::Path, upstream: &str) -> Config {
    let rules = json!({ "dba": { "allow_only": ["echo", "get_*"], "deny": ["drop_*"] } });
    let mcps = json!({ "mcps": [{ "name": "lab", "url": upstream, "role_restrictions": rules }] });
    std::fs::write(dir.join("mcps.yaml"), mcps.to_string()).unwrap();
    let users = json!({ "users": [{ "email": CALLER, "role": "dba",
        "rate_limit": { "requests_per_hour": 100_000_000_u64, "concurrent_requests": 100_000 } }] });
    std::fs::write(dir.join("users.yaml"), users.to_string()).unwrap();
    Config::load(LoadOptions::default().with_dir(dir)).unwrap()
}
