//! Who sees the pages, and what a browser may do with them.

use omni_core::config::SecurityMode;
use omni_tests::door::Door;

use super::*;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[tokio::test]
async fn whoever_is_not_logged_in_is_shown_where_to_do_that_and_comes_back() {
    let site = Site::open().await;
    let stranger = async |path: &str| Reply::of(site.office.stranger(Method::GET, path)).await;
    for page in PAGES {
        let asked = stranger(&format!("/ui/{page}")).await.is(303);
        assert!(asked.header("location").starts_with("login?next="), "{page}: {}", asked.header("location"));
    }
    let asked = stranger("/ui/audit?status=error").await;
    assert_eq!(asked.header("location"), "login?next=audit%3Fstatus%3Derror");
    assert_eq!(stranger("/ui").await.is(303).header("location"), "ui/overview");
    assert_eq!(stranger("/ui/").await.is(303).header("location"), "overview");
    stranger("/ui/audit.json").await.error(401, "unauthenticated");
    let entered = login(&site.office, &site.key).await.is(303);
    assert_eq!(entered.header("location"), "audit");
    let set = entered.header("set-cookie");
    for part in ["omni-ui=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
        assert!(set.contains(part), "{part}: {set}");
    }
    assert!(!set.contains("omni_"), "the key is sealed: {set}");
}

#[tokio::test]
async fn a_page_of_something_that_went_wrong_has_the_menu_and_the_way_out_for_whoever_was_let_in() {
    let site = Site::open().await;
    for (path, status) in [("server?name=nowhere", 404), ("nowhere", 404), ("keys?after=x", 404)] {
        let page = site.get(path).await.reply.is(status);
        for part in ["href=\"audit\"", "action=\"logout\"", "name=\"csrf\"", BOSS] {
            assert!(page.text.contains(part), "{path}: {part}: {}", page.text);
        }
    }
    let csrf = site.get("nowhere").await.csrf();
    site.post("logout", &[("csrf", &csrf)]).await.is(303);
    // The menu is that of whoever looks, and nobody's who may look at nothing.
    let audrey = site.office.key("audrey@company.com").await;
    let hers = site.office.get(&audrey, "/ui/keys").await.is(403);
    assert!(hers.text.contains("href=\"audit\"") && !hers.text.contains("href=\"keys\""), "{}", hers.text);
    let ada = site.office.key(ADA).await;
    let theirs = site.office.get(&ada, "/ui/keys").await.is(403);
    assert!(!theirs.text.contains("href=\"audit\"") && !theirs.text.contains("csrf"), "{}", theirs.text);
}

#[tokio::test]
async fn over_https_the_cookie_is_for_this_host_and_https_alone() {
    let site = Site::open().await;
    let asked = Reply::of(site.office.stranger(Method::GET, "/ui/login")).await.is(200);
    let held = cookie(&asked, "omni-login");
    let csrf = Shown { reply: asked }.csrf();
    let request = site.office.stranger(Method::POST, "/ui/login").header("cookie", held);
    let request = request.header("origin", "https://omni.company.com");
    let entered = Reply::of(form(request, &[("csrf", &csrf), ("key", &site.key)])).await.is(303);
    let set = entered.header("set-cookie");
    assert!(set.starts_with("__Host-omni=") && set.contains("; Secure"), "{set}");
    let with = site.office.stranger(Method::GET, "/ui/keys").header("cookie", cookie(&entered, "__Host-omni"));
    Reply::of(with).await.is(200);
}

#[tokio::test]
async fn a_key_that_is_wrong_or_not_an_administrators_opens_nothing() {
    let site = Site::open().await;
    let (ada, narrow) = (site.office.key(ADA).await, site.office.key_with(BOSS, &[Scope::Ask, Scope::Tools]).await);
    for key in ["omni_nonsense", "", &ada, &narrow] {
        let refused = login(&site.office, key).await.is(401);
        assert!(
            refused.text.contains("role=\"alert\"") && !refused.text.contains("omni-ui"),
            "{key}: {}",
            refused.text
        );
    }
    for key in [&ada, &narrow] {
        for page in PAGES {
            let asked = site.office.get(key, &format!("/ui/{page}")).await.is(403);
            assert!(asked.text.contains("You may not do this"), "{page}: {}", asked.text);
            assert_eq!(asked.header("content-security-policy"), POLICY);
        }
    }
    // Whoever may read the log alone sees the log.
    let audrey = site.office.key("audrey@company.com").await;
    let log = site.office.get(&audrey, "/ui/audit").await.is(200);
    assert!(log.text.contains("href=\"audit\"") && !log.text.contains("href=\"keys\""), "{}", log.text);
    site.office.get(&audrey, "/ui/keys").await.is(403);
}

