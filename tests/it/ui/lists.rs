//! Lists that are longer than a page.

use std::collections::BTreeSet;

use omni_core::{
    Source,
    identity::{Credential, Scopes},
    omni::{Admin, NewKey},
};

use super::*;

pub(super) async fn operator(site: &Site) -> Admin {
    let operator = Credential::Local { os_user: "root".into(), act_as: None };
    site.office.omni.admin(operator, Source::Cli).await.unwrap()
}

/// Reads a list to its end; how long each page was, and what was on them.
async fn read(site: &Site, page: &str, list: &str, name: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut found, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        let query = encoded(&[("after", &next)]);
        let document = site.document(&format!("{page}{query}")).await;
        let rows = document[list].as_array().unwrap();
        sizes.push(rows.len());
        found.extend(rows.iter().map(|row| row[name].to_string()));
        next = match &document["next"] {
            Value::Null => return (sizes, found),
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        assert!(sizes.len() < 20, "{page} does not end: {sizes:?}");
    }
}

fn are_all_different(found: &[String]) -> bool {
    found.iter().collect::<BTreeSet<_>>().len() == found.len()
}

/// The address that a page's link to more of it has.
fn more(page: &str, to: &str) -> String {
    let start = page.find(&format!("href=\"{to}?")).unwrap_or_else(|| panic!("no link to more in {page}"));
    let address = page[start + "href=\"".len()..].split('"').next().unwrap();
    address.replace("&#38;", "&")
}

#[tokio::test]
async fn people_and_their_limits_go_on_where_a_page_ended() {
    let site = Site::open().await;
    let admin = operator(&site).await;
    for at in 0..60 {
        admin.add_user(&format!("person{at:02}@company.com"), None, "read_only").await.unwrap();
    }
    let total = site.document("users").await["total"].as_u64().unwrap() as usize;
    assert!(total >= 66, "{total}");
    for (page, size) in [("users", 50), ("limits", 20)] {
        let list = if page == "users" { "users" } else { "people" };
        let (sizes, found) = read(&site, &format!("{page}?"), list, "email").await;
        assert_eq!((sizes[0], found.len()), (size, total), "{page}: {sizes:?}");
        assert!(are_all_different(&found), "{page}: {found:?}");
        let first = site.get(page).await.reply.is(200);
        let second = site.get(&more(&first.text, page)).await.reply.is(200);
        let is_there = |at: usize| second.text.contains(found[at].trim_matches('"'));
        assert!(is_there(size) && !is_there(size - 1), "{page}: {}", second.text);
    }
}

#[tokio::test]
async fn keys_go_on_where_a_page_ended_and_one_persons_too() {
    let site = Site::open().await;
    let admin = operator(&site).await;
    for _ in 0..55 {
        admin.create_key(NewKey::new(ADA, Scopes::from_iter([Scope::Ask]))).await.unwrap();
    }
    let (sizes, found) = read(&site, "keys?", "keys", "id").await;
    assert_eq!((sizes, found.len()), (vec![50, 6], 56), "with the one of whoever looks");
    assert!(are_all_different(&found), "{found:?}");
    let (sizes, of_ada) = read(&site, "keys?user=ada%40company.com&", "keys", "id").await;
    assert_eq!((sizes, of_ada.len()), (vec![50, 5], 55));
    let first = site.get("keys?user=ada%40company.com").await.reply.is(200);
    let next = more(&first.text, "keys");
    assert!(next.contains("user=ada%40company.com") && next.contains("after="), "{next}");
    let second = site.get(&next).await.reply.is(200);
    assert!(second.text.contains("Newest") && second.text.contains("5 on this page"), "{}", second.text);
    // A key is taken back from any page of them.
    let csrf = Shown { reply: second }.csrf();
    site.post("keys", &[("csrf", &csrf), ("do", "revoke"), ("id", &of_ada[54])]).await.is(303);
    site.get("keys?after=x").await.reply.is(404);
}

#[tokio::test]
async fn the_log_goes_on_where_a_page_ended() {
    let site = Site::with_past().await;
    let (sizes, found) = read(&site, "audit?days=30&type=tool_call&limit=7&", "logs", "request_id").await;
    assert!(sizes.len() > 1 && sizes[0] == 7 && are_all_different(&found), "{sizes:?}");
    let first = site.get("audit?days=30&limit=7").await.reply.is(200);
    let second = site.get(&more(&first.text, "audit")).await.reply.is(200);
    assert!(second.text.contains("Newest") && second.text.contains("rel=\"next\""), "{}", second.text);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_at_its_field_and_stays_as_it_was_written() {
    let site = Site::open().await;
    let wrong = site.get("audit?since=yesterday&until=2026-01-31&days=many&user=ada%40company.com").await;
    let page = wrong.reply.is(422);
    for part in [
        "name=\"since\" type=\"text\" value=\"yesterday\" aria-invalid=\"true\" aria-describedby=\"f-since-why\"",
        "id=\"f-since-why\">expected a time such as 2026-01-31T08:00:00Z, or a day such as 2026-01-31",
        "name=\"until\" type=\"date\" value=\"2026-01-31\">",
        "<code>days</code>: expected a whole number, found &#34;many&#34;",
        "value=\"ada@company.com\"",
        "Nothing was looked for.",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(page.text.contains("href=\"keys\"") && page.text.contains("action=\"logout\""), "{}", page.text);
    for (query, field) in [("limit=0", "limit"), ("limit=x", "limit"), ("days=400", "days"), ("after=x", "after")] {
        let page = site.get(&format!("audit?{query}")).await.reply.is(422);
        assert!(page.text.contains(&format!("<code>{field}</code>")), "{query}: {}", page.text);
        let document = site.get(&format!("audit.json?{query}")).await.reply;
        assert_eq!(document.error(422, "invalid")[0]["loc"], json!(["query", field]), "{query}");
    }
    // A time is no day, and is shown all the same.
    let page = site.get("audit?since=2026-01-31T08%3A00%3A00Z").await.reply.is(200);
    assert!(page.text.contains("type=\"text\" value=\"2026-01-31T08:00:00Z\""), "{}", page.text);
}
