//! A service built from files, with people, servers and a database of its own.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use omni_core::{
    Config, ExposeSecret as _, McpTransport, Omni, Registry, Source,
    analytics::history::History,
    audit::{self, sql::SqlAudit},
    config::LoadOptions,
    identity::{Credential, Scope},
    ledger::SealKeys,
    limit,
    llm::{self, LlmProvider, scripted::Scripted},
    mcp::{CallContext, Connector, McpError},
    net::{self, ClientOptions},
    omni::NewKey,
    policy,
    reload::Reloader,
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    door::Reply,
    server::{FakeServer, any, text},
};

/// `mcps.yaml`: servers at addresses that are nobody's business.
pub const MCPS: &str = "\
mcps:
  - name: lab
    transport: fake
    url: http://omni:s3cret@10.0.0.7:8300/mcp?key=s3cret
    display_name: Laboratory
    description: Where things are tried
    tags: [trial]
    rate_limit: { requests_per_minute: 50 }
    tool_policy: { mode: allow_all_except, exclude: [explode] }
    authentication: { type: bearer, api_key: s3cret }
  - { name: hidden, transport: fake, url: 'http://10.0.0.8:8300/mcp' }
  - { name: away, transport: fake, url: 'http://10.0.0.9:8300/mcp' }
  - { name: prog, transport: fake, command: /opt/prog/run, args: [--token, s3cret, serve] }
  - { name: off, transport: fake, url: 'http://10.0.0.10:8300/mcp', enabled: false }
";

/// `users.yaml`: somebody of every kind.
pub const USERS: &str = "\
super_admins:
  - { email: boss@company.com, name: Boss }
users:
  - { email: chief@company.com, role: admin }
  - email: ada@company.com
    name: Ada
    role: dba
    teams: [data]
    slack_user_id: U1
    allowed_domains: [sql_help]
    allowed_mcps: { lab: { mode: custom, tools: [echo, fail] }, away: { mode: all } }
  - { email: eve@company.com, role: read_only, allowed_mcps: [] }
  - { email: tim@company.com, role: seldom, allowed_mcps: [lab] }
  - { email: audrey@company.com, role: auditor }
roles:
  seldom: { rate_limit: { requests_per_hour: 1 } }
  auditor: { permissions: { can_view_audit_logs: true } }
auto_provisioning: { enabled: true, default_role: read_only, require_approval: true }
";

/// What no one may be told but administrators.
pub const INSIDE: [&str; 4] = ["10.0.0.", "/opt/prog", "s3cret", "hidden"];

/// A service in a directory of files.
#[derive(Debug)]
pub struct Office {
    /// The pipeline.
    pub omni: Omni,
    /// The server `lab`.
    pub lab: FakeServer,
    dir: Arc<TempDir>,
    registry: Arc<Registry>,
    address: SocketAddr,
    client: Client,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

/// What a service is made of.
#[derive(Debug)]
pub struct Plan {
    /// `settings.yaml`, after `data_dir`.
    pub settings: String,
    /// `mcps.yaml`.
    pub mcps: String,
    /// The model behind `llm.provider: scripted`.
    pub model: Option<Scripted>,
    /// The server `lab`.
    pub lab: FakeServer,
    /// What was asked before it was opened.
    pub past: Option<History>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { settings: String::new(), mcps: MCPS.into(), model: None, lab: lab(), past: None }
    }
}

/// A server that is away, and says too much of it.
#[derive(Debug)]
struct Away;

#[async_trait::async_trait]
impl Connector for Away {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        Err(McpError::Connect { message: "http://10.0.0.9:8300 refused".into() })
    }
}

/// `echo`, `fail`, which says so, and `drop_table` and `explode`, which nobody ought to call.
fn lab() -> FakeServer {
    let failed = || json!({ "content": [{ "type": "text", "text": "no such host 10.0.0.11" }], "isError": true });
    FakeServer::echo()
        .tool("fail", any(), move |_| Box::pin(async move { Ok(failed()) }))
        .tool("drop_table", any(), |_| Box::pin(async { Ok(text("dropped")) }))
        .tool("explode", any(), |_| Box::pin(async { Ok(text("boom")) }))
}

fn registry(own: &FakeServer, model: Option<Scripted>) -> Registry {
    let mut registry = Registry::empty();
    if let Some(model) = model {
        registry.llm.register("scripted", move |_| {
            let model = model.clone();
            Box::pin(async move { Ok(Arc::new(model) as Arc<dyn LlmProvider>) })
        });
    }
    policy::yaml::register(&mut registry);
    limit::memory::register(&mut registry);
    audit::sql::register(&mut registry);
    llm::offline::register(&mut registry);
    let own = own.clone();
    registry.transports.register("fake", move |server| {
        let own = own.clone();
        Box::pin(async move {
            Ok(match server.name.as_str() {
                "away" => Arc::new(Away) as Arc<dyn Connector>,
                "lab" => Arc::new(own),
                _ => Arc::new(lab()),
            })
        })
    });
    registry
}

