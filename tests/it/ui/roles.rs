//! Whose the pages are: every page, its document and every form ask that themselves.

use omni_core::identity::Credential;

use super::*;

/// Every form, with what it takes to do something.
const FORMS: [(&str, &[(&str, &str)]); 9] = [
    ("servers", &[]),
    ("server", &[("server", "lab"), ("tool", "echo"), ("digest", "0")]),
    ("tool", &[("server", "lab"), ("tool", "echo"), ("arg.message", "hi")]),
    ("user", &[("email", "new@company.com"), ("do", "role"), ("role", "dba")]),
    ("user", &[("email", ADA), ("do", "disable")]),
    ("user", &[("email", ADA), ("do", "enable")]),
    ("user", &[("email", ADA), ("do", "approve")]),
    ("keys", &[("do", "create"), ("user", ADA), ("scope", "ask")]),
    ("keys", &[("do", "revoke"), ("id", "1")]),
];

/// A page's name and query.
fn parts(page: &str) -> (&str, &str) {
    page.split_once('?').unwrap_or((page, ""))
}

async fn post(site: &Site, key: &str, page: &str, fields: &[(&str, &str)]) -> Reply {
    Reply::of(form(site.office.request(Method::POST, key, &format!("/ui/{page}")), fields)).await
}

/// Nobody was let in, and nothing was done.
async fn nothing_was_done(site: &Site, keys: usize) {
    assert_eq!(site.office.lab.calls(), 0);
    let people = site.document("users").await["users"].take();
    assert!(people.as_array().unwrap().iter().all(|one| one["email"] != "new@company.com"), "{people}");
    let ada = site.document("user?email=ada%40company.com").await;
    assert_eq!((&ada["user"]["role"], &ada["user"]["status"]), (&json!("dba"), &json!("active")));
    assert_eq!(site.document("keys").await["keys"].as_array().unwrap().len(), keys);
}

#[tokio::test]
async fn somebody_who_administrates_nothing_sees_no_document_and_no_form_does_anything_for_them() {
    let site = Site::open().await;
    let id = site.park("Drop it").await;
    let ada = site.office.key(ADA).await;
    let asked = site.newest().await;
    let keys = site.document("keys").await["keys"].as_array().unwrap().len();
    for page in PAGES {
        let page = if page == "ask?id=" { format!("ask?id={asked}") } else { page.to_owned() };
        let (name, query) = parts(&page);
        site.office.get(&ada, &format!("/ui/{name}.json?{query}")).await.error(403, "denied");
        site.office.get(&ada, &format!("/ui/{page}")).await.is(403);
    }
    site.office.get(&ada, "/ui/events?page=approvals").await.is(403);
    for (page, fields) in FORMS {
        for name in [page.to_owned(), format!("{page}.json")] {
            post(&site, &ada, &name, fields).await.is(403);
        }
    }
    for verdict in ["approve", "deny"] {
        post(&site, &ada, "approvals", &[("id", &id), ("do", verdict)]).await.is(403);
    }
    nothing_was_done(&site, keys).await;
    assert_eq!(site.document("approvals").await["waiting"][0]["id"], json!(id));
}

#[tokio::test]
async fn whoever_may_read_the_log_reads_that_and_changes_nothing() {
    let site = Site::open().await;
    let id = site.park("Drop it").await;
    let audrey = site.office.key("audrey@company.com").await;
    let asked = site.newest().await;
    let keys = site.document("keys").await["keys"].as_array().unwrap().len();
    for page in PAGES {
        let page = if page == "ask?id=" { format!("ask?id={asked}") } else { page.to_owned() };
        let (name, query) = parts(&page);
        let is_theirs = ["overview", "audit", "ask", "approvals"].contains(&name);
        let document = site.office.get(&audrey, &format!("/ui/{name}.json?{query}")).await;
        assert_eq!(document.status, if is_theirs { 200 } else { 403 }, "{page}: {}", document.text);
    }
    for (page, fields) in FORMS {
        post(&site, &audrey, page, fields).await.is(403);
    }
    // To whoever may not decide there is no such call.
    post(&site, &audrey, "approvals", &[("id", &id), ("do", "approve")]).await.is(404);
    nothing_was_done(&site, keys).await;
}

#[tokio::test]
async fn an_administrator_of_another_tenant_sees_nothing_of_this_one_and_changes_nothing_of_all() {
    let site = Site::open().await;
    let id = site.park("Drop it").await;
    let asked = site.newest().await;
    let other = site.office.key_elsewhere(BOSS).await;
    let who = site.office.omni.authenticate(Credential::api_key(other.clone())).await.unwrap();
    assert_eq!(who.tenant, "other");
    let keys = site.document("keys").await["keys"].as_array().unwrap().len();
    for page in PAGES {
        let page = if page == "ask?id=" { format!("ask?id={asked}") } else { page.to_owned() };
        let (name, query) = parts(&page);
        let document = site.office.get(&other, &format!("/ui/{name}.json?{query}")).await;
        let expected = match name {
            "overview" | "audit" | "approvals" => 200,
            "ask" => 404,
            _ => 403,
        };
        assert_eq!(document.status, expected, "{page}: {}", document.text);
        assert!(!document.text.contains(&asked) || name == "ask", "{page}: {}", document.text);
        assert!(!document.text.contains("drop_table") && !document.text.contains(&id), "{page}: {}", document.text);
    }
    for (page, fields) in FORMS {
        post(&site, &other, page, fields).await.is(403);
    }
    for verdict in ["approve", "deny"] {
        post(&site, &other, "approvals", &[("id", &id), ("do", verdict)]).await.is(404);
    }
    nothing_was_done(&site, keys).await;
}

#[tokio::test]
async fn whoever_decides_on_nothing_of_others_is_not_told_that_nothing_waits_at_all() {
    let settings = SETTINGS.lines().filter(|line| !line.starts_with("approvals:")).collect::<Vec<_>>().join("\n");
    let plan = Plan { settings, mcps: MCPS.into(), model: Some(model()), lab: lab(), past: None };
    let office = Office::of(plan).await;
    let (boss, chief) = (office.key(BOSS).await, office.key("chief@company.com").await);
    office.post(&boss, "/chat/ask", &json!({ "message": "Drop it" })).await.is(202);
    let page = async |key: &str, name: &str| office.get(key, &format!("/ui/{name}")).await.is(200).text;
    let approvals = page(&chief, "approvals").await;
    assert!(approvals.contains("Nothing waits for a decision of yours.</p>"), "{approvals}");
    assert!(approvals.contains("data-said=\"Nothing waits for a decision of yours\""), "{approvals}");
    let overview = page(&chief, "overview").await;
    assert!(overview.contains("nothing waits for a decision of yours"), "{overview}");
    assert!(overview.contains("data-said=\"Nothing waits for a decision of yours\""), "{overview}");
    let asker = page(&boss, "approvals").await;
    assert!(asker.contains("data-said=\"1 call waits for a decision\""), "{asker}");
}
