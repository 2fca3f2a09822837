//! Pages in people's hands: by keyboard alone, and while things change under them.

use super::{
    looks::pictures,
    visits::{enter, is_clean},
    *,
};

/// What can be used on a page, as far as it is shown.
const CONTROLS: &str = "window.controls = [...document.querySelectorAll(\
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]')]\
    .filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true })); return window.controls.length";
/// The tabulator, as `WebDriver` calls it.
const TAB: &str = "\u{e004}";
/// More parts than the fields of a page have.
const MOST_PARTS: u64 = 20;
/// Which of these has the focus.
const FOCUS: &str = "return window.controls.indexOf(document.activeElement)";

#[tokio::test(flavor = "multi_thread")]
async fn everything_on_every_page_is_reached_by_the_keyboard_in_the_order_in_which_it_stands() {
    let Some(browser) = browser().await else { return };
    let site = Site::open().await;
    site.park("Drop it").await;
    let id = site.newest().await;
    browser.looks(1280, false).await;
    enter(&browser, &site).await;
    for page in PAGES {
        let page = if page == "ask?id=" { format!("ask?id={id}") } else { page.to_owned() };
        browser.open(&site.office.url(&format!("/ui/{page}"))).await;
        // A server that is away may change how it is away meanwhile: what tells of it is no part of the page.
        browser.run("document.getElementById('news')?.remove()").await;
        let many = browser.run(CONTROLS).await.as_u64().unwrap();
        let mut reached = Vec::new();
        // A date has several parts within its field.
        for _ in 0..many + MOST_PARTS {
            browser.press(TAB).await;
            let here = browser.run(FOCUS).await.as_i64().unwrap();
            if reached.last() != Some(&here) {
                reached.push(here);
            }
            if reached.len() as u64 == many {
                break;
            }
        }
        let expected: Vec<_> = (0..many as i64).collect();
        assert_eq!(reached, expected, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_under_somebody_who_decides_until_they_want_it_to() {
    let Some(browser) = browser().await else { return };
    let site = Site::open().await;
    browser.looks(1280, false).await;
    enter(&browser, &site).await;
    let first = site.park("Drop it").await;
    browser.open(&site.office.url("/ui/approvals")).await;
    browser.says("#live article", "lab.drop_table").await;
    browser.write("#live input[name=reason]", "because I").await;
    let top = "return document.querySelector('#live button[value=approve]').getBoundingClientRect().top";
    let before = browser.run(top).await;
    site.park("Drop another").await;
    browser.says("#news", "Something changed").await;
    assert_eq!(browser.run("return document.querySelectorAll('#live article').length").await, 1);
    assert_eq!(browser.run(top).await, before, "the button is where it was");
    let writing = "return [document.activeElement.name, document.activeElement.value]";
    assert_eq!(browser.run(writing).await, json!(["reason", "because I"]));
    std::fs::write(pictures().join("news-1280-light.png"), browser.picture().await).unwrap();
    browser.click("#news button").await;
    browser.says("#said", "2 calls wait for a decision").await;
    assert_eq!(browser.run("return document.querySelectorAll('#live article').length").await, 2);
    assert_eq!(browser.run("return document.activeElement.id").await, "live");
    assert_eq!(browser.run("return document.getElementById('news').childNodes.length").await, 0);
    // What was written for a call is still there, and is for that call.
    let kept = format!("return document.getElementById('reason-{first}').value");
    assert_eq!(browser.run(&kept).await, "because I");
    is_clean(&browser, &site, "approvals").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_a_reason_with_enter_denies() {
    const ENTER: &str = "\u{e007}";
    let Some(browser) = browser().await else { return };
    let site = Site::open().await;
    enter(&browser, &site).await;
    let id = site.park("Drop it").await;
    browser.open(&site.office.url("/ui/approvals")).await;
    browser.says("#live article", "lab.drop_table").await;
    browser.write("#live input[name=reason]", &format!("not today{ENTER}")).await;
    browser.says("[role=status]", "You denied").await;
    let shown = site.office.get(&site.key, &format!("/confirmations/{id}")).await.is(200).json();
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("denied"), &json!("not today")), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_leaves_a_way_on_and_a_way_out() {
    let Some(browser) = browser().await else { return };
    let site = Site::open().await;
    enter(&browser, &site).await;
    browser.open(&site.office.url("/ui/nowhere")).await;
    browser.says("h1", "There is nothing here").await;
    browser.console().await; // it tells of the status
    browser.says("nav", "Audit").await;
    browser.click(".who button").await;
    browser.says("h1", "Log in").await;
}
