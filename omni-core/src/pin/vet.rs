//! Compares what servers list with the pins, and keeps back what nobody may use.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::{SubsecRound as _, Utc};
use serde_json::json;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    Mark, Pin, PinError, PinMode, PinStore, Seen, Why,
    judge::{Listed, Look, Verdict, judge, look},
    others::Others,
};
use crate::{
    catalog::{ToolDef, Withheld},
    config::Ack,
    ledger::{AdminRecord, Event, Ledger, Record},
    scan::{Finding, Neighbours, is_suspicious, rescan, scan},
};

/// How long the store may take: a list that waits for it holds up whoever asks.
const WITHIN: Duration = Duration::from_secs(5);
/// How often what somebody else wrote meanwhile is taken in and judged anew.
const ROUNDS: usize = 4;
/// Most pins of one server: one that makes up names all the time fills no database.
pub(super) const MAX_PINS: usize = 20_000;
/// Most tools that one record names.
const MAX_NAMED: usize = 100;

/// The tools of a server, judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vetted {
    /// Those that may be used.
    pub(crate) tools: Vec<Arc<ToolDef>>,
    /// Those that are kept back.
    pub(crate) withheld: Vec<Withheld>,
    /// What was found in those that may be used all the same.
    pub(crate) flagged: BTreeMap<Arc<str>, Vec<Finding>>,
    /// Whether the pins could not be read or written, so that this is to be judged again.
    pub(crate) is_unverified: bool,
}

/// Compares lists with pins.
#[derive(Debug)]
pub(crate) struct Vetter {
    store: Arc<dyn PinStore>,
    ledger: Option<Ledger>,
    /// What the configuration says.
    terms: ArcSwap<Terms>,
    /// What the store said last, by server, for when it is away.
    last: Mutex<HashMap<String, HashMap<String, Mark>>>,
    others: Mutex<Others>,
}

/// What is the same for all servers of a configuration.
#[derive(Debug, Default)]
struct Terms {
    /// Whether tools may be used whose pins cannot be read or written.
    fail_open: bool,
    /// The servers of the configuration.
    servers: HashSet<String>,
}

/// One listed tool with its digest.
struct Item {
    def: Arc<ToolDef>,
    digest: String,
    findings: Vec<Finding>,
    /// Whether that is something else than what its pin says.
    has_news: bool,
}

/// What a server's tools are looked at beside.
struct Around {
    /// The tools of all servers.
    all: Neighbours,
    /// Those that are pinned.
    pinned: Neighbours,
    /// Of which version of [`Others`] they are.
    version: u64,
    /// Whether the server's were not looked at beside these.
    is_news: bool,
}

/// What is to be told of, by what became of it.
#[derive(Debug, Default)]
struct Changes {
    repinned: Vec<String>,
    withheld: Vec<String>,
    lifted: Vec<String>,
    flagged: Vec<String>,
}

impl Vetter {
    pub(crate) fn new(store: Arc<dyn PinStore>, ledger: Option<Ledger>) -> Self {
        Self { store, ledger, terms: ArcSwap::default(), last: Mutex::default(), others: Mutex::default() }
    }

