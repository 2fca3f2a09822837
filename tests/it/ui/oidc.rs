//! Logging in at the identity provider's own page.

mod asking;
mod leaving;

use omni_tests::{
    issuer::{Answer, Desk, Gives, Issuer, Signer},
    log::Log,
};
use tracing::Level;

use super::*;

const SECRET: &str = "s3cret-of-the-client";
/// What an issuer says and nobody is to read here.
const VENDOR: &str = "AADSTS50105 <b>the vendor's own words</b>";

/// An issuer where people log in, and a service that sends them there.
struct Lobby {
    issuer: Issuer,
    office: Office,
}

/// A login that has begun.
struct Begun {
    /// Where the browser is sent.
    to: String,
    /// The cookie that it holds.
    held: String,
    set: String,
}

fn settings(issuer: &Issuer, more: &str) -> String {
    format!(
        "llm: {{ provider: offline }}\n{more}\nsecurity:\n  oidc:\n    issuer: {}\n    audience: omni\n    roles:\n      \
         omni-admins: admin\n    login: {{ client_id: omni-pages, client_secret: {SECRET}, scopes: [email, groups] }}\n",
        issuer.url()
    )
}

impl Lobby {
    async fn open() -> Self {
        Self::with("").await
    }

    async fn with(more: &str) -> Self {
        let issuer = opened();
        let office = Office::of(Plan { settings: settings(&issuer, more), ..Plan::default() }).await;
        Self { issuer, office }
    }

    async fn begin(&self, next: &str) -> Begun {
        begin(&self.office, next).await
    }

    /// The whole way of somebody of whom the issuer says this.
    async fn come(&self, claims: Value) -> Reply {
        self.issuer.desk(|desk| desk.claims = claims);
        let begun = self.begin("audit").await;
        let back = agree(&begun.to).await;
        come_back(&self.office, &back, &begun.held).await
    }
}

fn opened() -> Issuer {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    issuer.opens(Desk::new(signer, "omni-pages", Some(SECRET)));
    issuer
}

async fn begin(office: &Office, next: &str) -> Begun {
    let path = format!("/ui/oidc?{}", encoded(&[("next", next)]));
    let sent = Reply::of(office.stranger(Method::GET, &path)).await.is(303);
    let set = sent.header("set-cookie").to_owned();
    Begun { to: sent.header("location").to_owned(), held: set.split(';').next().unwrap().to_owned(), set }
}

/// What a browser does at the issuer's page; where on the service it is sent back to.
async fn agree(to: &str) -> String {
    let client = omni_core::net::client(&omni_core::net::ClientOptions::default()).unwrap();
    let answer = client.get(to).send().await.unwrap();
    assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
    let back = answer.headers()["location"].to_str().unwrap();
    back[back.find("/ui/").unwrap()..].to_owned()
}

async fn come_back(office: &Office, back: &str, held: &str) -> Reply {
    Reply::of(office.stranger(Method::GET, back).header("cookie", held)).await
}

async fn page(office: &Office, name: &str, session: &str) -> Reply {
    Reply::of(office.stranger(Method::GET, &format!("/ui/{name}")).header("cookie", session)).await
}

/// Nobody is let in, and what the page says is ours.
fn is_refused(reply: Reply, status: u16, words: &str) {
    let refused = reply.is(status);
    assert!(refused.text.contains(words), "{words}: {}", refused.text);
    assert!(refused.text.contains("id=\"key\"") && refused.text.contains("href=\"oidc?next="), "there is a way on");
    for foreign in ["AADSTS", "vendor", SECRET] {
        assert!(!refused.text.contains(foreign), "{foreign}: {}", refused.text);
    }
    let set: Vec<_> = refused.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap()).collect();
    assert!(!set.iter().any(|set| set.starts_with("omni-ui=")), "{set:?}");
}

