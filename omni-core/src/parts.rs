//! Everything that an [`Omni`](crate::Omni) is made of, and what its steps share.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::FutureExt as _;
use moka::sync::Cache;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

use crate::{
    audit::AuditReader,
    catalog::{Catalog, NameRules, ToolSet, kept::Keeper},
    config::{Ack, Config, ToolsConfig},
    confirm::{ApprovalRules, RunStore},
    cost,
    error::Error,
    identity::Authenticator,
    kept::KeptStore,
    ledger::{Ledger, SealKeys},
    limit::{RateLimiter, Settle, Unsettled},
    llm::{LlmProvider, ModelInfo},
    mcp::Pool,
    metrics,
    omni::Handed,
    pin::vet::Vetter,
    policy::{AskBounds, Grant, LivePolicy, PolicyStore, RuleSet},
    redact::Redactor,
    results::{ResultRules, ResultStore},
    thread::{ThreadRules, ThreadStore},
    uptime::{UptimeStore, Watch},
};

/// The provider that is no model.
const OFFLINE: &str = "offline";

/// How many tool sets are kept: one per catalog version, rule set and naming rule in use.
const MAX_TOOL_SETS: u64 = 256;

/// How long a policy store or a limiter may take before its step fails closed.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A key of the tool set cache: catalog version, fingerprint, naming rules, from how many tools on a model
/// searches them, and whether it reads results that are kept.
type ToolSetKey = (u64, String, NameRules, usize, bool);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) authenticator: Authenticator,
    /// The people whom a database knows, where there is one.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) tables: Option<crate::people::Tables>,
    pub(crate) policy: Arc<dyn PolicyStore>,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    /// The same without what the operator wants when it is away: it goes on when that changes.
    pub(crate) counts: Arc<dyn RateLimiter>,
    pub(crate) threads: Arc<dyn ThreadStore>,
    /// What questions bring along of what was said before.
    pub(crate) thread_rules: ThreadRules,
    /// Asks that wait for a human.
    pub(crate) runs: Arc<dyn RunStore>,
    /// Who may decide on these, and how long they have.
    pub(crate) approvals: ApprovalRules,
    /// What tools returned, for whoever asked.
    pub(crate) results: Arc<dyn ResultStore>,
    /// What is kept of it.
    pub(crate) result_rules: ResultRules,
    /// What frontends keep of their own, where there is a place for it.
    pub(crate) kept: Option<Arc<dyn KeptStore>>,
    /// How servers did.
    pub(crate) uptime: Arc<dyn UptimeStore>,
    pub(crate) pool: Pool,
    /// What tools were, and what became of those that are others now.
    pub(crate) vetter: Arc<Vetter>,
    /// What holds for tools, whatever server they are of.
    pub(crate) tools: ToolsConfig,
    /// The language model, or why there is none.
    pub(crate) llm: Result<Arc<dyn LlmProvider>, Error>,
    pub(crate) ledger: Ledger,
    /// The ledger's store, where it can be read.
    pub(crate) reader: Option<Arc<dyn AuditReader>>,
    pub(crate) acks: Acks,
    pub(crate) redactor: Redactor,
    pub(crate) bounds: AskBounds,
    /// Most output tokens of a turn.
    pub(crate) max_output: u32,
    /// Parameters that the operator set for every request.
    pub(crate) extra: Map<String, Value>,
    pub(crate) tool_sets: ToolSets,
    pub(crate) live: Arc<Live>,
    /// What all of this was built from, where it was a configuration.
    pub(crate) config: Option<Arc<Config>>,
}

/// What counts for every ask, whatever configuration it began with.
#[derive(Debug)]
pub(crate) struct Live {
    /// The policy of the newest configuration.
    pub(crate) policy: LivePolicy,
    /// Nothing new begins.
    pub(crate) closing: AtomicBool,
    /// Servers are connected to before they are needed.
    pub(crate) is_started: AtomicBool,
    /// Reservations that could not be settled yet.
    pub(crate) unsettled: Unsettled,
    /// What was seen of the servers, on its way to where it outlives the process.
    pub(crate) keeper: Keeper,
    /// How they are, on its way to where that is kept.
    pub(crate) watch: Watch,
    /// What calls were counted under.
    pub(crate) names: metrics::Names,
    /// Seals what servers have clients keep.
    pub(crate) handed: Handed,
    /// What proves the ledger's records.
    pub(crate) proofs: SealKeys,
}

impl Parts {
    /// Whether there is a database of people, and of what they say.
    pub(crate) fn has_tables(&self) -> bool {
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        return self.tables.is_some();
        #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
        false
    }
}

