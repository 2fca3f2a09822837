//! The overview says what the tools say.

use super::{super::overview::Stretch, *};

#[tokio::test]
async fn the_portions_of_an_overview_are_all_that_was_asked() {
    for store in stores().await {
        append(&store, &history().chain(&SealKey::generate())).await;
        let analytics = Analytics::new(store.db().clone());
        let tenant = Principal::email("dba@company.com").tenant;
        for (stretch, portions, since) in [
            (Stretch::Day, 24, "2026-03-30T16:00:00Z"),
            (Stretch::Week, 7, "2026-03-25T00:00:00Z"),
            (Stretch::Month, 30, "2026-03-02T00:00:00Z"),
        ] {
            let found = analytics.overview(&tenant, stretch, now()).await.unwrap();
            assert_eq!(found.portions.len(), portions);
            assert_eq!(found.portions[0].begins, since.parse::<DateTime<Utc>>().unwrap());
            let caller = Principal::email("dba@company.com");
            let ask = async |tool: &str, more: Value| {
                let mut args = arguments(json!({ "since": since }));
                args.extend(arguments(more));
                analytics.ask_at(&caller, tool, args, now()).await.unwrap().document
            };
            let costs = ask("get_cost_summary", json!({})).await;
            assert_eq!(costs["totals"]["queries"], found.all.requests, "{stretch:?}: {costs}");
            let usd = costs["totals"]["cost_usd"].as_f64().unwrap();
            assert!((usd - found.all.cost as f64 / 1e9).abs() < 1e-6, "{stretch:?}: {usd} {:?}", found.all);
            let waits = ask("get_latency_percentiles", json!({ "group_by": "request" })).await;
            assert_eq!(json!(found.p95_ms), waits["requests"][0]["p95_ms"], "{stretch:?}: {waits}");
            let calls: u64 =
                found.portions.iter().flat_map(|portion| portion.servers.values()).map(|(all, _)| all).sum();
            let tools = ask("get_tool_popularity", json!({ "limit": 100 })).await;
            assert_eq!(tools["totals"]["calls"], calls, "{stretch:?}: {tools}");
            let models: u64 = found.models.iter().map(|(_, sum)| sum.requests).sum();
            assert_eq!(models, found.all.requests, "{stretch:?}");
            assert!(found.before.requests > 0, "{stretch:?}");
        }
        let other = analytics.overview("other", Stretch::Month, now()).await.unwrap();
        assert_eq!((other.all.requests, other.p95_ms), (0, None));
    }
}