    /// From now on the servers of the configuration are these. With `fail_open` tools may be used whose
    /// pins cannot be read or written.
    pub(crate) fn beside<'a>(&self, servers: impl Iterator<Item = &'a str>, fail_open: bool) {
        let terms = Arc::new(Terms { fail_open, servers: servers.map(str::to_owned).collect() });
        let before = self.terms.swap(terms.clone());
        if before.servers != terms.servers {
            self.others().change();
        }
    }

    /// Whether the tools of a server that was judged are to be judged again, because there are others beside them.
    pub(crate) fn is_due(&self, server: &str) -> bool {
        self.others().is_due(server, Instant::now())
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &dyn PinStore {
        &*self.store
    }

    /// Judges what `server` lists.
    pub(crate) async fn vet(&self, server: &str, tools: Vec<Arc<ToolDef>>, mode: PinMode) -> Vetted {
        if mode == PinMode::Off {
            self.others().forget(server);
            return Vetted { tools, ..Vetted::default() };
        }
        let item =
            |def: Arc<ToolDef>| Item { digest: def.digest().to_owned(), def, findings: Vec::new(), has_news: false };
        let mut items: Vec<Item> = tools.into_iter().map(item).collect();
        for _ in 0..ROUNDS {
            match self.round(server, &mut items, mode).await {
                Ok(Some(vetted)) => return vetted,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(server, %error, "what a server lists cannot be compared with its pins");
                    return self.without_store(server, items);
                }
            }
        }
        tracing::error!(server, "a server's pins change too fast to be compared with");
        self.without_store(server, items)
    }

    /// One attempt; `None` where somebody else wrote in between.
    async fn round(&self, server: &str, items: &mut [Item], mode: PinMode) -> Result<Option<Vetted>, PinError> {
        let marks = in_time(self.store.marks(Some(server))).await?;
        let marks: HashMap<String, Mark> = marks.into_iter().map(|mark| (mark.tool.clone(), mark)).collect();
        let looked = self.look(server, items, &marks).await?;
        let room = MAX_PINS.saturating_sub(marks.len());
        let verdicts = verdicts(items, &marks, mode, room);
        let Some(pins) = self.changed(server, items, &marks, &verdicts).await? else { return Ok(None) };
        if !pins.is_empty() && !in_time(self.store.put(&pins)).await? {
            return Ok(None);
        }
        let own = pinned(items, &marks, &verdicts);
        match looked {
            Some(version) => self.others().looked(server, version, own, Instant::now()),
            None => self.others().keep(server, own),
        }
        self.remember(server, marks, &pins);
        let (mut vetted, mut changes) = (Vetted::default(), Changes::default());
        for (item, verdict) in items.iter().zip(&verdicts) {
            vetted.take(item, verdict);
            changes.note(item, verdict);
        }
        self.tell(server, &changes).await;
        Ok(Some(vetted))
    }

    /// Scans what is new or changed beside the tools of all servers of the configuration, and what is known again
    /// where those are others by now; the version of [`Others`] that it was looked at beside.
    async fn look(
        &self,
        server: &str,
        items: &mut [Item],
        marks: &HashMap<String, Mark>,
    ) -> Result<Option<u64>, PinError> {
        let wanted = |item: &Item, has_others: bool| look(marks.get(&*item.def.name), &item.digest, has_others);
        for item in items.iter_mut() {
            let mark = marks.get(&*item.def.name);
            item.findings = mark.map(|mark| mark.findings_of(&item.digest)).unwrap_or_default();
            item.has_news = false;
        }
        let are_known = items.iter().all(|item| wanted(item, false) == Look::Nothing);
        if are_known && !self.others().is_stale(server) {
            return Ok(None);
        }
        let around = self.around(server, items, are_known).await?;
        for item in items {
            let is_pinned = marks.get(&*item.def.name).is_some_and(|mark| mark.is_pinned(&item.digest));
            let others = if is_pinned { &around.pinned } else { &around.all };
            match wanted(item, around.is_news) {
                Look::Whole => item.findings = scan(&item.def, others),
                Look::Beside => item.take_over(rescan(&item.def, others, &item.findings)),
                Look::Nothing => continue,
            }
            // A long list leaves others their turn.
            tokio::task::yield_now().await;
        }
        Ok(Some(around.version))
    }

    /// The tools of all servers of the configuration, and those that the server lists.
    async fn around(&self, server: &str, items: &[Item], are_known: bool) -> Result<Around, PinError> {
        let started = Instant::now();
        let is_read = are_known && self.others().are_fresh(started);
        let marks = if is_read { Vec::new() } else { in_time(self.store.marks(None)).await? };
        let known = marks.into_iter().map(|mark| (mark.server, mark.tool, mark.pinned.is_some()));
        let terms = self.terms.load_full();
        let mut others = self.others();
        let (version, is_news) = (others.learn(known), others.is_stale(server));
        if !is_read {
            others.read(started);
        }
        let [all, pinned] = [false, true].map(|pinned| others.tools(&terms.servers, pinned));
        drop(others);
        // What a server has itself, its texts mean by a name that others have too.
        let own = || items.iter().map(|item| (item.def.server.to_string(), item.def.name.to_string()));
        let [all, pinned] = [all, pinned].map(|tools| Neighbours::new(tools.into_iter().chain(own())));
        Ok(Around { all, pinned, version, is_news })
    }

    /// The pins as they are to be written; `None` where one is not what its mark said any more.
    async fn changed(
        &self,
        server: &str,
        items: &[Item],
        marks: &HashMap<String, Mark>,
        verdicts: &[Verdict],
    ) -> Result<Option<Vec<Pin>>, PinError> {
        let is_change = |(item, verdict): &(&Item, &Verdict)| verdict.is_change() || item.has_news;
        let changed: Vec<_> = items.iter().zip(verdicts).filter(is_change).collect();
        let mut known: HashMap<String, Pin> = HashMap::new();
        if changed.iter().any(|(item, _)| marks.contains_key(&*item.def.name)) {
            let pins = in_time(self.store.pins(Some(server), None)).await?;
            known = pins.into_iter().map(|pin| (pin.tool.clone(), pin)).collect();
        }
        let mut pins = Vec::with_capacity(changed.len());
        for (item, verdict) in changed {
            let pin = match marks.get(&*item.def.name) {
                None => Pin::new(server, &*item.def.name),
                Some(mark) => match known.remove(&*item.def.name).filter(|pin| pin.revision == mark.revision) {
                    Some(pin) => pin,
                    None => return Ok(None),
                },
            };
            pins.push(item.written(pin, verdict));
        }
        Ok(Some(pins))
    }

    /// What the store said last decides while it is away: what is as it was then may be used.
    fn without_store(&self, server: &str, items: Vec<Item>) -> Vetted {
        let fail_open = self.terms.load().fail_open;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut vetted = Vetted { is_unverified: true, ..Vetted::default() };
        for item in items {
            let mark = last.get(server).and_then(|marks| marks.get(&*item.def.name));
            let is_known = mark.is_some_and(|mark| mark.is_pinned(&item.digest));
            let held = mark.and_then(|mark| mark.held.as_ref()).filter(|(_, digest, _)| *digest == item.digest);
            match held {
                Some((why, _, findings)) => vetted.withhold(&item, *why, findings.clone()),
                None if is_known || fail_open => vetted.tools.push(item.def),
                None => vetted.withhold(&item, Why::Unverified, Vec::new()),
            }
        }
        vetted
    }

    fn remember(&self, server: &str, mut marks: HashMap<String, Mark>, pins: &[Pin]) {
        for pin in pins {
            marks.insert(pin.tool.clone(), Pin { revision: pin.revision + 1, ..pin.clone() }.mark());
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned(), marks);
    }

    /// What happened by itself is logged and stands in the ledger, a record for each kind of it.
    async fn tell(&self, server: &str, changes: &Changes) {
        for (action, tools) in changes.all().into_iter().filter(|(_, tools)| !tools.is_empty()) {
            let named = &tools[..tools.len().min(MAX_NAMED)];
            tracing::warn!(server, action, count = tools.len(), tools = ?named, "the definitions of tools changed");
            let Some(ledger) = &self.ledger else { continue };
            let mut said = AdminRecord::new(action, server);
            said.details = json!({ "tools": named, "count": tools.len() });
            let record = Record::new(Uuid::now_v7(), None, Event::Admin(said));
            if let Err(error) = ledger.write_with(record, Ack::Local).await {
                tracing::error!(server, action, %error, "that the definitions of tools changed is not in the ledger");
            }
        }
        if !changes.flagged.is_empty() {
            let named = &changes.flagged[..changes.flagged.len().min(MAX_NAMED)];
            tracing::warn!(server, tools = ?named, "tools look suspicious; `omni tools pins` shows why");
        }
    }
}

