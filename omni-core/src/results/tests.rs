use std::time::Duration;

use serde_json::{json, value::RawValue};

use super::{KeptCall, Owner, ResultFilter, ResultStore, memory::MemoryResults};
use crate::{
    catalog::Catalog,
    identity::Principal,
    policy::{Grant, Role, RuleSet},
    testing::result_store_contract,
};

#[tokio::test]
async fn results_in_memory_keep_the_contract() {
    result_store_contract(&MemoryResults::new()).await;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test(flavor = "multi_thread")]
async fn results_in_a_database_keep_the_contract() {
    use super::sql::SqlResults;
    use crate::{people::Tables, testing::shared_result_store_contract};

    let dir = tempfile::TempDir::new().unwrap();
    #[allow(unused_mut, reason = "with PostgreSQL there are two")]
    let mut urls = vec![dir.path().join("omni.db").display().to_string()];
    #[cfg(feature = "postgres")]
    urls.extend(crate::testing::postgres_schema().await);
    for url in urls {
        let [one, other] = [(); 2].map(|()| SqlResults::new(Tables::at(&*url)));
        result_store_contract(&one).await;
        shared_result_store_contract(&one, &other).await;
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn whoever_only_looks_for_results_makes_no_database() {
    use super::sql::SqlResults;
    use crate::people::Tables;

    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("omni.db");
    let store = SqlResults::new(Tables::at(file.display().to_string()));
    let ada = Owner::new("default", "ada");
    assert!(store.list(ada, &ResultFilter::default()).await.unwrap().is_empty());
    assert!(store.read(ada, "r_x").await.unwrap().is_none());
    assert_eq!((store.forget(ada, &ResultFilter::default()).await.unwrap(), store.sweep().await.unwrap()), (0, 0));
    assert!(!file.exists());
}

fn call(arguments: &str) -> KeptCall {
    let arguments = RawValue::from_string(arguments.into()).unwrap();
    KeptCall::new(Owner::new("default", "ada@x.org"), "lab", "rows", arguments)
}

fn grant(subject: &str, rules: std::sync::Arc<RuleSet>) -> Grant {
    Grant::new(Principal::email(subject), Role::new("dba"), rules)
}

#[test]
fn a_result_is_for_its_asker_for_as_long_as_they_may_use_the_tool() {
    let catalog = Catalog::default();
    let kept = call("{}");
    assert!(kept.is_for(&grant("ada@x.org", RuleSet::allow_all()), &catalog));
    assert!(!kept.is_for(&grant("eve@x.org", RuleSet::allow_all()), &catalog), "it is hers alone");
    assert!(!kept.is_for(&grant("ada@x.org", RuleSet::deny_all()), &catalog));
    let only_others = RuleSet::builder().allow("lab", "echo").build().unwrap();
    assert!(!kept.is_for(&grant("ada@x.org", only_others), &catalog));
}

#[test]
fn arguments_with_a_secret_hold_only_under_the_rules_of_then() {
    let mut kept = call(&json!({ "token": "[redacted]" }).to_string());
    (kept.is_whole, kept.rules) = (false, RuleSet::allow_all().fingerprint().to_owned());
    assert!(kept.is_for(&grant("ada@x.org", RuleSet::allow_all()), &Catalog::default()));
    let same = RuleSet::builder().allow("lab", "*").build().unwrap();
    assert!(!kept.is_for(&grant("ada@x.org", same), &Catalog::default()));
}

#[test]
fn ids_are_short_and_never_the_same() {
    let ids: std::collections::HashSet<String> = (0..1_000).map(|_| call("{}").id).collect();
    assert_eq!(ids.len(), 1_000);
    let is_fit =
        |id: &String| id.len() == 12 && id.starts_with("r_") && id[2..].bytes().all(|b| b.is_ascii_alphanumeric());
    assert!(ids.iter().all(is_fit), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_over_in_memory_is_gone_by_the_clock_that_nobody_sets() {
    let store = MemoryResults::new();
    let kept = super::KeptResult::new(call("{}"), "rows", None);
    store.keep(&kept, Duration::from_secs(60)).await.unwrap();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(store.read(kept.call.owner(), &kept.call.id).await.unwrap().is_some());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(store.read(kept.call.owner(), &kept.call.id).await.unwrap().is_none());
    assert_eq!(store.sweep().await.unwrap(), 1);
}