#[tokio::test]
async fn a_cookie_is_a_credential_at_the_pages_and_nowhere_else() {
    let site = Site::open().await;
    for path in ["/admin/mcps", "/audit/logs", "/mcp/tools/list", "/confirmations"] {
        let asked = site.office.stranger(Method::GET, path).header("cookie", &site.cookie);
        Reply::of(asked).await.error(401, "unauthenticated");
    }
}

#[tokio::test]
async fn after_the_logout_and_after_the_key_is_taken_back_the_cookie_opens_nothing() {
    let site = Site::open().await;
    let csrf = site.get("keys").await.csrf();
    site.post("logout", &[]).await.is(403);
    let left = site.post("logout", &[("csrf", &csrf)]).await.is(303);
    assert!(left.headers.get_all("set-cookie").iter().all(|set| set.to_str().unwrap().contains("Max-Age=0")));
    assert!(site.get("keys").await.reply.is(303).header("location").starts_with("login"));

    let again = Site::open().await;
    let keys = again.document("keys?user=boss%40company.com").await;
    let id = keys["keys"][0]["id"].to_string();
    let csrf = again.get("keys").await.csrf();
    again.post("keys", &[("csrf", &csrf), ("do", "revoke"), ("id", &id)]).await.is(303);
    again.get("keys").await.reply.is(303);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_changes_nothing() {
    let site = Site::open().await;
    let other = Site::open().await.get("keys").await.csrf();
    let id = site.park("Drop it").await;
    let forms: [(&str, &[(&str, &str)]); 6] = [
        ("servers", &[]),
        ("server", &[("server", "lab"), ("tool", "echo"), ("digest", "0")]),
        ("tool", &[("server", "lab"), ("tool", "echo"), ("arg.message", "hi")]),
        ("user", &[("email", "new@company.com"), ("do", "role"), ("role", "dba")]),
        ("approvals", &[("id", &id), ("do", "approve")]),
        ("keys", &[("do", "create"), ("user", BOSS), ("scope", "ask")]),
    ];
    for (page, fields) in forms {
        for csrf in ["", "0000", &other] {
            let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf)]).collect();
            let refused = site.post(page, &fields).await.is(403);
            assert!(refused.text.contains("this form is of no page of yours"), "{page}: {}", refused.text);
        }
    }
    let own = site.get("keys").await.csrf();
    let request = site.office.stranger(Method::POST, "/ui/servers").header("cookie", &site.cookie);
    Reply::of(form(request.header("sec-fetch-site", "cross-site"), &[("csrf", &own)])).await.is(403);
    assert_eq!(site.office.lab.calls(), 0);
    assert_eq!(site.document("approvals").await["waiting"][0]["id"], json!(id));
}

#[tokio::test]
async fn every_page_says_what_a_browser_may_do_with_it() {
    let site = Site::open().await;
    for page in PAGES.into_iter().filter(|page| !page.starts_with("ask")).chain(["login"]) {
        let shown = site.get(page).await.reply.is(200);
        assert_eq!(shown.header("content-security-policy"), POLICY, "{page}");
        assert_eq!((shown.header("cache-control"), shown.header("x-frame-options")), ("no-store", "DENY"), "{page}");
        assert_eq!(shown.header("referrer-policy"), "same-origin", "{page}");
        for inline in ["<script>", " style=", "onclick=", "<style", "src=\"http", "href=\"http", "javascript:"] {
            assert!(!shown.text.contains(inline), "{page} has {inline}: {}", shown.text);
        }
    }
    let page = site.get("keys").await.reply.text;
    for (asset, kind) in [("app.css", "text/css"), ("app.js", "text/javascript"), ("htmx.min.js", "text/javascript")] {
        // Its address changes with what is in it, and so it is kept for good.
        let (_, rest) = page.split_once(&format!("\"assets/{asset}?v=")).unwrap();
        let digest = rest.split('"').next().unwrap();
        for (query, cached) in [
            (format!("?v={digest}"), "public, max-age=31536000, immutable"),
            (String::new(), "no-cache"),
            ("?v=0".into(), "no-cache"),
        ] {
            let file = site.office.stranger(Method::GET, &format!("/ui/assets/{asset}{query}"));
            let file = Reply::of(file).await.is(200);
            assert!(file.header("content-type").starts_with(kind), "{asset}");
            assert_eq!(file.header("cache-control"), cached, "{asset}{query}");
        }
    }
    let licence = Reply::of(site.office.stranger(Method::GET, "/ui/assets/htmx.LICENSE")).await.is(200);
    assert!(licence.text.contains("BSD"));
    Reply::of(site.office.stranger(Method::GET, "/ui/assets/..%2f..%2fCargo.toml")).await.is(404);
}