#[tokio::test]
async fn an_administrator_logs_in_at_the_providers_page_and_goes_on_where_they_wanted() {
    let lobby = Lobby::open().await;
    let form = Reply::of(lobby.office.stranger(Method::GET, "/ui/login?next=audit%3Fstatus%3Derror")).await.is(200);
    let host = lobby.issuer.url().replace("http://", "");
    assert!(form.text.contains(&format!("Log in with {host}")), "{}", form.text);
    assert!(form.text.contains("href=\"oidc?next=audit%3Fstatus%3Derror\""), "{}", form.text);
    let begun = lobby.begin("audit?status=error").await;
    for part in ["omni-trip=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(begun.set.contains(part), "{part}: {}", begun.set);
    }
    assert!(begun.to.starts_with(&format!("{}/authorize?tenant=1&", lobby.issuer.url())), "{}", begun.to);
    assert!(begun.to.contains("&scope=openid+email+groups") && !begun.to.contains(SECRET), "{}", begun.to);
    let entered = come_back(&lobby.office, &agree(&begun.to).await, &begun.held).await.is(200);
    assert_eq!(entered.header("refresh"), "0; url=audit?status=error");
    assert_eq!(entered.header("referrer-policy"), "no-referrer");
    let gone = entered.headers.get_all("set-cookie").iter().any(|set| {
        let set = set.to_str().unwrap();
        set.starts_with("omni-trip=;") && set.contains("Max-Age=0")
    });
    assert!(gone, "the login is over: {:?}", entered.headers);
    let session = cookie(&entered, "omni-ui");
    let shown = page(&lobby.office, "audit", &session).await.is(200);
    assert!(shown.text.contains(BOSS), "{}", shown.text);
    let csrf = Shown { reply: page(&lobby.office, "keys", &session).await }.csrf();
    let posted = lobby.office.stranger(Method::POST, "/ui/servers").header("cookie", &session);
    Reply::of(super::form(posted, &[("csrf", &csrf)])).await.is(303);
    lobby.issuer.desk(|desk| assert_eq!((desk.given, &*desk.faults), (1, &[][..])));
}

#[tokio::test]
async fn a_login_is_of_the_browser_that_began_it_and_counts_once_in_all_processes() {
    let lobby = Lobby::open().await;
    let foreign = "not the answer to a login that you began here";
    let (begun, other) = (lobby.begin("audit").await, lobby.begin("audit").await);
    let back = agree(&begun.to).await;
    is_refused(Reply::of(lobby.office.stranger(Method::GET, &back)).await, 403, foreign);
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for (wrong, held) in [
        (back.clone(), &other.held),
        (back.clone(), &"omni-trip=nonsense".to_owned()),
        (back.replace(state, &format!("{state}x")), &begun.held),
        (back.replace("state=", "stat="), &begun.held),
        (format!("{back}&state={state}"), &begun.held),
        (format!("{back}&code=another"), &begun.held),
        ("/ui/callback".to_owned(), &begun.held),
    ] {
        let refused = come_back(&lobby.office, &wrong, held).await;
        assert!(!refused.header("set-cookie").starts_with("omni-trip="), "it takes nothing away: {wrong}");
        is_refused(refused, 403, foreign);
    }
    assert_eq!(lobby.issuer.desk(|desk| desk.given), 0);
    let beside = lobby.office.beside().await;
    // Whoever begins at one instance may come back to another one.
    let entered = come_back(&beside, &agree(&other.to).await, &other.held).await.is(200);
    page(&lobby.office, "audit", &cookie(&entered, "omni-ui")).await.is(200);
    come_back(&lobby.office, &back, &begun.held).await.is(200);
    is_refused(come_back(&lobby.office, &back, &begun.held).await, 403, foreign);
    lobby.issuer.desk(|desk| assert_eq!((desk.given, &*desk.faults), (2, &[][..])));
    // Another process asks the issuer first, which knows the code; and does not rely on that.
    is_refused(come_back(&beside, &back, &begun.held).await, 502, "did not complete the login");
    lobby.issuer.desk(|desk| desk.is_lax = true);
    let begun = lobby.begin("audit").await;
    let back = agree(&begun.to).await;
    come_back(&lobby.office, &back, &begun.held).await.is(200);
    is_refused(come_back(&beside, &back, &begun.held).await, 403, foreign);
    lobby.issuer.desk(|desk| assert_eq!(desk.given, 4));
}

