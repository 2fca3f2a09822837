//! A Redis of its own, stopped and started under load.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use omni_core::{
    Ask, ErrorKind, Omni, Principal,
    cost::NanoUsd,
    limit::{
        Budget, BudgetScope, Charge, Limit, LimitError, LimitKey, Period, RateLimiter, Reserve, Settle, Spend,
        fail_open::FailOpen, redis::RedisLimiter,
    },
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use tempfile::TempDir;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::limits_budget::modest;

/// A Redis that ends with its value.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    async fn start(dir: &Path, port: u16) -> Self {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .args(["--port", &port.to_string()])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, port };
        for _ in 0..3_000 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server did not start on port {}", server.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether there is a redis-server to start; under CI there is one.
fn is_there() -> bool {
    let there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(there || std::env::var_os("CI").is_none(), "there is no redis-server; `tests/run.sh` brings one");
    if !there {
        eprintln!("skipped: there is no redis-server; `tests/run.sh` brings one");
    }
    there
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn charge(max: u64) -> Charge {
    let limit = Limit::Window { max, per: Duration::from_secs(3_600) };
    Charge { key: LimitKey::new("default", "ask:hour:ada@company.com"), limit, amount: 1 }
}

#[derive(Debug, Default)]
struct Seen {
    granted: AtomicU64,
    refused: AtomicU64,
    away: AtomicU64,
}

async fn load(limiter: Arc<RedisLimiter>, seen: Arc<Seen>, until: CancellationToken) {
    while !until.is_cancelled() {
        let request = Reserve::new(vec![charge(u64::MAX)]);
        let count = match limiter.reserve(&request).await {
            Ok(_) => &seen.granted,
            Err(LimitError::Unavailable { .. }) => &seen.away,
            Err(_) => &seen.refused,
        };
        count.fetch_add(1, Ordering::SeqCst);
        let _ = limiter.settle(&Settle::new(request.id)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_stopped_and_started_under_load_counts_on() {
    if !is_there() {
        return;
    }
    let (dir, port) = (TempDir::new().unwrap(), free_port());
    let url = format!("redis://127.0.0.1:{port}").into();
    let limiter = Arc::new(RedisLimiter::new(&url, "omni").unwrap());
    let early = limiter.reserve(&Reserve::new(vec![charge(9)])).await;
    assert!(matches!(early, Err(LimitError::Unavailable { .. })), "{early:?}: it is not there yet");

    let server = Server::start(dir.path(), port).await;
    let (seen, until) = (Arc::new(Seen::default()), CancellationToken::new());
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        callers.spawn(load(limiter.clone(), seen.clone(), until.clone()));
    }
    let at_least = async |count: &AtomicU64, more: u64| {
        let from = count.load(Ordering::SeqCst);
        omni_tests::rig::until(|| count.load(Ordering::SeqCst) >= from + more).await;
    };
    at_least(&seen.granted, 200).await;
    drop(server);
    at_least(&seen.away, 16).await;
    let open = FailOpen::new(RedisLimiter::new(&url, "omni").unwrap());
    assert!(open.reserve(&Reserve::new(vec![charge(1)])).await.is_ok(), "on_error: allow lets pass meanwhile");
    let _server = Server::start(dir.path(), port).await;
    at_least(&seen.granted, 200).await;
    until.cancel();
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(seen.refused.load(Ordering::SeqCst), 0);

    let standing = limiter.reserve(&Reserve::new(vec![charge(u64::MAX)])).await.unwrap().standings.remove(0);
    let granted = seen.granted.load(Ordering::SeqCst) + 1;
    // What was granted and lost its answer on the way is counted too: never one too few.
    assert!(standing.used >= granted, "{} of {granted} are counted", standing.used);
    let full = limiter.reserve(&Reserve::new(vec![charge(granted)])).await;
    assert!(matches!(full, Err(LimitError::Refused(_))), "what was counted before still counts");
    let refused = open.reserve(&Reserve::new(vec![charge(1)])).await;
    assert!(matches!(refused, Err(LimitError::Refused(_))), "a limiter that is back refuses again");
}

/// Asks of an hour, and what a month may cost: more than those.
const ASKS: u64 = 400;
const BUDGET: u64 = 5_000_000_000;

/// A pipeline whose one person may ask so often, and spend so much.
async fn pipeline(limiter: RedisLimiter) -> Omni {
    let mut quota = Quota::default();
    quota.per_hour = Some(ASKS);
    quota.budgets = vec![Budget { scope: BudgetScope::User, period: Period::Month, max: Spend::Usd(NanoUsd(BUDGET)) }];
    let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::new("dba"), RuleSet::allow_all(), quota);
    Omni::builder().llm(modest()).policy(policy).limiter(limiter).build().await.unwrap()
}

#[derive(Debug, Default)]
struct Asked {
    answered: AtomicU64,
    away: AtomicU64,
    cost: AtomicU64,
}

/// Asks until the hour is used up.
async fn ask_until_refused(omni: Omni, asked: Arc<Asked>) {
    loop {
        match omni.ask(Ask::new(Principal::email("ada@company.com"), "q")).await {
            Ok(answer) => {
                asked.cost.fetch_add(answer.cost.unwrap().0, Ordering::SeqCst);
                asked.answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) if error.kind() == ErrorKind::RateLimited => return,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                asked.away.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_and_what_they_cost_are_counted_on_when_redis_was_away() {
    if !is_there() {
        return;
    }
    let (dir, port) = (TempDir::new().unwrap(), free_port());
    let url = format!("redis://127.0.0.1:{port}").into();
    let server = Server::start(dir.path(), port).await;
    let omni = pipeline(RedisLimiter::new(&url, "omni").unwrap()).await;
    let asked = Arc::new(Asked::default());
    let mut askers = JoinSet::new();
    for _ in 0..8 {
        askers.spawn(ask_until_refused(omni.clone(), asked.clone()));
    }
    let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
    omni_tests::rig::until(|| count(&asked.answered) >= 50).await;
    drop(server);
    omni_tests::rig::until(|| count(&asked.away) >= 8).await;
    let _server = Server::start(dir.path(), port).await;
    while let Some(asker) = askers.join_next().await {
        asker.unwrap();
    }
    omni.shutdown().await;
    assert!(count(&asked.answered) <= ASKS && count(&asked.answered) > 50, "{asked:?}");

    let limiter = RedisLimiter::new(&url, "omni").unwrap();
    let used = async |name: &str, limit: Limit| {
        let look = Charge { key: LimitKey::new("default", name), limit, amount: 0 };
        limiter.reserve(&Reserve::new(vec![look])).await.unwrap().standings[0].used
    };
    // What lost its answer on the way may be counted as well: never one too few, and never one too many let in.
    let hour = used("ask:hour:ada@company.com", Limit::Window { max: u64::MAX, per: Duration::from_secs(3_600) }).await;
    assert!(hour >= count(&asked.answered) && hour <= ASKS, "{hour}: {asked:?}");
    let budget = Limit::Budget { max: u64::MAX, period: Period::Month };
    let spent = used("budget:usd:user:ada@company.com", budget).await;
    assert!(spent >= count(&asked.cost) && spent <= BUDGET, "{spent}: {asked:?}");
}
