//! What came by one door.

use super::*;

#[tokio::test]
async fn the_overview_of_one_source_has_its_costs_errors_and_waits_and_leads_to_the_others() {
    let site = Site::with_past().await;
    let all = site.document("overview?period=30d").await;
    let sum = |usage: &Value, name: &str| usage["all"][name].as_i64().unwrap();
    let (mut together, mut waits) = ([0; 4], std::collections::BTreeSet::new());
    let names = ["requests", "failed", "refused", "cost"];
    for source in ["slack", "http", "cli", "mcp"] {
        let own = site.document(&format!("overview?period=30d&source={source}")).await;
        let usage = &own["usage"];
        assert_eq!(usage["source"], source);
        let by_portion: i64 = usage["portions"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|portion| portion["sources"][source]["requests"].as_i64())
            .sum();
        assert!(by_portion > 0 && by_portion == sum(usage, "requests"), "{source}");
        for (total, name) in together.iter_mut().zip(names) {
            *total += sum(usage, name);
        }
        waits.insert(usage["p95_ms"].as_u64().unwrap());
        assert!(own["failures"].as_array().unwrap().iter().all(|failure| failure["source"] == source), "{source}");
    }
    assert_eq!(together, names.map(|name| sum(&all["usage"], name)));
    assert!(waits.len() > 1, "{waits:?}");
    assert!(all["failures"].as_array().unwrap().iter().any(|failure| failure["source"] != "cli"), "{all}");

    let page = site.get("overview?period=30d&source=cli").await.reply.is(200).text;
    for part in [
        "href=\"overview?period=30d&#38;source=slack\"",
        "href=\"overview?period=30d&#38;source=cli\" aria-current=\"true\">cli",
        "href=\"overview?period=30d\">all sources",
        "href=\"overview?period=7d&#38;source=cli\">7 days",
        "hx-get=\"overview?period=30d&#38;source=cli\"",
        "href=\"audit?status=failed&#38;days=30&#38;source=cli\"",
        "calls from every source",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let requests = site.document("overview?period=30d&source=cli").await["usage"]["all"]["requests"].clone();
    assert!(page.contains(&format!("<p class=\"value\">{requests}</p>")), "{page}");
    // One that is none has nothing, and is text.
    let none = site.document("overview?source=%3Cb%3E").await;
    assert_eq!((&none["usage"]["all"]["requests"], &none["failures"]), (&json!(0), &json!([])));
    let page = site.get("overview?source=%3Cb%3E").await.reply.is(200).text;
    assert!(!page.contains("<b>") && page.contains("&#60;b&#62; <span"), "{page}");
}

#[tokio::test]
async fn the_log_is_narrowed_down_to_one_source() {
    let site = Site::with_past().await;
    let total = async |query: &str| {
        let path = format!("/audit/logs?days=30&type=chat&limit=1&{query}");
        site.office.get(&site.key, &path).await.is(200).json()["total"].as_u64().unwrap()
    };
    let mut together = 0;
    for source in ["slack", "http", "cli", "mcp"] {
        let found = site.document(&format!("audit?days=30&type=chat&source={source}")).await;
        let logs = found["logs"].as_array().unwrap();
        assert!(!logs.is_empty() && logs.iter().all(|log| log["source"] == source), "{source}: {found}");
        together += total(&format!("source={source}")).await;
    }
    assert_eq!(together, total("").await);
    let page = site.get("audit?days=30&source=cli&limit=2").await.reply.is(200).text;
    assert!(page.contains("<option value=\"cli\" selected>"), "{page}");
    assert!(page.contains("days=30&#38;source=cli&#38;limit=2&#38;after="), "{page}");
    let page = site.get("audit?days=30&source=unknown").await.reply.is(200).text;
    assert!(page.contains("<option value=\"unknown\" selected>"), "{page}");
    let page = site.get("overview?period=30d&source=–").await.reply.is(200).text;
    assert!(page.contains("aria-current=\"true\">unknown <span"), "{page}");
}

#[tokio::test]
async fn those_who_have_no_place_in_a_list_are_told_apart_from_people() {
    let site = Site::open().await;
    let admin = super::lists::operator(&site).await;
    for at in 0..11 {
        let person = format!("person{at:02}@company.com");
        admin.add_user(&person, None, "read_only").await.unwrap();
        let key = site.office.key(&person).await;
        site.office.call(&key, "lab", "echo").await;
    }
    site.office.settle().await;
    let usage = site.document("overview?period=7d").await["usage"].take();
    let people = usage["people"].as_array().unwrap();
    assert!(people.len() == 8 && people.iter().all(|one| one[0].as_str().unwrap().contains('@')), "{usage}");
    assert_eq!((&usage["other_people"]["count"], &usage["other_people"]["sum"]["requests"]), (&json!(3), &json!(3)));
    assert_eq!(usage["other_models"], Value::Null);
    let page = site.get("overview?period=7d").await.reply.is(200).text;
    assert!(page.contains("<li class=\"share others\"><span class=\"grow\">3 others together<"), "{page}");
}