/// What becomes of each item. What would fill the store beyond its bound is kept back unwritten.
fn verdicts(items: &[Item], marks: &HashMap<String, Mark>, mode: PinMode, mut room: usize) -> Vec<Verdict> {
    let is_server_known = !marks.is_empty();
    let verdict = |item: &Item| {
        let mark = marks.get(&*item.def.name);
        if mark.is_none() {
            if room == 0 {
                return Verdict::Hold { why: Why::Unverified, is_written: true };
            }
            room -= 1;
        }
        judge(mode, mark, &Listed { digest: &item.digest, findings: &item.findings, is_server_known })
    };
    items.iter().map(verdict).collect()
}

/// Which of the tools are pinned by now, whether they may be used as they are or not.
fn pinned(items: &[Item], marks: &HashMap<String, Mark>, verdicts: &[Verdict]) -> Vec<(String, bool)> {
    let is_pinned = |item: &Item, verdict: &Verdict| match verdict {
        Verdict::Known { .. } | Verdict::Pin | Verdict::Repin => true,
        Verdict::Unpin => false,
        Verdict::Hold { .. } => marks.get(&*item.def.name).is_some_and(|mark| mark.pinned.is_some()),
    };
    items.iter().zip(verdicts).map(|(item, verdict)| (item.def.name.to_string(), is_pinned(item, verdict))).collect()
}