#[tokio::test]
async fn an_answer_that_is_of_another_issuer_is_none() {
    let lobby = Lobby::open().await;
    let issuer = encoded(&[("iss", &lobby.issuer.url())]);
    for iss in ["", "iss=https%3A%2F%2Fevil.example"] {
        let begun = lobby.begin("audit").await;
        let back = agree(&begun.to).await.replace(&issuer, iss);
        is_refused(come_back(&lobby.office, &back, &begun.held).await, 502, "did not complete the login");
    }
    assert_eq!(lobby.issuer.desk(|desk| desk.given), 0);
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_of_somebody_known_lets_nobody_in() {
    let lobby = Lobby::open().await;
    for claims in [
        json!({ "nonce": "another-nonce" }),
        json!({ "nonce": null }),
        json!({ "aud": "omni" }),
        json!({ "aud": ["omni-pages", "another"] }),
        json!({ "aud": null }),
        json!({ "azp": "another" }),
        json!({ "exp": 1_000_000_000 }),
        json!({ "exp": null }),
        json!({ "iss": "https://evil.example" }),
        json!({ "email": null }),
        json!({ "email_verified": false }),
        json!({ "email": "local:root" }),
    ] {
        is_refused(lobby.come(claims).await, 403, "does not count here");
    }
    for claims in [json!({ "aud": ["omni-pages", "another"], "azp": "omni-pages" }), json!({ "azp": "omni-pages" })] {
        lobby.come(claims).await.is(200);
    }
    // Known, and no administrator; and known to nobody.
    is_refused(lobby.come(json!({ "email": ADA })).await, 403, "for administrators");
    is_refused(lobby.come(json!({ "email": "who@company.com" })).await, 403, "");
}

#[tokio::test]
async fn an_id_token_that_another_key_signed_lets_nobody_in() {
    let lobby = Lobby::open().await;
    lobby.issuer.rotates_to(&[&Signer::p256("k1")]);
    is_refused(lobby.come(json!({})).await, 403, "does not count here");
}

#[tokio::test]
async fn what_goes_wrong_at_the_issuer_is_told_in_words_of_ours() {
    let lobby = Lobby::open().await;
    for (error, status, words) in [
        ("access_denied", 403, "did not let you in"),
        ("server_error", 502, "did not complete the login"),
        ("unauthorized_client", 502, "did not complete the login"),
    ] {
        lobby.issuer.desk(|desk| desk.refuses = Some((error, VENDOR)));
        is_refused(lobby.come(json!({})).await, status, words);
    }
    lobby.issuer.desk(|desk| desk.refuses = None);
    let other = opened();
    for (gives, status, words) in [
        (Gives::Refusal(VENDOR), 502, "did not complete the login"),
        (Gives::NoIdToken, 502, "did not complete the login"),
        (Gives::Away, 502, "did not complete the login"),
        (Gives::Redirect(format!("{}/token", other.url())), 503, "cannot be asked at the moment"),
    ] {
        lobby.issuer.desk(|desk| desk.gives = gives.clone());
        is_refused(lobby.come(json!({})).await, status, words);
    }
    other.desk(|desk| assert_eq!((desk.given, &*desk.faults), (0, &[][..]), "nobody went there"));
    lobby.issuer.desk(|desk| desk.gives = Gives::Well);
    lobby.come(json!({})).await.is(200);
}

#[tokio::test]
async fn the_operator_is_told_once_why_a_login_failed() {
    let (log, _logging) = Log::of(Level::DEBUG);
    let lobby = Lobby::open().await;
    let other = opened();
    for (gives, status, level, why) in [
        (Gives::Refusal(VENDOR), 502, "ERROR", "AADSTS50105"),
        (Gives::NoIdToken, 502, "ERROR", "ID token"),
        (Gives::Redirect(format!("{}/token", other.url())), 503, "ERROR", ""),
    ] {
        lobby.issuer.desk(|desk| desk.gives = gives.clone());
        log.take();
        lobby.come(json!({})).await.is(status);
        let told = log.take();
        // That nobody has a key yet is told whenever that is found out.
        let is_loud = |line: &&str| matches!(line.split_whitespace().nth(1), Some("ERROR" | "WARN"));
        let loud: Vec<&str> = told.lines().filter(is_loud).filter(|line| !line.contains("API key")).collect();
        assert_eq!(loud.len(), 1, "{gives:?}: {loud:#?}");
        assert!(loud[0].contains(level) && loud[0].contains(why) && loud[0].contains("cause="), "{gives:?}: {loud:?}");
    }
    // Who is not let in by what the issuer says of them is no failure, and the operator finds why.
    lobby.issuer.desk(|desk| desk.gives = Gives::Well);
    log.take();
    lobby.come(json!({ "nonce": "another-nonce" })).await.is(403);
    let told = log.take();
    let why: Vec<&str> =
        told.lines().filter(|line| line.contains("another login") && line.contains("cause=")).collect();
    assert!(why.len() == 1 && why[0].contains(" WARN "), "{told}");
}

#[tokio::test]
async fn where_the_issuer_cannot_be_asked_there_are_keys() {
    for (answer, status) in [
        (Answer::Away, 503),
        (Answer::Redirect("http://127.0.0.1:9/".into()), 503),
        (Answer::Huge, 503),
        (Answer::Document(json!({ "issuer": "https://evil.example", "jwks_uri": "https://evil.example" })), 503),
    ] {
        let lobby = Lobby::open().await;
        lobby.issuer.answers(answer);
        let refused = Reply::of(lobby.office.stranger(Method::GET, "/ui/oidc?next=keys")).await;
        is_refused(refused, status, "log in with an API key");
    }
    // Nobody is sent to what is no page of https, nor where codes are not protected.
    for more in [
        json!({ "authorization_endpoint": "http://login.evil.example/" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": null }),
        json!({ "token_endpoint": null }),
        json!({ "code_challenge_methods_supported": ["plain"] }),
    ] {
        let lobby = Lobby::open().await;
        let url = lobby.issuer.url();
        let mut document = json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lobby.issuer.answers(Answer::Document(document));
        let refused = Reply::of(lobby.office.stranger(Method::GET, "/ui/oidc?next=keys")).await;
        assert!(matches!(refused.status, 502 | 503), "{more}: {refused:?}");
        assert!(refused.header("location").is_empty() && refused.text.contains("id=\"key\""), "{more}");
    }
}

#[tokio::test]
async fn after_a_login_comes_a_page_of_ours_and_no_other() {
    let lobby = Lobby::open().await;
    for (wanted, to) in [
        ("https://evil.example/", "overview"),
        ("//evil.example/audit", "overview"),
        ("javascript:alert(1)", "overview"),
        ("audit?user=a;url=https://evil.example", "audit?user=a%3Burl%3Dhttps%3A%2F%2Fevil.example"),
        ("audit?user=%0d%0aset-cookie:x=y", "audit?user=%0D%0Aset-cookie%3Ax%3Dy"),
        (&*format!("audit?user={}", "x".repeat(4_000)), "audit"),
    ] {
        let begun = lobby.begin(wanted).await;
        let entered = come_back(&lobby.office, &agree(&begun.to).await, &begun.held).await.is(200);
        assert_eq!(entered.header("refresh"), format!("0; url={to}"), "{wanted}");
        assert!(!entered.text.contains("href=\"http"), "{}", entered.text);
    }
    // A page of another site's sends nobody through a login.
    for site in ["cross-site", "same-site"] {
        let asked = lobby.office.stranger(Method::GET, "/ui/oidc?next=keys").header("sec-fetch-site", site);
        let asked = Reply::of(asked).await.is(303);
        assert_eq!((asked.header("location"), asked.header("set-cookie")), ("login?next=keys", ""));
    }
}

#[tokio::test]
async fn somebody_of_many_groups_has_a_session_and_the_role_that_counts() {
    let lobby = Lobby::open().await;
    let mut groups: Vec<String> = (0..300).map(|at| format!("some-group-of-a-large-company-{at:04}")).collect();
    groups.push("omni-admins".into());
    let entered = lobby.come(json!({ "email": "new@company.com", "groups": groups })).await.is(200);
    let session = cookie(&entered, "omni-ui");
    assert!(session.len() < 4_000, "{}", session.len());
    let shown = page(&lobby.office, "keys", &session).await.is(200);
    assert!(shown.text.contains("new@company.com"), "{}", shown.text);
    assert!(!session.contains("boss") && !session.contains("omni-admins"), "it is sealed");
}

#[tokio::test]
async fn rights_are_those_of_now_and_a_login_counts_while_there_are_any() {
    let lobby = Lobby::open().await;
    let key = lobby.office.key(BOSS).await;
    let session = cookie(&lobby.come(json!({ "email": "chief@company.com" })).await.is(200), "omni-ui");
    let admin = cookie(&lobby.come(json!({ "email": "new@company.com", "groups": ["omni-admins"] })).await, "omni-ui");
    for session in [&session, &admin] {
        page(&lobby.office, "keys", session).await.is(200);
    }
    let now = |from: &str, to: &str| omni_tests::office::USERS.replace(from, to);
    lobby.office.write("users.yaml", &now("chief@company.com, role: admin", "chief@company.com, role: read_only"));
    reload(&lobby.office, &key).await;
    page(&lobby.office, "keys", &session).await.is(403);
    page(&lobby.office, "keys", &admin).await.is(200);
    let other = settings(&lobby.issuer, "").replace("omni-admins: admin", "omni-admins: read_only");
    lobby.office.write("settings.yaml", &format!("data_dir: data\n{other}"));
    reload(&lobby.office, &key).await;
    page(&lobby.office, "keys", &admin).await.is(403);
    // Another client's logins are nothing here, nor are those of an issuer that nobody names any more.
    let other = settings(&lobby.issuer, "").replace("client_id: omni-pages", "client_id: another");
    lobby.office.write("settings.yaml", &format!("data_dir: data\n{other}"));
    reload(&lobby.office, &key).await;
    let asked = page(&lobby.office, "keys", &session).await.is(303);
    assert_eq!(asked.header("location"), "login?next=keys");
}

async fn reload(office: &Office, key: &str) {
    office.post(key, "/admin/tools/refresh", &json!({})).await.is(200);
}

#[tokio::test]
async fn a_session_ends_with_the_id_token_that_began_it() {
    let lobby = Lobby::open().await;
    // Where a login takes longer than the token lasts, it is begun again with one that lasts longer.
    let (mut lasting, mut entered) = (3, None);
    while entered.is_none() {
        let ends = Utc::now().timestamp() + lasting;
        let reply = lobby.come(json!({ "exp": ends })).await;
        assert!(lasting < 60, "{reply:?}");
        entered = (reply.status == 200).then_some((reply, ends));
        lasting *= 3;
    }
    let (entered, ends) = entered.unwrap();
    let session = cookie(&entered, "omni-ui");
    while Utc::now().timestamp() <= ends {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    page(&lobby.office, "keys", &session).await.is(303);
    let entered = lobby.come(json!({ "exp": ends + 1_000_000 })).await.is(200);
    let set = entered.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let set = set.into_iter().find(|set| set.starts_with("omni-ui=")).unwrap();
    assert!(set.contains("SameSite=Strict; Max-Age=28800"), "and at the latest after eight hours: {set}");
}

#[tokio::test]
async fn every_login_is_another_session() {
    let lobby = Lobby::open().await;
    let first = cookie(&lobby.come(json!({})).await.is(200), "omni-ui");
    let begun = lobby.begin("audit").await;
    let both = format!("{}; {first}", begun.held);
    let second = cookie(&come_back(&lobby.office, &agree(&begun.to).await, &both).await.is(200), "omni-ui");
    let csrf = async |session: &str| Shown { reply: page(&lobby.office, "keys", session).await }.csrf();
    assert_ne!(csrf(&first).await, csrf(&second).await);
    let leave = lobby.office.stranger(Method::POST, "/ui/logout").header("cookie", &first);
    Reply::of(form(leave, &[("csrf", &csrf(&first).await)])).await.is(303);
    page(&lobby.office, "keys", &first).await.is(303);
    page(&lobby.office, "keys", &second).await.is(200);
}

#[tokio::test]
async fn a_client_without_a_secret_logs_people_in_too() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    issuer.opens(Desk::new(signer, "omni-pages", None));
    let settings = settings(&issuer, "").replace(&format!("client_secret: {SECRET}, "), "");
    let office = Office::of(Plan { settings, ..Plan::default() }).await;
    let lobby = Lobby { issuer, office };
    lobby.come(json!({})).await.is(200);
    lobby.issuer.desk(|desk| assert!(desk.faults.is_empty(), "{:?}", desk.faults));
}

#[tokio::test]
async fn a_public_address_is_where_people_come_back_to_and_what_their_cookies_are_for() {
    let lobby = Lobby::with("http: { public_url: 'https://omni.company.com/omni/' }").await;
    let begun = lobby.begin("keys").await;
    let back = encoded(&[("redirect_uri", "https://omni.company.com/omni/ui/callback")]);
    assert!(begun.to.contains(&back), "{}", begun.to);
    assert!(begun.set.starts_with("__Host-omni-trip=") && begun.set.contains("; Secure"), "{}", begun.set);
    let path = agree(&begun.to).await;
    let plain = begun.held.replace("__Host-omni-trip=", "omni-trip=");
    come_back(&lobby.office, &path, &plain).await.is(403);
    let entered = come_back(&lobby.office, &path, &begun.held).await.is(200);
    let session = cookie(&entered, "__Host-omni");
    page(&lobby.office, "keys", &session).await.is(200);
    page(&lobby.office, "keys", &session.replace("__Host-omni=", "omni-ui=")).await.is(303);
}

/// The issuer is at another site than omni, as far as the browser goes: a cookie that is for omni's own pages alone stays
/// behind on the way back.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_comes_in_by_the_providers_page_with_a_browser() {
    let Some(browser) = browser().await else { return };
    let issuer = opened();
    issuer.is_called("localhost");
    issuer.desk(|desk| desk.has_page = true);
    let office = Office::of(Plan { settings: settings(&issuer, ""), ..Plan::default() }).await;
    browser.open(&office.url("/ui/audit")).await;
    browser.says("h1", "Log in to omni").await;
    browser.click("#provider").await;
    browser.says("#agree", "Agree").await;
    browser.console().await; // the issuer's page has no picture
    browser.click("#agree").await;
    browser.says("h1", "Audit").await;
    assert!(browser.console().await.is_empty());
    browser.click(".who button").await;
    browser.says("h1", "Log in to omni").await;
    issuer.desk(|desk| assert_eq!((desk.given, &*desk.faults), (1, &[][..])));
}

#[tokio::test]
async fn where_nobody_logs_in_at_an_issuer_there_is_no_such_way() {
    let site = Site::open().await;
    let form = Reply::of(site.office.stranger(Method::GET, "/ui/login")).await.is(200);
    assert!(!form.text.contains("Log in with"), "{}", form.text);
    for path in ["/ui/oidc", "/ui/callback?code=c&state=s"] {
        let refused = Reply::of(site.office.stranger(Method::GET, path)).await;
        assert!(matches!(refused.status, 403 | 404) && refused.text.contains("id=\"key\""), "{path}: {refused:?}");
    }
}
