//! Builds an [`Omni`] by hand: what an embedding program uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    audit::{AuditBackend, AuditSink, memory::MemorySink},
    config::{Ack, Config, StoreContent, ToolsConfig},
    confirm::{ApprovalRules, RunStore, memory::MemoryRuns},
    error::Error,
    identity::Authenticator,
    kept::KeptStore,
    ledger::{Ledger, LedgerOptions, SealKey, SealKeys},
    limit::{RateLimiter, fail_open::FailOpen, memory::MemoryLimiter},
    llm::{LlmProvider, offline::Offline},
    mcp::{Connector, Pool, ServerOptions, pool::ServerEntry},
    omni::Omni,
    parts::{Acks, Live, Parts, ToolSets},
    pin::{PinStore, memory::MemoryPins, vet::Vetter},
    policy::{AskBounds, LivePolicy, PolicyStore, memory::MemoryPolicy},
    redact::Redactor,
    results::{ResultRules, ResultStore, memory::MemoryResults},
    thread::{ThreadRules, ThreadStore, memory::MemoryThreads},
    uptime::{UptimeStore, memory::MemoryUptime},
};

/// Most output tokens of a turn, where nobody says otherwise.
const MAX_OUTPUT: u32 = 4_096;

/// Collects what an [`Omni`] is made of. Everything has a default: the offline provider, no
/// servers, everybody allowed (the embedding program vouches for its principals), limits, conversations
/// and ledger in memory.
#[derive(Debug)]
#[must_use]
pub struct OmniBuilder {
    authenticator: Authenticator,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    tables: Option<crate::people::Tables>,
    policy: Arc<dyn PolicyStore>,
    /// Where the policy of now is, also for servers that outlive this one.
    live_policy: LivePolicy,
    limiter: Arc<dyn RateLimiter>,
    limits_fail_open: bool,
    threads: Arc<dyn ThreadStore>,
    thread_rules: ThreadRules,
    runs: Arc<dyn RunStore>,
    approvals: ApprovalRules,
    results: Arc<dyn ResultStore>,
    kept: Option<Arc<dyn KeptStore>>,
    uptime: Arc<dyn UptimeStore>,
    result_rules: ResultRules,
    content: StoreContent,
    llm: Result<Arc<dyn LlmProvider>, Error>,
    servers: BTreeMap<String, ServerEntry>,
    audit: AuditBackend,
    retention_days: Option<u32>,
    ledger: LedgerOptions,
    ledger_dir: Option<PathBuf>,
    keys: Option<SealKeys>,
    acks: Acks,
    redactor: Redactor,
    bounds: AskBounds,
    max_output: u32,
    extra: Map<String, Value>,
    config: Option<Arc<Config>>,
    pins: Arc<dyn PinStore>,
    tools: ToolsConfig,
}

