//! What happens while nobody asks, and what is kept from a server that fails.

use super::*;
use crate::catalog::BreakerState;

/// Options with which a server is soon asked again, and soon given up.
fn quick() -> ServerOptions {
    let breaker = BreakerOptions { failures: 3, pause: Duration::from_millis(300), ..BreakerOptions::default() };
    ServerOptions { max_attempts: 1, breaker, ..options() }
}

impl Stand {
    fn view(&self) -> crate::catalog::ServerView {
        self.pool.catalog().servers[0].clone()
    }

    async fn fails(&self, times: usize) {
        for _ in 0..times {
            assert!(matches!(self.call(LONG).await, Err(McpError::Closed { .. })));
        }
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_without_anybody_asking() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    stand.fake().events.send(McpEvent::Closed { reason: "killed".into() }).unwrap();
    eventually(|| stand.fake().lists.load(SeqCst) == 2).await;
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
}

#[tokio::test]
async fn a_server_that_is_back_is_found_without_anybody_asking() {
    let stand = Stand::one(Fake::dead(), options());
    assert!(!stand.pool.discover().await.servers[0].health.is_healthy());
    *stand.fake().connect_error.lock().unwrap() = None;
    eventually(|| stand.view().health.is_healthy()).await;
}

#[tokio::test]
async fn tools_stay_while_a_server_restarts_and_go_when_it_stays_away() {
    let stand = Stand::one(Fake::new(), quick());
    stand.pool.discover().await;
    *stand.fake().connect_error.lock().unwrap() = Some(McpError::Connect { message: "nobody is there".into() });
    stand.fake().events.send(McpEvent::Closed { reason: "killed".into() }).unwrap();
    eventually(|| !stand.view().health.is_healthy()).await;
    assert_eq!(stand.view().tools.len(), 1);
    eventually(|| stand.view().tools.is_empty()).await;
    assert!(matches!(stand.view().breaker, BreakerState::Open { .. }));
}

#[tokio::test]
async fn a_silent_connection_is_asked_whether_it_lives_and_replaced_when_it_does_not() {
    let stand = Stand::one(Fake::new(), ServerOptions { keep_alive: Some(SHORT), ..options() });
    stand.pool.discover().await;
    eventually(|| stand.fake().pinged.load(SeqCst) >= 2).await;
    assert_eq!(stand.fake().connects.load(SeqCst), 1);
    stand.fake().pings.store(false, SeqCst);
    eventually(|| stand.fake().connects.load(SeqCst) == 2).await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_and_the_server_is_well_all_the_same() {
    let stand = Stand::one(Fake::new(), ServerOptions { idle_close: Some(SHORT), ..options() });
    let version = stand.pool.discover().await.version;
    eventually(|| stand.fake().closes.load(SeqCst) == 1).await;
    assert!(stand.view().health.is_healthy());
    assert_eq!(stand.pool.discover().await.version, version);
    assert_eq!(stand.fake().connects.load(SeqCst), 1, "what it said counts");
    stand.call(LONG).await.unwrap();
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
    eventually(|| stand.fake().closes.load(SeqCst) == 2).await;
    assert_eq!(stand.pool.catalog().version, version);
}

#[tokio::test]
async fn a_connection_in_use_is_not_closed() {
    let stand = Stand::one(Fake::new().on_call(Call::Wait), ServerOptions { idle_close: Some(SHORT), ..options() });
    stand.pool.discover().await;
    let release = async {
        tokio::time::sleep(SHORT * 4).await;
        assert_eq!(stand.fake().closes.load(SeqCst), 0);
        stand.fake().go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(stand.call(LONG), release);
    assert_eq!(answer.unwrap().for_person(), "at last");
}

#[tokio::test]
async fn what_a_server_does_not_tell_of_is_found_by_asking_again() {
    let stand = Stand::one(Fake::new(), ServerOptions { refresh: Some(SHORT), ..options() });
    stand.pool.discover().await;
    *stand.fake().tools.lock().unwrap() = json!([{ "name": "other", "inputSchema": {} }]);
    eventually(|| stand.pool.catalog().tool("s", "other").is_some()).await;
}

#[tokio::test]
async fn a_server_that_always_says_that_its_tools_changed_is_listened_to_less_and_less() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    let flood = async {
        loop {
            let _ = stand.fake().events.send(McpEvent::ToolsChanged);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(Duration::from_secs(4), flood).await.is_err());
    let lists = stand.fake().lists.load(SeqCst);
    assert!((2..=8).contains(&lists), "{lists}");
}

#[tokio::test]
async fn calls_are_kept_from_a_server_whose_connections_fail_until_it_works() {
    let stand = Stand::one(Fake::new().on_call(Call::Break), quick());
    stand.pool.discover().await;
    stand.fails(3).await;
    let refused = stand.call(LONG).await.unwrap_err();
    assert!(matches!(&refused, McpError::Resting { reason, .. } if reason.contains("broken")), "{refused}");
    assert_eq!(stand.fake().calls.load(SeqCst), 3);
    assert!(matches!(stand.view().breaker, BreakerState::Open { .. }) && stand.view().tools.is_empty());
    stand.fake().set(Call::Answer);
    eventually(|| stand.view().health.is_healthy()).await;
    assert_eq!((stand.view().breaker, stand.view().tools.len()), (BreakerState::Closed, 1));
    stand.call(LONG).await.unwrap();
}

#[tokio::test]
async fn what_tools_and_the_protocol_refuse_keeps_no_call_away() {
    for call in [Call::Refuse, Call::Fail] {
        let stand = Stand::one(Fake::new().on_call(call), quick());
        for _ in 0..10 {
            assert!(!matches!(stand.call(LONG).await, Err(McpError::Resting { .. })));
        }
        assert_eq!(stand.fake().calls.load(SeqCst), 10);
    }
}

#[tokio::test]
async fn a_slow_tool_of_a_server_that_lives_keeps_no_call_away() {
    let stand = Stand::one(Fake::new().on_call(Call::Hang), quick());
    for _ in 0..6 {
        assert!(matches!(stand.call(SHORT).await, Err(McpError::Timeout { .. })));
        eventually(|| stand.pool.shared.servers["s"].condition().link.is_some_and(|link| !link.is_doubted)).await;
    }
}

#[tokio::test]
async fn only_as_many_requests_as_configured_find_out_whether_a_server_is_back() {
    for probes in [1, 3] {
        let breaker = BreakerOptions { probes, ..quick().breaker };
        let stand = Stand::one(Fake::new().on_call(Call::Break), ServerOptions { breaker, ..quick() });
        stand.pool.discover().await;
        stand.fails(3).await;
        stand.fake().set(Call::Wait);
        stand.fake().lists_hang.store(true, SeqCst);
        let lists = stand.fake().lists.load(SeqCst);
        eventually(|| stand.fake().lists.load(SeqCst) == lists + 1).await;
        // The first one is the pool's own.
        let mut all: Vec<_> = (0..20).map(|_| Box::pin(stand.call(Duration::from_secs(2)))).collect();
        let ended = join_all(all.iter_mut()).await;
        let refused = ended.iter().filter(|end| matches!(end, Err(McpError::Resting { .. }))).count();
        let (own, probes) = (1, usize::try_from(probes).unwrap());
        assert_eq!(refused, 20 - (probes - own), "{ended:?}");
        assert_eq!(usize::try_from(stand.fake().calls.load(SeqCst)).unwrap(), 3 + probes - own);
    }
}

#[tokio::test]
async fn whoever_asks_whatever_is_known_is_not_kept_away() {
    let slow = BreakerOptions { pause: LONG, ..quick().breaker };
    let stand = Stand::one(Fake::new().on_call(Call::Break), ServerOptions { breaker: slow, ..quick() });
    stand.fails(3).await;
    assert!(matches!(stand.call(LONG).await, Err(McpError::Resting { .. })));
    stand.fake().set(Call::Answer);
    assert!(stand.pool.refresh().await.servers[0].health.is_healthy());
    stand.call(LONG).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_while_an_attempt_to_connect_fails_does_not_wait_for_another_one() {
    let fake = Fake::connecting(Connect::Soon);
    *fake.connect_error.lock().unwrap() = Some(McpError::Connect { message: "nobody is there".into() });
    let stand = Stand::one(fake, quick());
    let ends = join_all((0..10).map(|_| stand.call(LONG))).await;
    assert!(ends.iter().all(|end| matches!(end, Err(McpError::Connect { .. }))), "{ends:?}");
    assert_eq!(stand.fake().connects.load(SeqCst), 1);
}

#[tokio::test]
async fn a_start_connects_to_eager_servers_and_to_those_that_are_needed() {
    let lazy = ServerOptions { connect: ConnectWhen::Lazy, ..options() };
    let stand = Stand::one(Fake::new(), &lazy);
    stand.pool.warm();
    stand.pool.require().await.unwrap();
    assert_eq!(stand.fake().connects.load(SeqCst), 0);

    let stand = Stand::one(Fake::new(), options());
    stand.pool.warm();
    eventually(|| stand.view().health.is_healthy()).await;

    let needed = ServerOptions { on_start_failure: OnStartFailure::FailClosed, ..lazy };
    let stand = Stand::one(Fake::new(), &needed);
    stand.pool.require().await.unwrap();
    assert!(stand.view().health.is_healthy());
    let (name, why) = Stand::one(Fake::dead(), needed).pool.require().await.unwrap_err();
    assert_eq!((name.as_str(), matches!(why, McpError::Connect { .. })), ("s", true), "{why}");
}

#[tokio::test]
async fn a_shutdown_ends_an_attempt_to_connect() {
    let stand = Stand::one(Fake::connecting(Connect::Never), options());
    let shutdown = async {
        eventually(|| stand.fake().connects.load(SeqCst) == 1).await;
        stand.pool.shutdown().await;
    };
    let (result, ()) = tokio::join!(stand.call(LONG), shutdown);
    assert!(matches!(result, Err(McpError::Closed { unsent: true, .. })), "{result:?}");
}

#[tokio::test]
async fn a_shutdown_ends_a_discovery_that_nobody_waits_for() {
    let stand = Stand::one(Fake::connecting(Connect::Never), options());
    assert!(timeout(Duration::ZERO, stand.pool.discover()).await.is_err());
    eventually(|| stand.fake().connects.load(SeqCst) == 1).await;
    stand.pool.shutdown().await;
    assert!(stand.pool.tasks.is_empty());
}
