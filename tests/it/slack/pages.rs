//! The app's page of whoever decides on what others ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use omni_core::{
    OmniBuilder, Principal, Source,
    confirm::{ApprovalRules, Verdict},
    kept::{KeptError, KeptStore, sql::SqlKept},
    llm::scripted::Scripted,
    omni::Decider,
    people::Tables,
};
use omni_tests::{
    rig::{until, until_some},
    server::{FakeServer, any, text},
    slack::{TEAM, View},
};
use serde_json::{Value, json};

use super::{ANN, BOB, GENERAL, kept::Kept};

fn lab() -> FakeServer {
    FakeServer::echo().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }))
}

/// A model that wipes one thing after the other, as it is asked to.
fn wiping() -> Scripted {
    let wipe = |what: &str| [("lab__wipe", json!({ "table": what }))];
    Scripted::new().call(&wipe("logs")).say("Gone.").call(&wipe("traces")).say("Gone.")
}

/// Bob decides on what Ann asks for.
fn bob_decides(builder: OmniBuilder) -> OmniBuilder {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into()];
    rules.four_eyes = true;
    builder.approvals(rules)
}

fn bob() -> Principal {
    Principal::email("bob@company.com").with_tenant(TEAM)
}

/// Bob agrees at another door to the only call that waits.
async fn bob_agrees(bot: &Kept) {
    let waiting = async || bot.omni.confirmations(bob()).await.unwrap().pop();
    let id = until_some(waiting).await.confirmation.id;
    let agree = async || bot.omni.confirm(id, Verdict::Approve, Decider::new(bob(), Source::Cli)).await.ok();
    let mut stream = until_some(agree).await;
    while stream.next().await.is_some() {}
}

/// How many calls a page asks for.
fn asked_for(page: &View) -> usize {
    page.actions().iter().filter(|id| *id == "omni:approve").count()
}

/// Waits until Bob's page, which nobody opens again, asks for so many calls.
async fn page(bot: &Kept, count: usize) -> View {
    until_some(async || bot.slack.home(BOB).filter(|page| asked_for(page) == count)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_whoever_decides_follows_what_is_asked_and_what_others_decide() {
    let wipe = |what: &str| [("lab__wipe", json!({ "table": what }))];
    let llm = Scripted::new().call(&wipe("logs")).call(&wipe("traces")).say("Gone.").say("Gone.");
    let bot = Kept::start_with(llm, lab(), bob_decides, |_| {}).await;
    bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let waiting = async || bot.omni.confirmations(bob()).await.unwrap().pop();
    let first = until_some(waiting).await.confirmation.id;
    bot.slack.opens_home(BOB).await;
    assert!(page(&bot, 1).await.says("logs"));
    bot.slack.mentions(ANN, GENERAL, "Wipe the traces").await;
    page(&bot, 2).await;
    // At another door.
    let agree = async || bot.omni.confirm(first, Verdict::Approve, Decider::new(bob(), Source::Cli)).await.ok();
    let mut stream = until_some(agree).await;
    while stream.next().await.is_some() {}
    let left = page(&bot, 1).await;
    assert!(left.says("traces") && !left.says("logs"), "{left:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asked_for_nothing_when_it_was_opened_shows_what_is_asked_later_and_after_its_last_call() {
    let bot = Kept::start_with(wiping(), lab(), bob_decides, |_| {}).await;
    bot.slack.opens_home(BOB).await;
    page(&bot, 0).await;
    bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    assert!(page(&bot, 1).await.says("logs"));
    bob_agrees(&bot).await;
    page(&bot, 0).await;
    bot.slack.mentions(ANN, GENERAL, "Wipe the traces").await;
    assert!(page(&bot, 1).await.says("traces"));
    bot.behaved();
}

/// A store that says where answers are told unless it is away.
#[derive(Debug)]
struct Blinking {
    store: SqlKept,
    is_away: Arc<AtomicBool>,
    /// How often it was.
    missed: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl KeptStore for Blinking {
    async fn get(&self, door: &str, key: &str) -> Result<Option<Value>, KeptError> {
        if key.starts_with("waits/") && self.is_away.load(Ordering::SeqCst) {
            self.missed.fetch_add(1, Ordering::SeqCst);
            return Err(KeptError::new("it is away"));
        }
        self.store.get(door, key).await
    }

    async fn put(&self, door: &str, key: &str, value: &Value, lasting: Option<Duration>) -> Result<(), KeptError> {
        self.store.put(door, key, value, lasting).await
    }

    async fn replace(&self, door: &str, key: &str, old: Option<&Value>, new: &Value) -> Result<bool, KeptError> {
        self.store.replace(door, key, old, new).await
    }

    async fn remove(&self, door: &str, key: &str) -> Result<bool, KeptError> {
        self.store.remove(door, key).await
    }

    async fn list(&self, door: &str, prefix: &str) -> Result<Vec<(String, Value)>, KeptError> {
        self.store.list(door, prefix).await
    }

    async fn claim(&self, door: &str, key: &str, lasting: Duration) -> Result<bool, KeptError> {
        self.store.claim(door, key, lasting).await
    }

    async fn sweep(&self) -> Result<u64, KeptError> {
        self.store.sweep().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_takes_nothing_from_a_page_and_what_was_asked_meanwhile_comes_after_that() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqlKept::new(Tables::at(format!("sqlite:{}", dir.path().join("kept.db").display())));
    let (is_away, missed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let blinking = Blinking { store, is_away: is_away.clone(), missed: missed.clone() };
    let wipe = |what: &str| [("lab__wipe", json!({ "table": what }))];
    let llm = Scripted::new().call(&wipe("logs")).call(&wipe("traces"));
    let bot = Kept::start_with(llm, lab(), |builder| bob_decides(builder).kept(blinking), |_| {}).await;
    bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    bot.slack.opens_home(BOB).await;
    page(&bot, 1).await;
    is_away.store(true, Ordering::SeqCst);
    let made = bot.slack.calls("views.publish").len();
    bot.slack.mentions(ANN, GENERAL, "Wipe the traces").await;
    until(|| missed.load(Ordering::SeqCst) >= 3).await;
    assert_eq!(bot.slack.calls("views.publish").len(), made, "nothing is made of what is not known");
    assert!(page(&bot, 1).await.says("logs"));
    // Who opens it is told what is known.
    bot.slack.opens_home(BOB).await;
    page(&bot, 0).await;
    is_away.store(false, Ordering::SeqCst);
    page(&bot, 2).await;
    bot.behaved();
}
