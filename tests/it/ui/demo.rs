//! `omni --demo serve`: whoever starts it is let in.

use omni_tests::{program::Program, service::Service};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_the_demo_as_a_service_asks_it_and_looks_at_its_pages() {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let temp = home.home().join("temp");
    std::fs::create_dir(&temp).unwrap();
    let service = Service::start_with(&home, &[("TMPDIR", temp.to_str().unwrap())], &["--demo"]);
    let (client, url) = (service.client.clone(), service.url.clone());
    let question = client.post(format!("{url}/chat/ask")).json(&json!({ "message": "Show slow queries" }));
    assert_eq!(Reply::of(question).await.is(200).json()["user"], "owner@company.com");
    let asked = Reply::of(client.get(format!("{url}/ui/login"))).await.is(200);
    assert!(asked.text.contains("Go on as owner@company.com"), "{}", asked.text);
    let held = cookie(&asked, "omni-login");
    let csrf = Shown { reply: asked }.csrf();
    let enter = client.post(format!("{url}/ui/login")).header("cookie", held);
    let entered = Reply::of(form(enter, &[("csrf", &*csrf), ("known", "yes")])).await.is(303);
    let overview = client.get(format!("{url}/ui/overview?period=30d")).header("cookie", cookie(&entered, "omni-ui"));
    let overview = Reply::of(overview).await.is(200);
    assert!(overview.text.contains("Asks and calls"), "{}", overview.text);
    service.signal("TERM");
    let (code, rest) = service.end();
    assert_eq!((code, std::fs::read_dir(&temp).unwrap().count()), (0, 0), "{rest}");
}

#[test]
fn the_demo_that_lets_in_whoever_comes_is_reached_from_this_machine_only() {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let refused = home.run(&["--demo", "serve", "--bind", "0.0.0.0:0"]).exits(3);
    assert!(refused.err.contains("listens on loopback only"), "{refused:?}");
}
