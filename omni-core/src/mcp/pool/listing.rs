//! What is known of one server's tools and health.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    catalog::{
        Catalog, Definition, Health, PromptDef, ResourceDef, ResourceTemplateDef, ServerCapabilities, ToolDef, Withheld,
    },
    clock,
    mcp::{Listed, McpError, list::may_want_headers},
    pin::vet::Vetted,
    scan::Finding,
};

/// Lists hold at least and at most so long, whatever a server says.
const MIN_FRESH: Duration = Duration::from_secs(10);
const MAX_FRESH: Duration = Duration::from_secs(24 * 3_600);
/// How long an administrator's word on a tool that is kept back goes unnoticed by whoever asks.
const JUDGED_FOR: Duration = Duration::from_secs(1);
/// How long a store is left alone that did not answer: whoever asks waits for it.
const STORE_REST: Duration = Duration::from_secs(10);

/// Since this revision a server answers a call with a task where it makes one of it.
const TASKS_BY_ANSWER: &str = "2026-07-28";

/// What a list was asked of: which connection, and after how many changes that it told of.
pub(super) type Source = (u64, u64);

#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) health: Health,
    pub(super) latency_ms: Option<u64>,
    /// When the last answer came, or did not.
    pub(super) checked_at: Option<DateTime<Utc>>,
    /// All that the server listed.
    listed: Vec<Arc<ToolDef>>,
    /// Those of them that may be used, and those that are kept back.
    pub(super) tools: Vec<Arc<ToolDef>>,
    /// Those that the server takes calls of as tasks only.
    task_only: BTreeSet<Arc<str>>,
    /// Those whose arguments may be HTTP headers too.
    with_headers: BTreeSet<Arc<str>>,
    pub(super) prompts: Vec<Arc<PromptDef>>,
    pub(super) resources: Vec<Arc<ResourceDef>>,
    pub(super) templates: Vec<Arc<ResourceTemplateDef>>,
    pub(super) capabilities: Arc<ServerCapabilities>,
    /// Until when the lists hold by the server's word.
    fresh_until: Option<Instant>,
    pub(super) withheld: Vec<Withheld>,
    pub(super) flagged: BTreeMap<Arc<str>, Vec<Finding>>,
    /// When they are to be judged again, where something is kept back.
    judge_at: Option<Instant>,
    /// Whether the pins could not be read or written: they are left alone until then.
    is_unverified: bool,
    /// Why the last question had no answer.
    pub(super) fault: Option<McpError>,
    /// Where the last answer came from.
    source: Option<Source>,
    pub(super) failures: u32,
    pub(super) last_seen: Option<DateTime<Utc>>,
    /// How often something was found out, failures included.
    pub(super) answers: u64,
    /// How often there was something else to offer than before.
    pub(super) version: u64,
    /// When to ask again although nothing changed.
    pub(super) refresh_at: Option<Instant>,
    /// Whether its connection was closed because nobody used it: what it said counts all the same.
    pub(super) is_asleep: bool,
    /// Whether the server tells its lists to callers only.
    pub(super) is_left_to_callers: bool,
}

