//! Pages that are told when something changed.

use reqwest::Response;
use tokio::time::timeout;

use super::*;

/// How long a stream may take to tell something.
const TELLS_WITHIN: Duration = Duration::from_secs(30);

async fn events(site: &Site, query: &str, last: Option<&str>) -> Response {
    let mut request = site.office.stranger(Method::GET, &format!("/ui/events?{query}"));
    request = request.header("cookie", &site.cookie);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

/// The next event's name and number.
async fn next(events: &mut Response) -> (String, String) {
    let reading = async {
        let mut text = String::new();
        while let Some(chunk) = events.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
            let field = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                lines.next_back().map(str::to_owned)
            };
            if let (Some(name), Some(id), true) = (field("event"), field("id"), text.contains("\n\n")) {
                return (name, id);
            }
        }
        panic!("the stream ended: {text}")
    };
    timeout(TELLS_WITHIN, reading).await.expect("nothing was told")
}

/// What a page says that changes are compared with.
fn seen(page: &Shown) -> String {
    let (_, rest) = page.reply.text.split_once("data-seen=\"").expect("the page is told of changes");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_is_told_of_what_changed_since_it_was_made() {
    let site = Site::open().await;
    for page in ["approvals", "overview"] {
        let seen = seen(&site.get(page).await);
        site.park(&format!("Drop it for {page}")).await;
        site.office.settle().await;
        let mut stream = events(&site, &format!("page={page}&seen={seen}"), None).await;
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let (name, now) = next(&mut stream).await;
        assert_eq!(name, "changed", "{page}");
        assert_ne!(now, seen, "{page}");
    }
}

#[tokio::test]
async fn whoever_comes_back_is_told_what_they_missed_and_nothing_twice() {
    let site = Site::open().await;
    let mut stream = events(&site, "page=approvals", None).await;
    let (name, first) = next(&mut stream).await;
    assert_eq!(name, "seen", "what changes are compared with");
    drop(stream);
    site.park("Drop it").await;
    let mut back = events(&site, "page=approvals&seen=1", Some(&first)).await;
    let (name, second) = next(&mut back).await;
    assert_eq!(name, "changed");
    drop(back);
    // Who knows the last number is told of the next change alone.
    let mut again = events(&site, "page=approvals", Some(&second)).await;
    site.park("Drop another").await;
    let (name, third) = next(&mut again).await;
    assert_eq!(name, "changed");
    assert!(third != second && third != first, "{first} {second} {third}");
}

#[tokio::test]
async fn one_person_has_so_many_streams_and_others_have_theirs() {
    let site = Site::open().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let stream = events(&site, "page=overview", None).await;
        assert_eq!(stream.status(), 200);
        held.push(stream);
    }
    let refused = events(&site, "page=overview", None).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("too many pages open"));
    // The same person by another way is the same person; somebody else is not.
    let by_key = site.office.request(Method::GET, &site.key, "/ui/events").send().await.unwrap();
    assert_eq!(by_key.status(), 503);
    let audrey = site.office.key("audrey@company.com").await;
    let theirs = site.office.request(Method::GET, &audrey, "/ui/events").send().await.unwrap();
    assert_eq!(theirs.status(), 200);
    // Whoever closes a page has room for another.
    held.pop();
    for _ in 0..600 {
        if events(&site, "page=overview", None).await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a page that was closed still takes room");
}

#[tokio::test]
async fn whoever_may_not_look_any_more_is_told_nothing() {
    let site = Site::open().await;
    let (audrey, admin) = (site.office.key("audrey@company.com").await, seen(&site.get("approvals").await));
    let request = site.office.request(Method::GET, &audrey, "/ui/events?page=approvals");
    let mut stream = request.header("last-event-id", admin).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let keys = site.document("keys?user=audrey%40company.com").await;
    let (id, csrf) = (keys["keys"][0]["id"].to_string(), site.get("keys").await.csrf());
    site.post("keys", &[("csrf", &csrf), ("do", "revoke"), ("id", &id)]).await.is(303);
    site.park("Drop it").await;
    let told = timeout(TELLS_WITHIN, async {
        let mut text = String::new();
        while let Some(chunk) = stream.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        text
    });
    let told = told.await.expect("the stream ends");
    assert!(!told.contains("event: changed"), "{told}");
}