#[tokio::test]
async fn where_it_is_switched_off_there_is_no_such_page() {
    let door = Door::with(|config| config.dashboard = false, |builder| builder).await;
    let key = door.key(BOSS, &Scope::ALL).await;
    for path in ["/ui", "/ui/overview", "/ui/login", "/ui/assets/app.css"] {
        door.get(path).await.is(401);
        door.get_by(&key, path).await.error(404, "not_found");
    }
    door.end().await;
}

#[tokio::test]
async fn a_pipeline_that_a_program_built_has_pages_too() {
    let door = Door::new().await;
    let key = door.key(BOSS, &Scope::ALL).await;
    let overview = door.get_by(&key, "/ui/overview").await.is(200);
    assert!(overview.text.contains("Sums over time need a database"), "{}", overview.text);
    let settings = door.get_by(&key, "/ui/settings").await.is(200);
    assert!(settings.text.contains("a program built this omni"), "{}", settings.text);
    door.get_by(&key, "/ui/approvals").await.is(200);
    door.end().await;
}

#[tokio::test]
async fn where_whoever_comes_is_trusted_they_still_log_in_and_bring_the_forms_token() {
    let door = Door::with(|config| config.mode = SecurityMode::TrustedLocal, |builder| builder).await;
    door.get("/ui/overview").await.is(303);
    let asked = door.get("/ui/login").await.is(200);
    assert!(asked.text.contains("Go on as "), "{}", asked.text);
    let held = cookie(&asked, "omni-login");
    let csrf = Shown { reply: asked }.csrf();
    let enter = async |csrf: &str| {
        let request = door.request(Method::POST, "/ui/login").header("cookie", &held);
        Reply::of(form(request, &[("csrf", csrf), ("known", "yes")])).await
    };
    enter("another").await.is(403);
    let own = cookie(&enter(&csrf).await.is(303), "omni-ui");
    let with = async |method: Method, path: &str| {
        let request = door.request(method, path).header("cookie", &own);
        Reply::of(form(request, &[])).await
    };
    with(Method::GET, "/ui/overview").await.is(200);
    with(Method::POST, "/ui/servers").await.is(403);
    // What passed through a proxy is nobody's who is trusted for being here.
    let passed =
        door.request(Method::GET, "/ui/overview").header("cookie", &own).header("x-forwarded-for", "203.0.113.9");
    Reply::of(passed).await.is(303);
    door.end().await;
}

#[tokio::test]
async fn a_key_that_may_administrate_and_nothing_else_sees_the_pages_without_what_waits() {
    let site = Site::open().await;
    site.park("Drop the table").await;
    let key = site.office.key_with(BOSS, &[Scope::Admin]).await;
    login(&site.office, &key).await.is(303);
    for page in ["overview", "approvals", "limits"] {
        let shown = Reply::of(site.office.request(Method::GET, &key, &format!("/ui/{page}.json"))).await.is(200);
        assert!(!shown.text.contains("drop_table"), "{page}: {}", shown.text);
    }
}

#[tokio::test]
async fn a_form_of_another_sites_page_changes_nothing_whoever_vouches_for_the_browser() {
    let site = Site::open().await;
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let request = site.office.request(Method::POST, &site.key, "/ui/keys").header(name, value);
        Reply::of(form(request, &[("do", "create"), ("owner", BOSS), ("scopes", "ask")])).await.is(403);
    }
}

#[tokio::test]
async fn nobody_is_logged_in_by_a_form_that_no_page_of_ours_made() {
    let site = Site::open().await;
    let own: &[(&str, &str)] = &[("key", &site.key)];
    let (empty, guessed) = ([own, &[("csrf", "")]].concat(), [own, &[("csrf", "0000")]].concat());
    for fields in [own, &empty, &guessed] {
        for held in [None, Some("omni-login=")] {
            let request = site.office.stranger(Method::POST, "/ui/login");
            let request = held.into_iter().fold(request, |request, held| request.header("cookie", held));
            let refused = Reply::of(form(request, fields)).await.is(403);
            assert!(refused.text.contains("this form is of no page of yours"), "{held:?}: {}", refused.text);
            assert_eq!(refused.header("set-cookie"), "", "{held:?}");
        }
    }
}