impl Listing {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            latency_ms: None,
            checked_at: None,
            listed: Vec::new(),
            tools: Vec::new(),
            task_only: BTreeSet::new(),
            with_headers: BTreeSet::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            capabilities: Arc::default(),
            fresh_until: None,
            withheld: Vec::new(),
            flagged: BTreeMap::new(),
            judge_at: None,
            is_unverified: false,
            fault: None,
            source: None,
            failures: 0,
            last_seen: None,
            answers: 0,
            version: 0,
            refresh_at: None,
            is_asleep: false,
            is_left_to_callers: false,
        }
    }

    /// Nobody asks again until somebody comes who can; until then what it said last counts.
    pub(super) fn wait_for_caller(&mut self) {
        (self.source, self.refresh_at, self.is_asleep) = (None, None, true);
    }

    /// Whether the lists are those that `source` would give now.
    pub(super) fn is_of(&self, source: Source) -> bool {
        self.source == Some(source) && self.fresh_until.is_none_or(|until| Instant::now() < until)
    }

    /// Whether the last question was answered.
    pub(super) fn is_listed(&self) -> bool {
        self.source.is_some()
    }

    /// Tools as the server lists them, those that did not change as they were.
    pub(super) fn merged(&self, tools: Vec<ToolDef>) -> Vec<Arc<ToolDef>> {
        let mut known = self.listed.clone();
        keep_known(&mut known, tools);
        known
    }

    /// All tools that the server listed; `None` while it is away and there is nothing to judge.
    pub(super) fn listed(&self) -> Option<Vec<Arc<ToolDef>>> {
        self.has_list().then(|| self.listed.clone())
    }

    fn has_list(&self) -> bool {
        self.is_listed() || !self.listed.is_empty()
    }

    /// Whether there is something to judge, and pins to judge it by.
    pub(super) fn can_be_judged(&self) -> bool {
        self.has_list() && !self.is_unverified
    }

    /// Whether something is kept back about which somebody may have changed their mind.
    pub(super) fn is_judging_due(&self, now: Instant) -> bool {
        self.judge_at.is_some_and(|at| at <= now)
    }

    /// The same tools, judged anew.
    pub(super) fn judged(&mut self, vetted: Vetted) {
        self.answers += 1;
        let pause = match vetted.is_unverified {
            true => Some(STORE_REST),
            false => (!vetted.withheld.is_empty()).then_some(JUDGED_FOR),
        };
        self.judge_at = pause.map(|pause| Instant::now() + pause);
        self.is_unverified = vetted.is_unverified;
        self.version += u64::from(!are_same(&self.tools, &vetted.tools));
        (self.tools, self.withheld, self.flagged) = (vetted.tools, vetted.withheld, vetted.flagged);
        let task_only = self.tools.iter().filter(|def| def.needs_task);
        self.task_only = task_only.map(|def| def.name.clone()).collect();
        let with_headers = self.tools.iter().filter(|def| may_want_headers(def.input_schema.get()));
        self.with_headers = with_headers.map(|def| def.name.clone()).collect();
    }

    /// Whether arguments of a tool may be HTTP headers too.
    pub(super) fn has_param_headers(&self, tool: &str) -> bool {
        self.with_headers.contains(tool)
    }

    /// Whether a call of a tool has to be made as a task. Since 2026-07-28 the server says so when it is called.
    pub(super) fn needs_task(&self, tool: &str) -> bool {
        let is_old = self.capabilities.protocol.as_deref().is_none_or(|protocol| protocol < TASKS_BY_ANSWER);
        is_old && self.task_only.contains(tool)
    }

    /// The server answered; what it said counts for `refresh`, or as long as it says where that is less.
    /// Its tools were taken out of `listed` and judged.
    pub(super) fn succeeded(
        &mut self,
        (tools, vetted): (Vec<Arc<ToolDef>>, Vetted),
        listed: Listed,
        source: Source,
        latency_ms: u64,
        refresh: Option<Duration>,
    ) {
        self.listed = tools;
        self.judged(vetted);
        let is_same = [
            keep_known(&mut self.prompts, listed.prompts),
            keep_known(&mut self.resources, listed.resources),
            keep_known(&mut self.templates, listed.templates),
        ];
        self.version += u64::from(is_same.contains(&false));
        self.capabilities = listed.capabilities;
        let now = Instant::now();
        self.fresh_until = listed.fresh_for.map(|fresh| now + fresh.clamp(MIN_FRESH, MAX_FRESH));
        self.refresh_at = refresh.map(|refresh| clock::after(now, refresh)).into_iter().chain(self.fresh_until).min();
        self.health = Health::Healthy;
        (self.latency_ms, self.checked_at) = (Some(latency_ms), Some(Utc::now()));
        (self.fault, self.source) = (None, Some(source));
        // There is no connection of omni's own behind what a caller was told.
        (self.failures, self.is_asleep) = (0, self.is_left_to_callers);
        self.last_seen = self.checked_at;
    }

    /// The server did not answer. What it offers stays while it may be back in a moment (`is_lasting`
    /// is false): lists that come and go help nobody.
    pub(super) fn failed(&mut self, error: McpError, latency_ms: u64, is_lasting: bool) {
        self.answers += 1;
        self.latency_ms = Some(latency_ms);
        self.failures = self.failures.saturating_add(1);
        self.is_away(error, is_lasting);
    }

    /// The server cannot be used. What was kept back stays so until its tools are listed and judged again.
    pub(super) fn is_away(&mut self, error: McpError, is_lasting: bool) {
        if is_lasting {
            self.answers += 1;
            self.version += u64::from(!self.tools.is_empty());
            (self.listed, self.tools, self.flagged) = (Vec::new(), Vec::new(), BTreeMap::new());
            self.judge_at = None;
            self.prompts = Vec::new();
            (self.resources, self.templates) = (Vec::new(), Vec::new());
        }
        self.checked_at = Some(Utc::now());
        self.health = Health::Unhealthy { reason: error.to_string() };
        (self.fault, self.source) = (Some(error), None);
        (self.refresh_at, self.is_asleep) = (None, false);
    }
}