impl OmniBuilder {
    pub(crate) fn new() -> Self {
        // Whom an issuer or a proxy vouches for is nobody until a policy knows them.
        let policy: Arc<dyn PolicyStore> = Arc::new(MemoryPolicy::of_this_machine());
        Self {
            authenticator: Authenticator::new(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            tables: None,
            live_policy: LivePolicy::new(policy.clone()),
            policy,
            limiter: Arc::new(MemoryLimiter::new()),
            limits_fail_open: false,
            threads: Arc::new(MemoryThreads::new()),
            thread_rules: ThreadRules::default(),
            runs: Arc::new(MemoryRuns::new()),
            approvals: ApprovalRules::default(),
            results: Arc::new(MemoryResults::new()),
            kept: None,
            uptime: Arc::new(MemoryUptime::new()),
            result_rules: ResultRules::default(),
            content: StoreContent::default(),
            llm: Ok(Arc::new(Offline::new())),
            servers: BTreeMap::new(),
            audit: AuditBackend::new(MemorySink::default()),
            retention_days: None,
            ledger: LedgerOptions::new(SealKey::generate()),
            ledger_dir: None,
            keys: None,
            acks: Acks::default(),
            redactor: Redactor::new(),
            bounds: AskBounds::default(),
            max_output: MAX_OUTPUT,
            extra: Map::new(),
            config: None,
            pins: Arc::new(MemoryPins::new()),
            tools: ToolsConfig::default(),
        }
    }

    /// The language model.
    pub fn llm(mut self, llm: impl LlmProvider + 'static) -> Self {
        self.llm = Ok(Arc::new(llm));
        self
    }

    /// No language model, and why: asks fail with `error`, everything else works.
    pub fn without_llm(mut self, error: Error) -> Self {
        self.llm = Err(error);
        self
    }

    /// Adds a server, or replaces it.
    pub fn server(self, name: impl Into<String>, connector: impl Connector + 'static) -> Self {
        self.server_with(name, connector, ServerOptions::default())
    }

    /// Adds a server with options of its own, or replaces it.
    pub fn server_with(
        mut self,
        name: impl Into<String>,
        connector: impl Connector + 'static,
        options: ServerOptions,
    ) -> Self {
        self.servers.insert(name.into(), ServerEntry { connector: Arc::new(connector), options });
        self
    }

    /// Who may do what.
    pub fn policy(mut self, policy: impl PolicyStore + 'static) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Where the policy of now is: of a server that is given this, whatever is reloaded later holds too.
    #[must_use]
    pub fn live_policy(&self) -> LivePolicy {
        self.live_policy.clone()
    }

    /// Goes on with a place that others know already.
    pub(crate) fn with_live_policy(mut self, live: LivePolicy) -> Self {
        self.live_policy = live;
        self
    }

    /// How much.
    pub fn limiter(mut self, limiter: impl RateLimiter + 'static) -> Self {
        self.limiter = Arc::new(limiter);
        self
    }

    /// Whether asks go on when the limiter cannot be asked.
    pub(crate) fn limits_fail_open(mut self, fail_open: bool) -> Self {
        self.limits_fail_open = fail_open;
        self
    }

    /// Where conversations are kept; unless set, in memory. [`OneShot`](crate::thread::OneShot) keeps none.
    pub fn threads(mut self, threads: impl ThreadStore + 'static) -> Self {
        self.threads = Arc::new(threads);
        self
    }

    /// What questions bring along of what was said before, and how long it is kept.
    pub fn thread_rules(mut self, rules: ThreadRules) -> Self {
        self.thread_rules = rules;
        self
    }

    /// Where asks are kept that wait for a human; unless set, in memory.
    pub fn runs(mut self, runs: impl RunStore + 'static) -> Self {
        self.runs = Arc::new(runs);
        self
    }

    /// Who may decide on calls that need a human, and how long they have.
    pub fn approvals(mut self, rules: ApprovalRules) -> Self {
        self.approvals = rules;
        self
    }

    /// Where it is kept what tools returned; unless set, in memory.
    pub fn results(mut self, results: impl ResultStore + 'static) -> Self {
        self.results = Arc::new(results);
        self
    }

    /// Where frontends keep what is their own; unless set, nowhere.
    pub fn kept(mut self, kept: impl KeptStore + 'static) -> Self {
        self.kept = Some(Arc::new(kept));
        self
    }

    /// Where it is kept how servers did; unless set, in memory.
    pub fn uptime(mut self, uptime: impl UptimeStore + 'static) -> Self {
        self.uptime = Arc::new(uptime);
        self
    }

    /// What is kept of results, and how long.
    pub fn result_rules(mut self, rules: ResultRules) -> Self {
        self.result_rules = rules;
        self
    }

    /// Where sealed records go, where nobody reads them through this `Omni`.
    pub fn audit(self, sink: impl AuditSink + 'static) -> Self {
        self.audit_backend(AuditBackend::write_only(sink))
    }

    /// Where sealed records go, and where they are read.
    pub fn audit_backend(mut self, backend: AuditBackend) -> Self {
        self.audit = backend;
        self
    }

    /// How many days records are kept: a daily job removes what is older, and no row that was there before
    /// omni. `None`, the default, keeps them all. Needs a backend that can be read.
    pub fn retention_days(mut self, days: Option<u32>) -> Self {
        self.retention_days = days;
        self
    }

    /// Where the ledger's write-ahead file lives, and its sealing key unless that is given. Without it
    /// records are in memory until the sink has them.
    pub fn ledger_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.ledger_dir = Some(dir.into());
        self
    }

    /// The keys of the ledger; unless set, what its directory keeps, or one that ends with this `Omni`.
    pub fn ledger_keys(mut self, keys: SealKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// When the record of an ask and of a direct call counts as written; unless set, asks wait for
    /// the disk (`Fsync`) and direct calls for the operating system (`Local`).
    pub fn ledger_ack(mut self, ack: Ack) -> Self {
        self.acks = Acks { ask: ack, direct: ack };
        self
    }

    /// Whether asks are refused when the ledger cannot take them; they are unless set.
    pub fn ledger_required(mut self, required: bool) -> Self {
        self.ledger.required = required;
        self
    }

    /// How many records may wait for the ledger's store before asks are refused, or records dropped.
    pub fn ledger_backlog(mut self, records: usize) -> Self {
        self.ledger.max_backlog = records;
        self
    }

    /// How much of questions, answers and arguments the ledger keeps; all unless set. With none of it, no
    /// results are kept either.
    pub fn ledger_content(mut self, content: StoreContent) -> Self {
        (self.ledger.content, self.content) = (content, content);
        self
    }

    /// How credentials become principals.
    pub fn authenticator(mut self, authenticator: Authenticator) -> Self {
        self.authenticator = authenticator;
        self
    }

    /// The people whom a database knows, for the operations of administrators.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub fn people(mut self, tables: crate::people::Tables) -> Self {
        self.tables = Some(tables);
        self
    }

    /// The people whom a database knows.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn tables(&self) -> Option<&crate::people::Tables> {
        self.tables.as_ref()
    }