impl Item {
    /// What is found in it beside others than before.
    fn take_over(&mut self, findings: Vec<Finding>) {
        self.has_news = self.findings != findings;
        self.findings = findings;
    }

    /// The pin after a verdict.
    fn written(&self, mut pin: Pin, verdict: &Verdict) -> Pin {
        let seen = || Seen {
            digest: self.digest.clone(),
            definition: self.def.canonical(),
            findings: self.findings.clone(),
            at: Utc::now().trunc_subsecs(6),
        };
        match verdict {
            Verdict::Known { .. } => {
                if let Some(seen) = &mut pin.pinned {
                    seen.findings.clone_from(&self.findings);
                }
                pin.held = None;
            }
            Verdict::Pin | Verdict::Repin => (pin.pinned, pin.pinned_by, pin.held) = (Some(seen()), None, None),
            Verdict::Unpin => {
                (pin.pinned, pin.pinned_by, pin.held) = (None, None, Some((Why::Suspicious, seen())));
            }
            Verdict::Hold { is_written: true, .. } => {
                if let Some((_, seen)) = &mut pin.held {
                    seen.findings.clone_from(&self.findings);
                }
            }
            Verdict::Hold { why, is_written: false } => pin.held = Some((*why, seen())),
        }
        pin
    }
}

impl Vetted {
    fn take(&mut self, item: &Item, verdict: &Verdict) {
        if let Some(why) = verdict.why() {
            return self.withhold(item, why, item.findings.clone());
        }
        self.tools.push(item.def.clone());
        if !item.findings.is_empty() {
            self.flagged.insert(item.def.name.clone(), item.findings.clone());
        }
    }

    fn withhold(&mut self, item: &Item, why: Why, findings: Vec<Finding>) {
        self.withheld.push(Withheld { def: item.def.clone(), why, findings });
    }
}

impl Changes {
    fn note(&mut self, item: &Item, verdict: &Verdict) {
        let name = item.def.name.to_string();
        match verdict {
            Verdict::Known { lifted: true } => self.lifted.push(name),
            Verdict::Repin => self.repinned.push(name),
            Verdict::Unpin | Verdict::Hold { is_written: false, .. } => self.withheld.push(name),
            Verdict::Pin if is_suspicious(&item.findings) => self.flagged.push(name),
            Verdict::Known { lifted: false } if item.has_news && is_suspicious(&item.findings) => {
                self.flagged.push(name);
            }
            Verdict::Pin | Verdict::Known { lifted: false } | Verdict::Hold { is_written: true, .. } => {}
        }
    }

    fn all(&self) -> [(&'static str, &Vec<String>); 3] {
        [("tool.repinned", &self.repinned), ("tool.withheld", &self.withheld), ("tool.lifted", &self.lifted)]
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, PinError>>) -> Result<T, PinError> {
    timeout(WITHIN, work).await.unwrap_or_else(|_| Err(PinError::new("no answer in time")))
}
