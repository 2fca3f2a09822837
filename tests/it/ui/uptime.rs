//! How servers did over time, also those that nobody calls.

use omni_core::uptime::MAX_READ;
use omni_tests::rig::until_some;

use super::*;

/// What the overview says of a server's newest portion of time, once it says something: watched, and away.
async fn newest(site: &Site, server: &str) -> (u64, u64) {
    until_some(async || {
        let overview = site.document("overview?period=7d").await;
        let servers = overview["servers"].as_array().unwrap();
        let health = servers.iter().find(|one| one["name"] == server).unwrap()["health"].as_array().unwrap();
        assert_eq!(health.len(), 7, "{health:?}");
        let last = health.iter().rev().find(|portion| portion["watched_ms"] != 0)?;
        Some((last["watched_ms"].as_u64().unwrap(), last["away_ms"].as_u64().unwrap()))
    })
    .await
}

#[tokio::test]
async fn servers_that_nobody_calls_have_a_history() {
    let site = Site::open().await;
    let (watched, away) = newest(&site, "lab").await;
    assert!(watched > 0 && away == 0, "{watched} {away}");
    let (watched, away) = newest(&site, "away").await;
    assert!(watched > 0 && away == watched, "{watched} {away}");
    let page = site.get("overview").await.reply.is(200).text;
    assert!(page.contains("Health of lab over time") && page.contains(": healthy</title>"), "{page}");
    assert!(page.contains(": away for ") && page.contains(": not watched</title>"), "{page}");
    let calls = page.matches("aria-label=\"Calls of").count();
    assert_eq!(calls, 0, "nobody called any");
    let off = site.document("overview").await["servers"].as_array().unwrap().clone();
    let off = off.into_iter().find(|server| server["name"] == "off").unwrap();
    assert!(off["health"].as_array().unwrap().iter().all(|portion| portion["watched_ms"] == 0), "{off}");
}

#[tokio::test]
async fn when_and_why_a_server_was_away_is_told_on_its_page_and_outlives_the_process() {
    let site = Site::open().await;
    let (watched, _) = newest(&site, "lab").await;
    assert!(watched > 0);
    site.office.lab.leave();
    let csrf = site.get("servers").await.csrf();
    site.post("servers", &[("csrf", &csrf)]).await.is(303);
    let absence = async |site: &Site| {
        until_some(async || {
            let past = site.document("server?name=lab").await["health"].take();
            Some(past["away"][0].clone()).filter(|away| !away.is_null())
        })
        .await
    };
    let away = absence(&site).await;
    assert_eq!((&away["server"], &away["is_up"]), (&json!("lab"), &json!(false)), "{away}");
    assert!(away["reason"].as_str().unwrap().contains("nobody listens"), "{away}");
    let page = site.get("server?name=lab").await.reply.is(200).text;
    assert!(page.contains("When it was away") && page.contains("nobody listens"), "{page}");
    site.office.lab.come_back();
    site.post("servers", &[("csrf", &csrf)]).await.is(303);
    until_some(async || {
        let shown = site.get("server?name=lab").await.reply.is(200).text;
        shown.contains("\"badge ok\">healthy").then_some(())
    })
    .await;
    // Another process over the same files knows it too.
    site.office.omni.shutdown().await;
    let office = site.office.beside().await;
    let beside = Site { cookie: site.cookie.clone(), key: site.key.clone(), office };
    let kept = absence(&beside).await;
    assert_eq!((&kept["began_at"], &kept["reason"]), (&away["began_at"], &away["reason"]));
    // Whoever may not see servers is told nothing of how they did.
    let audrey = beside.office.key("audrey@company.com").await;
    let overview = beside.office.get(&audrey, "/ui/overview.json").await.is(200).json();
    assert_eq!(overview["servers"], json!([]), "{overview}");
    beside.office.get(&audrey, "/ui/server.json?name=lab").await.is(403);
}

/// As many spells of a server as are read at once, one a minute.
async fn fill(site: &Site) {
    const SPELLS: &str = "INSERT INTO server_spells (server, watcher, began_at, last_at, is_up)
        WITH RECURSIVE ago (minutes) AS (SELECT 1 UNION ALL SELECT minutes + 1 FROM ago WHERE minutes < ?1),
            seen (at) AS (SELECT strftime('%Y-%m-%d %H:%M:%S.000000', 'now', '-' || minutes || ' minutes') FROM ago)
        SELECT 'lab', ?2, at, at, 1 FROM seen";
    let pool = sqlx::SqlitePool::connect(&site.office.database()).await.unwrap();
    let (many, watcher) = (i64::try_from(MAX_READ).unwrap(), uuid::Uuid::nil().to_string());
    sqlx::query(SPELLS).bind(many).bind(watcher).execute(&pool).await.unwrap();
}

#[tokio::test]
async fn a_history_of_which_more_is_kept_than_is_read_says_since_when_it_is_all() {
    let site = Site::open().await;
    newest(&site, "lab").await;
    fill(&site).await;
    let words = "is left out: there is too much of it";
    let since = |when: &Value| when.as_str().unwrap().parse::<chrono::DateTime<Utc>>().unwrap();
    let first = Utc::now() - chrono::TimeDelta::minutes(i64::try_from(MAX_READ).unwrap());
    for (page, at) in [("server?name=lab", "/health/complete_since"), ("overview?period=30d", "/health_complete_since")]
    {
        let cut = since(site.document(page).await.pointer(at).unwrap());
        assert!((cut - first).abs() < chrono::TimeDelta::minutes(10), "{page}: {cut}");
        let told = format!("What was before {} UTC {words}", cut.format("%Y-%m-%d %H:%M:%S"));
        assert!(site.get(page).await.reply.is(200).text.contains(&told), "{page}: {told}");
    }
    // Of a day there is no more than is read.
    assert_eq!(site.document("overview?period=24h").await["health_complete_since"], Value::Null);
    assert!(!site.get("overview?period=24h").await.reply.is(200).text.contains(words));
    assert_eq!(site.document("server?name=away").await["health"]["complete_since"], Value::Null);
}