    /// Bounds of every ask.
    pub fn bounds(mut self, bounds: AskBounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// What is kept out of ledger, logs and events.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Where it is kept what tools were, so that no server changes them unnoticed; for as long as the
    /// process lives unless set.
    pub fn pins(mut self, pins: impl PinStore + 'static) -> Self {
        self.pins = Arc::new(pins);
        self
    }

    /// What holds for tools, whatever server they are of.
    pub fn tools(mut self, tools: ToolsConfig) -> Self {
        self.tools = tools;
        self
    }

    /// Most output tokens of a turn.
    pub fn max_output(mut self, tokens: u32) -> Self {
        self.max_output = tokens;
        self
    }

    /// Parameters for every request to the model, as they are.
    pub fn llm_extra(mut self, extra: Map<String, Value>) -> Self {
        self.extra = extra;
        self
    }

    /// The configuration that all of this comes from.
    pub(crate) fn config(mut self, config: Arc<Config>) -> Self {
        self.config = Some(config);
        self
    }

    /// Builds it. Connects to no server yet, save those without which it is not to start
    /// ([`OnStartFailure::FailClosed`](crate::mcp::OnStartFailure)). Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// When the ledger cannot be opened, the provider has no model, or such a server cannot be used
    /// ([`Error::Needed`]).
    pub async fn build(mut self) -> Result<Omni, Error> {
        self.check()?;
        let options = std::mem::replace(&mut self.ledger, LedgerOptions::new(SealKey::generate()));
        let mut options = options.with_redactor(self.redactor.clone()).with_ack(self.acks.ask);
        options.dir = self.ledger_dir.take();
        let keys = match (self.keys.take(), &options.dir) {
            (Some(keys), _) => keys,
            (None, Some(dir)) => SealKeys::load_or_create(dir, None).map_err(Error::of_opening)?,
            (None, None) => SealKeys::new(options.key.clone()),
        };
        options.key = keys.own().clone();
        let days = self.retention_days;
        let ledger = Ledger::open(options, self.audit.sink.clone()).await.map_err(Error::of_opening)?;
        let vetter = Arc::new(Vetter::new(self.pins.clone(), Some(ledger.clone())));
        let pool = Pool::vetted(std::mem::take(&mut self.servers), Some(vetter.clone()));
        self.live_policy.replace(self.policy.clone());
        let live = Arc::new(Live::new(self.live_policy.clone(), keys.clone()));
        // What is configured by files is also built for commands that need no server.
        let is_started = self.config.is_none();
        let omni = Omni::from_parts(self.parts(ledger, pool, vetter, live));
        if is_started && let Err(error) = omni.parts().require().await {
            omni.shutdown().await;
            return Err(error);
        }
        if let Some(days) = days {
            omni.keep_for(days, keys);
        }
        omni.keep_answers();
        omni.keep_swept(days);
        omni.keep_lapsing();
        Ok(omni)
    }

    /// The parts that follow `old`: its ledger and conversations go on, and so do what it knows of an
    /// issuer that is the same, the connections to the servers in `unchanged` and, with `keeps_limits`, what its limiter has counted.
    ///
    /// # Errors
    /// When the provider has no model, or there is no language model any more.
    pub(crate) fn succeed(
        mut self,
        old: &Parts,
        unchanged: &BTreeSet<String>,
        keeps_limits: bool,
    ) -> Result<Parts, Error> {
        self.check()?;
        if let (Ok(_), Err(error)) = (&old.llm, &self.llm) {
            return Err(error.clone());
        }
        let pool = old.pool.succeed(std::mem::take(&mut self.servers), unchanged);
        #[cfg(feature = "oidc")]
        self.authenticator.succeed(&old.authenticator);
        self.threads = old.threads.clone();
        self.runs = old.runs.clone();
        self.results = old.results.clone();
        self.kept = old.kept.clone();
        self.uptime = old.uptime.clone();
        self.audit.reader = old.reader.clone();
        if keeps_limits {
            self.limiter = old.counts.clone();
        }
        Ok(self.parts(old.ledger.clone(), pool, old.vetter.clone(), old.live.clone()))
    }

    fn check(&self) -> Result<(), Error> {
        if self.llm.as_ref().is_ok_and(|llm| llm.models().is_empty()) {
            return Err(Error::Invalid { message: "the LLM provider offers no model".into() });
        }
        Ok(())
    }

    fn parts(self, ledger: Ledger, pool: Pool, vetter: Arc<Vetter>, live: Arc<Live>) -> Parts {
        Parts {
            authenticator: self.authenticator,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            tables: self.tables,
            policy: self.policy,
            limiter: match self.limits_fail_open {
                true => Arc::new(FailOpen::new(self.limiter.clone())),
                false => self.limiter.clone(),
            },
            counts: self.limiter,
            threads: self.threads,
            thread_rules: self.thread_rules,
            runs: self.runs,
            approvals: self.approvals,
            results: self.results,
            result_rules: match self.content {
                StoreContent::None => ResultRules::none(),
                StoreContent::Full | StoreContent::Preview => self.result_rules,
            },
            kept: self.kept,
            uptime: self.uptime,
            pool,
            vetter,
            llm: self.llm,
            ledger,
            reader: self.audit.reader,
            acks: self.acks,
            redactor: self.redactor,
            bounds: self.bounds,
            max_output: self.max_output,
            extra: self.extra,
            tool_sets: ToolSets::new(),
            live,
            config: self.config,
            tools: self.tools,
        }
    }
}
