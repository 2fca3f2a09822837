//! How sessions end, whose they are, and over what their cookies travel.

use omni_tests::door::Door;

use super::*;

/// A request with a session.
fn with(office: &Office, method: Method, page: &str, session: &str) -> RequestBuilder {
    office.stranger(method, &format!("/ui/{page}")).header("cookie", session)
}

#[tokio::test]
async fn a_logout_counts_in_every_process_that_shares_the_database() {
    let site = Site::open().await;
    let beside = site.office.beside().await;
    let csrf = Shown { reply: Reply::of(with(&beside, Method::GET, "keys", &site.cookie)).await.is(200) }.csrf();
    let forms =
        async || Reply::of(form(with(&beside, Method::POST, "servers", &site.cookie), &[("csrf", &csrf)])).await;
    assert_eq!(forms().await.is(303).header("location"), "servers?notice=refreshed");
    site.post("logout", &[("csrf", &csrf)]).await.is(303);
    // What changes something asks at once; what is only looked at, after a few seconds at the latest.
    assert_eq!(forms().await.is(303).header("location"), "login");
    assert_eq!(
        Reply::of(with(&beside, Method::GET, "keys", &site.cookie)).await.is(303).header("location"),
        "login?next=keys"
    );
    // Another one, which is only looked at.
    let again = cookie(&login(&site.office, &site.key).await.is(303), "omni-ui");
    let csrf = Shown { reply: Reply::of(with(&beside, Method::GET, "keys", &again)).await.is(200) }.csrf();
    Reply::of(form(with(&site.office, Method::POST, "logout", &again), &[("csrf", &csrf)])).await.is(303);
    for _ in 0..600 {
        if Reply::of(with(&beside, Method::GET, "keys", &again)).await.status == 303 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the other process never learns of it");
}

#[tokio::test]
async fn a_session_behind_a_proxy_is_of_whoever_began_it() {
    let proxy = "security: { proxy: { trusted: [127.0.0.1], email_header: X-Auth-Email } }";
    let settings = format!("llm: {{ provider: offline }}\n{proxy}");
    let office = Office::of(Plan { settings, ..Plan::default() }).await;
    let asked = office.stranger(Method::GET, "/ui/login").header("x-auth-email", BOSS);
    let asked = Reply::of(asked).await.is(200);
    assert!(asked.text.contains(&format!("Go on as {BOSS}")), "{}", asked.text);
    let held = cookie(&asked, "omni-login");
    let csrf = Shown { reply: asked }.csrf();
    let enter = office.stranger(Method::POST, "/ui/login").header("cookie", held).header("x-auth-email", BOSS);
    let entered = Reply::of(form(enter, &[("csrf", &csrf), ("known", "yes")])).await.is(303);
    let session = cookie(&entered, "omni-ui");
    let by =
        async |email: &str| Reply::of(with(&office, Method::GET, "keys", &session).header("x-auth-email", email)).await;
    by(BOSS).await.is(200);
    by("Boss@Company.com").await.is(200);
    assert_eq!(by("chief@company.com").await.is(303).header("location"), "login?next=keys", "another administrator");
    let csrf = Shown { reply: by(BOSS).await }.csrf();
    let post = with(&office, Method::POST, "servers", &session).header("x-auth-email", "chief@company.com");
    assert_eq!(Reply::of(form(post, &[("csrf", &csrf)])).await.is(303).header("location"), "login");
    Reply::of(with(&office, Method::GET, "keys", &session)).await.is(303);
}

#[tokio::test]
async fn the_forms_cookie_is_for_https_alone_where_the_page_came_by_it() {
    let login = async |door: &Door, proto: Option<&str>| {
        let request = door.request(Method::GET, "/ui/login");
        let request = proto.into_iter().fold(request, |request, proto| request.header("x-forwarded-proto", proto));
        Reply::of(request).await.is(200).header("set-cookie").to_owned()
    };
    let door = Door::new().await;
    for proto in [None, Some("https")] {
        let set = login(&door, proto).await;
        assert!(set.starts_with("omni-login=") && !set.contains("Secure"), "no proxy is trusted: {set}");
    }
    door.end().await;
    let door =
        Door::with(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()], |builder| builder).await;
    for (proto, is_https) in [(None, false), (Some("http"), false), (Some("https"), true), (Some("https, http"), true)]
    {
        let set = login(&door, proto).await;
        let is_host =
            set.starts_with("__Host-omni-login=") && set.contains("SameSite=Strict") && set.contains("; Secure");
        assert_eq!(is_host, is_https, "{proto:?}: {set}");
    }
    door.end().await;
    let door =
        Door::with(|config| config.public_url = Some("https://omni.company.com".into()), |builder| builder).await;
    let key = door.key(BOSS, &Scope::ALL).await;
    let asked = door.get("/ui/login").await.is(200);
    let held = cookie(&asked, "__Host-omni-login");
    let csrf = Shown { reply: asked }.csrf();
    let enter = async |held: &str| {
        let request = door.request(Method::POST, "/ui/login").header("cookie", held);
        Reply::of(form(request, &[("csrf", &csrf), ("key", &key)])).await
    };
    enter(&held.replace("__Host-omni-login=", "omni-login=")).await.is(403);
    let entered = enter(&held).await.is(303);
    let set = entered.header("set-cookie");
    assert!(set.starts_with("__Host-omni=") && set.contains("; Secure"), "{set}");

    // A proxy may ask under a name of its own: forms are of the pages at the public address.
    let session = cookie(&entered, "__Host-omni");
    let page = Reply::of(door.request(Method::GET, "/ui/keys").header("cookie", &session)).await.is(200);
    let csrf = Shown { reply: page }.csrf();
    for (origin, status) in [("https://omni.company.com", 404), ("https://evil.example", 403)] {
        let request = door.request(Method::POST, "/ui/keys").header("cookie", &session).header("origin", origin);
        let request = request.header("host", "omni2:8000");
        Reply::of(form(request, &[("csrf", &csrf), ("do", "revoke"), ("id", "999999")])).await.is(status);
    }
    door.end().await;
}