impl Live {
    pub(crate) fn new(policy: LivePolicy, proofs: SealKeys) -> Self {
        Self {
            policy,
            closing: AtomicBool::new(false),
            is_started: AtomicBool::new(false),
            unsettled: Unsettled::new(),
            keeper: Keeper::default(),
            watch: Watch::default(),
            names: metrics::Names::default(),
            handed: Handed::new(proofs.own().clone()),
            proofs,
        }
    }

    pub(crate) fn policy(&self) -> Arc<dyn PolicyStore> {
        self.policy.now()
    }

    pub(crate) fn replace_policy(&self, policy: Arc<dyn PolicyStore>) {
        self.policy.replace(policy);
    }
}

/// When records count as written, by who waits for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acks {
    pub(crate) ask: Ack,
    pub(crate) direct: Ack,
}

impl Default for Acks {
    fn default() -> Self {
        Self { ask: Ack::Fsync, direct: Ack::Local }
    }
}

/// Tool sets by what they depend on; bounded.
#[derive(Debug)]
pub(crate) struct ToolSets(Cache<ToolSetKey, Arc<ToolSet>>);

impl ToolSets {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_TOOL_SETS))
    }

    /// The tools of `catalog` that `grant` lists, under `names`.
    pub(crate) fn of(&self, catalog: &Catalog, grant: &Grant, names: NameRules) -> Arc<ToolSet> {
        self.of_rules(catalog, &grant.rules, names)
    }

    /// The same by rules alone.
    pub(crate) fn of_rules(&self, catalog: &Catalog, rules: &RuleSet, names: NameRules) -> Arc<ToolSet> {
        self.for_model(catalog, rules, names, (usize::MAX, false))
    }

    /// The same for a model that searches where there are more tools than `threshold`, and perhaps reads results
    /// that are kept.
    pub(crate) fn for_model(
        &self,
        catalog: &Catalog,
        rules: &RuleSet,
        names: NameRules,
        (threshold, reads_results): (usize, bool),
    ) -> Arc<ToolSet> {
        let key = (catalog.version, rules.fingerprint().to_owned(), names, threshold, reads_results);
        let build = || ToolSet::build(catalog, rules, names).with_menu_above(threshold).with_results(reads_results);
        self.0.get_with(key, || Arc::new(build()))
    }
}

impl Parts {
    /// Gives back what a reservation may have taken whose answer never came; who asked is told of that
    /// already.
    pub(crate) async fn give_back(&self, settle: &Settle) {
        let given_back = timeout(STEP_TIMEOUT, self.limiter.settle(settle)).await;
        tracing::debug!(?given_back, "a reservation without an answer was given back");
    }

    /// Gives leases back and corrects budgets. A limiter that is away is asked again, in the background
    /// and at most until `until`; then leases have lapsed, and budgets stay as they were reserved. One
    /// that panics takes nobody's record with it.
    pub(crate) async fn settle(&self, settle: &Settle, until: Instant) {
        let settling = AssertUnwindSafe(self.limiter.settle(settle)).catch_unwind();
        match timeout(STEP_TIMEOUT, settling).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "a reservation is not settled yet");
                self.live.unsettled.keep(self.limiter.clone(), settle.clone(), until);
            }
            Ok(Err(_)) => tracing::error!("the limiter panicked; a reservation lapses by itself"),
            Err(_) => {
                tracing::warn!("a reservation was not settled in time, and is not settled yet");
                self.live.unsettled.keep(self.limiter.clone(), settle.clone(), until);
            }
        }
    }

    /// Connects to the servers that are to be connected to at a start.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        self.pool.warm();
        self.require().await
    }

    /// Connects to the servers without which nothing is to start.
    pub(crate) async fn require(&self) -> Result<(), Error> {
        self.pool.require().await.map_err(|(server, source)| Error::Needed { server, source })
    }

    /// The language model.
    pub(crate) fn llm(&self) -> Result<&Arc<dyn LlmProvider>, Error> {
        self.llm.as_ref().map_err(Clone::clone)
    }

    /// The model to use: the one asked for, if the role may use it; else the provider's default.
    pub(crate) fn model(&self, requested: Option<&str>, grant: &Grant) -> Result<ModelInfo, Error> {
        let models = self.llm()?.models();
        let default = &models[0];
        let allowed: Option<Vec<String>> =
            grant.models.as_ref().map(|names| names.iter().map(|name| resolved(models, name).to_owned()).collect());
        let id = match (requested, &allowed) {
            (Some(name), _) => resolved(models, name).to_owned(),
            (None, Some(allowed)) if !allowed.contains(&default.id) => allowed.first().cloned().unwrap_or_default(),
            (None, _) => default.id.clone(),
        };
        if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(&id)) {
            let message =
                format!("the role {} may not use the model {id}; it may use: {}", grant.role.name, allowed.join(", "));
            return Err(Error::Denied { message });
        }
        let known = models.iter().find(|model| model.id == id);
        Ok(known.cloned().unwrap_or_else(|| unlisted(models, id)))
    }

    /// The name that a model is counted under: a request may name any model, and no such name is one.
    pub(crate) fn known_model(&self, model: &ModelInfo, grant: &Grant) -> Arc<str> {
        let listed = self.llm.as_ref().map_or(&[][..], |llm| llm.models());
        let summing = self.thread_rules.summary.iter().filter_map(|rules| rules.model.as_ref());
        let is_configured = grant.models.iter().flatten().chain(summing).any(|name| resolved(listed, name) == model.id);
        if is_configured || listed.iter().any(|known| known.id == model.id) {
            return model.id.as_str().into();
        }
        let kin = listed.iter().find(|known| cost::family(&known.id) == cost::family(&model.id));
        kin.map_or(metrics::UNKNOWN, |known| &known.id).into()
    }
}