/// What did not change stays the same value, a tool with its compiled schema. Whether nothing changed.
fn keep_known<T: Definition>(known: &mut Vec<Arc<T>>, new: Vec<T>) -> bool {
    let by_key: HashMap<&str, &Arc<T>> = known.iter().map(|known| (&**known.key(), known)).collect();
    let kept = |new: &T| by_key.get(&**new.key()).filter(|old| old.is_same(new)).map(|old| Arc::clone(old));
    let new: Vec<Arc<T>> = new.into_iter().map(|new| kept(&new).unwrap_or_else(|| Arc::new(new))).collect();
    let is_same = are_same(known, &new);
    *known = new;
    is_same
}

/// Whether two snapshots hold the same: how long an answer took is not part of it.
pub(super) fn same(a: &Catalog, b: &Catalog) -> bool {
    a.servers.len() == b.servers.len()
        && a.servers.iter().zip(&b.servers).all(|(a, b)| {
            a.name == b.name
                && a.health == b.health
                && are_same(&a.tools, &b.tools)
                && are_same(&a.prompts, &b.prompts)
                && are_same(&a.resources, &b.resources)
                && are_same(&a.templates, &b.templates)
                && a.capabilities == b.capabilities
                && a.withheld.len() == b.withheld.len()
                && a.withheld.iter().zip(&b.withheld).all(|(a, b)| Arc::ptr_eq(&a.def, &b.def) && a.why == b.why)
        })
}

fn are_same<T>(a: &[Arc<T>], b: &[Arc<T>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::Why;

    /// Tools that are all let pass.
    fn passed(tools: Vec<ToolDef>) -> (Vec<Arc<ToolDef>>, Vetted) {
        let tools: Vec<Arc<ToolDef>> = tools.into_iter().map(Arc::new).collect();
        (tools.clone(), Vetted { tools, ..Vetted::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn lists_hold_as_long_as_the_server_says() {
        let mut listing = Listing::new(Health::Unknown);
        let listed = Listed { fresh_for: Some(Duration::from_secs(60)), ..Listed::default() };
        listing.succeeded(passed(Vec::new()), listed, (1, 0), 1, Some(Duration::from_secs(300)));
        assert_eq!(listing.refresh_at, Some(Instant::now() + Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(listing.is_of((1, 0)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!listing.is_of((1, 0)));
    }

    #[test]
    fn a_tool_whose_arguments_may_be_headers_is_told_from_others() {
        let mut listing = Listing::new(Health::Unknown);
        let tool = |name: &str, schema: &str| {
            ToolDef::new("s", name, serde_json::value::RawValue::from_string(schema.into()).unwrap())
        };
        let with = tool("a", r#"{"properties":{"x":{"type":"string","x-mcp-header":"X"}}}"#);
        listing.succeeded(passed(vec![with, tool("b", "{}")]), Listed::default(), (1, 0), 1, None);
        assert!(listing.has_param_headers("a") && !listing.has_param_headers("b"));
    }

    #[test]
    fn tools_stay_while_a_server_may_be_back_in_a_moment() {
        let mut listing = Listing::new(Health::Unknown);
        let tool = ToolDef::new("s", "t", serde_json::value::RawValue::from_string("{}".into()).unwrap());
        listing.succeeded(passed(vec![tool]), Listed::default(), (1, 0), 1, None);
        let error = || McpError::Connect { message: "no".into() };
        listing.failed(error(), 1, false);
        assert_eq!((listing.tools.len(), listing.failures, listing.is_listed()), (1, 1, false));
        listing.failed(error(), 1, true);
        assert_eq!((listing.tools.len(), listing.failures), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_back_stays_so_while_its_server_is_away_and_is_judged_when_it_is_back() {
        let tool = || ToolDef::new("s", "t", serde_json::value::RawValue::from_string("{}".into()).unwrap());
        let (listed, _) = passed(vec![tool()]);
        let held = Withheld { def: listed[0].clone(), why: Why::Suspicious, findings: Vec::new() };
        let vetted = Vetted { withheld: vec![held], ..Vetted::default() };
        let mut listing = Listing::new(Health::Unknown);
        listing.succeeded((listed, vetted), Listed::default(), (1, 0), 1, None);
        assert!(listing.is_judging_due(Instant::now() + JUDGED_FOR));
        listing.failed(McpError::Connect { message: "no".into() }, 1, true);
        assert_eq!((listing.listed().is_none(), listing.withheld.len()), (true, 1));
        assert!(!listing.is_judging_due(Instant::now() + STORE_REST), "there is nothing to judge");
        listing.succeeded(passed(vec![tool()]), Listed::default(), (2, 0), 1, None);
        assert_eq!((listing.tools.len(), listing.withheld.len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_left_alone_for_longer() {
        let mut listing = Listing::new(Health::Unknown);
        listing.judged(Vetted { is_unverified: true, ..Vetted::default() });
        assert!(!listing.is_judging_due(Instant::now() + JUDGED_FOR));
        assert!(listing.is_judging_due(Instant::now() + STORE_REST));
    }
}
