use serde_json::json;

use super::*;
use crate::testing::kept_store_contract;

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_keeps_what_frontends_do() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("omni.db").display());
    let store = sql::SqlKept::new(crate::people::Tables::at(url));
    assert_eq!(store.get("door", "key").await.unwrap(), None);
    assert!(!dir.path().join("omni.db").exists(), "whoever only reads makes no database");
    kept_store_contract(&store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_keeps_what_frontends_do() {
    if let Some(url) = crate::testing::postgres_schema().await {
        kept_store_contract(&sql::SqlKept::new(crate::people::Tables::at(url))).await;
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn what_is_too_long_is_refused_with_its_bounds() {
    let kept = Kept::of(Arc::new(sql::SqlKept::new(crate::people::Tables::at("sqlite::memory:"))), "door");
    let too_long = [
        kept.put(&"k".repeat(MAX_KEY + 1), &json!(1)).await,
        kept.put("a\0", &json!(1)).await,
        kept.put("key", &json!("v".repeat(MAX_VALUE))).await,
    ];
    for refused in too_long {
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    kept.put("key", &json!(1)).await.unwrap();
    assert!(!kept.claim("key", Duration::from_secs(1)).await.unwrap());
    kept.release("key").await.unwrap();
    assert!(kept.claim("key", Duration::from_secs(1)).await.unwrap());
}