/// The model that a name or an alias stands for. A provider's own names come first, also where the policy has put what
/// an alias usually stands for in the place of such a name.
fn resolved<'a>(models: &'a [ModelInfo], name: &'a str) -> &'a str {
    let usual = cost::alias(name).unwrap_or(name);
    let listed = |is: &dyn Fn(&str) -> bool| models.iter().map(|model| &*model.id).find(|id| is(id));
    let own = listed(&|id| id == name).or_else(|| listed(&|id| id == usual));
    own.or_else(|| listed(&|id| cost::alias(id) == Some(usual))).unwrap_or(usual)
}

/// A model that the provider does not list: what is known of its family, and of a vendor's model in general.
fn unlisted(models: &[ModelInfo], id: String) -> ModelInfo {
    let default = &models[0];
    // Whatever name is asked of it, no model of that name answers.
    if default.provider == OFFLINE {
        return default.clone();
    }
    if let Some(kin) = models.iter().find(|model| cost::family(&model.id) == cost::family(&id)) {
        return ModelInfo { id, ..kin.clone() };
    }
    if cost::is_vendor(default.provider) {
        return cost::model_info(default.provider, &id);
    }
    ModelInfo { id, price: None, ..default.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cost::{Price, Rates},
        llm::offline::Offline,
    };

    #[test]
    fn a_dated_model_is_known_by_its_family_and_another_by_its_vendor() {
        let listed = cost::models_of("anthropic");
        let dated = unlisted(&listed, "claude-haiku-4-5-20251001".into());
        let family = cost::model_info("anthropic", "claude-haiku-4-5");
        assert_eq!(dated, ModelInfo { id: "claude-haiku-4-5-20251001".into(), ..family });

        let other = unlisted(&listed, "claude-next-9".into());
        assert_eq!((other.tool_name_len, other.max_output, other.price), (128, None, None));
    }

    #[test]
    fn a_providers_own_name_comes_before_an_alias_of_the_same_letters() {
        let own = [ModelInfo::new("mine", "mine-1"), ModelInfo::new("mine", "opus")];
        assert_eq!((resolved(&own, "opus"), resolved(&own, cost::alias("opus").unwrap())), ("opus", "opus"));
        assert_eq!(resolved(&own, "haiku"), cost::alias("haiku").unwrap());
        assert_eq!(resolved(&own, "mine-1"), "mine-1");
    }

    #[test]
    fn a_model_of_a_server_of_ones_own_has_the_price_that_the_operator_set() {
        let mut listed = cost::model_info("openai", "llama3");
        listed.price = Some(Price::flat(Rates::new(1, 2, 3, 4, 5)));
        assert_eq!(unlisted(&[listed.clone()], "llama3-20260101".into()).price, listed.price);
        assert_eq!(unlisted(&[listed], "qwen".into()).price, None);
    }

    #[test]
    fn where_there_is_no_model_no_name_makes_one() {
        let offline = Offline::new();
        for name in ["nonsense", "claude-haiku-4-5", "offline-2"] {
            assert_eq!(unlisted(offline.models(), name.into()), offline.models()[0], "{name}");
        }
    }

    #[test]
    fn a_model_of_an_embedding_programs_provider_is_like_its_default() {
        let mut default = ModelInfo::new("mine", "a");
        default.tool_name_len = 32;
        assert_eq!(unlisted(&[default.clone()], "b".into()), ModelInfo { id: "b".into(), ..default });
    }
}
