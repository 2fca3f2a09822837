//! `cargo bench -p omni-benches --bench limits`: what one ask costs at the limiter.
//!
//! Redis is the one of `OMNI_TEST_REDIS_URL`; without it only the memory limiter is measured.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "benchmarks may stop at a fault")]

use std::{sync::Arc, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use omni_core::limit::{
    Charge, Limit, LimitKey, Period, RateLimiter, Reserve, Settle, memory::MemoryLimiter, redis::RedisLimiter,
};

fn main() {
    divan::main();
}

/// The charges of an ask under every kind of limit.
fn charges(caller: usize) -> Vec<Charge> {
    let window = |max, seconds| Limit::Window { max, per: Duration::from_secs(seconds) };
    let limits = [
        ("hour", window(100, 3_600)),
        ("minute", window(100, 60)),
        ("running", Limit::Concurrent { max: 5 }),
        ("money", Limit::Budget { max: u64::MAX, period: Period::Month }),
    ];
    let charge = |(name, limit)| Charge { key: LimitKey::new("bench", format!("{name}:{caller}")), limit, amount: 1 };
    limits.map(charge).into()
}

/// Reserves and settles; a caller that has used up its hour is refused, which costs a look too.
async fn reserve_and_settle(limiter: &dyn RateLimiter, caller: usize) {
    let request = Reserve::new(charges(caller));
    if limiter.reserve(&request).await.is_ok() {
        limiter.settle(&Settle::new(request.id)).await.unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[divan::bench]
fn memory(bencher: Bencher) {
    let (runtime, limiter) = (runtime(), MemoryLimiter::new());
    let mut caller = 0;
    bencher.bench_local(|| {
        caller += 1;
        runtime.block_on(reserve_and_settle(&limiter, caller % 10_000));
    });
}

/// `concurrent` asks at once over one connection.
#[divan::bench(args = [1, 64])]
fn redis(bencher: Bencher, concurrent: usize) {
    let Some(url) = std::env::var("OMNI_TEST_REDIS_URL").ok().filter(|url| !url.is_empty()) else { return };
    let runtime = runtime();
    let prefix = format!("bench-{}", std::process::id());
    let limiter = runtime.block_on(async { Arc::new(RedisLimiter::new(&url.into(), prefix).unwrap()) });
    let mut caller = 0;
    bencher.counter(ItemsCount::new(concurrent)).bench_local(|| {
        caller += concurrent;
        let all = (0..concurrent).map(|at| reserve_and_settle(&*limiter, (caller + at) % 10_000));
        runtime.block_on(futures::future::join_all(all));
    });
}