impl Office {
    /// The service of [`MCPS`] and [`USERS`], once every server was asked.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn open() -> Self {
        Self::with_settings("").await
    }

    /// The same with more in its `settings.yaml`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn with_settings(more: &str) -> Self {
        Self::of(Plan { settings: format!("llm: {{ provider: offline }}\n{more}"), ..Plan::default() }).await
    }

    /// A service of other files, or with a past.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn of(plan: Plan) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let settings = format!("data_dir: data\n{}", plan.settings);
        for (name, text) in [("settings.yaml", &*settings), ("mcps.yaml", &*plan.mcps), ("users.yaml", USERS)] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        if let Some(past) = plan.past {
            let config = Config::load(options(dir.path())).unwrap();
            let keys = config.audit.keys(SealKeys::load_or_create).unwrap();
            let store = SqlAudit::open(&config.audit.url).await.unwrap();
            past.fill(&store, keys.own()).await.unwrap();
        }
        let registry = Arc::new(registry(&plan.lab, plan.model));
        Self::serve(dir, registry, plan.lab).await
    }

    /// Another instance over the same files and the same database.
    pub async fn beside(&self) -> Self {
        Self::serve(self.dir.clone(), self.registry.clone(), self.lab.clone()).await
    }

    async fn serve(dir: Arc<TempDir>, registry: Arc<Registry>, lab: FakeServer) -> Self {
        let options = options(dir.path());
        let mut config = Config::load(options.clone()).unwrap();
        config.http.port = 0;
        let omni = Omni::from_config(&config, &registry).await.unwrap();
        omni.catalog().await;
        let server = omni_http::Server::bind(omni.clone(), config.http.clone()).await.unwrap();
        let server = server.with_reloader(Reloader::new(omni.clone(), registry.clone(), options));
        let (address, stop) = (server.address().unwrap(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        let serving = Some(tokio::spawn(async move { server.run(stopped).await.unwrap() }));
        let client = net::client(&ClientOptions::for_url(&format!("http://{address}").parse().unwrap())).unwrap();
        Self { omni, lab, dir, registry, address, client, stop, serving }
    }

    /// Replaces one of the files.
    ///
    /// # Panics
    /// When it cannot.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Where its database is.
    pub fn database(&self) -> String {
        self.dir.path().join("data/omni.db").display().to_string()
    }

    /// A new key of somebody, for nobody else, with all scopes but `act_as`.
    pub async fn key(&self, owner: &str) -> String {
        self.key_with(owner, &[Scope::Ask, Scope::Tools, Scope::Audit, Scope::Admin]).await
    }

    /// A new key of somebody. One that may act for others may for anybody.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn key_with(&self, owner: &str, scopes: &[Scope]) -> String {
        let operator = Credential::Local { os_user: "root".into(), act_as: None };
        let admin = self.omni.admin(operator, Source::Cli).await.unwrap();
        let new = NewKey::new(owner, scopes.iter().copied().collect());
        admin.create_key(new).await.unwrap().secret.expose_secret().to_owned()
    }

    /// A new key of somebody, as [`Office::key`], but of another tenant.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn key_elsewhere(&self, owner: &str) -> String {
        let key = self.key(owner).await;
        let prefix = &key["omni_".len()..][..8];
        let pool = sqlx::SqlitePool::connect(&self.database()).await.unwrap();
        let moved = sqlx::query("UPDATE api_keys SET tenant = 'other' WHERE key_prefix = ?").bind(prefix);
        assert_eq!(moved.execute(&pool).await.unwrap().rows_affected(), 1);
        key
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a path is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request with a key.
    pub fn request(&self, method: Method, key: &str, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(key)
    }

    /// A request without a key.
    pub fn stranger(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Asks for a path.
    pub async fn get(&self, key: &str, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, key, path)).await
    }

    /// Posts JSON.
    pub async fn post(&self, key: &str, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, key, path).json(body)).await
    }

    /// Deletes.
    pub async fn delete(&self, key: &str, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, key, path)).await
    }

    /// Calls a tool of a server.
    pub async fn call(&self, key: &str, server: &str, tool: &str) -> Reply {
        let arguments = if tool == "echo" { json!({ "message": "hi" }) } else { json!({}) };
        self.post(key, "/mcp/tools/call", &json!({ "server": server, "tool": tool, "arguments": arguments })).await
    }

    /// Waits until the database has every record.
    ///
    /// # Panics
    /// When it does not get them.
    pub async fn settle(&self) {
        self.omni.ledger().flush(Duration::from_secs(30)).await.unwrap();
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

fn options(dir: &Path) -> LoadOptions {
    LoadOptions::new(BTreeMap::new(), dir).with_dir(dir)
}
