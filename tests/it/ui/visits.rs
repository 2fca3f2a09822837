//! An administrator at the pages, in a real browser whose network ends at this machine.

use super::*;

/// Logs in as a person does.
pub(super) async fn enter(browser: &Browser, site: &Site) {
    browser.open(&site.office.url("/ui/overview")).await;
    browser.write("#key", &site.key).await;
    browser.click("button[type=submit]").await;
    browser.says("h1", "Overview").await;
}

/// Nothing was told to the console, nothing was asked of another host, and nothing of what was shown ran.
pub(super) async fn is_clean(browser: &Browser, site: &Site, page: &str) {
    let own = format!("http://{}/", site.office.address());
    let console = browser.console().await;
    assert!(console.is_empty(), "{page}: {console:?}");
    let requests = browser.requests().await;
    let foreign =
        requests.iter().find(|url| !url.starts_with(&own) && !url.starts_with("data:") && !url.starts_with("chrome"));
    assert_eq!(foreign, None, "{page}");
    assert_eq!(browser.run("return window.pwned ?? null").await, Value::Null, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_looks_tries_a_tool_and_agrees_to_a_call() {
    let Some(browser) = browser().await else { return };
    let site = Site::with_past().await;
    browser.looks(1280, false).await;
    enter(&browser, &site).await;
    browser.says(".cards", "Asks and calls").await;
    assert_eq!(browser.run("return document.querySelectorAll('svg.chart').length").await, 4);
    is_clean(&browser, &site, "overview").await;

    browser.open(&site.office.url("/ui/tool?server=lab&tool=echo")).await;
    browser.write("#field-1", HOSTILE).await;
    browser.run("window.stays = true").await;
    browser.click("#main form button[type=submit]").await;
    let said = browser.says("#result pre", "pwned").await;
    assert_eq!(said, HOSTILE, "what it said is shown as text");
    assert_eq!(browser.run("return window.stays").await, true, "the rest of the page stays as it is");
    is_clean(&browser, &site, "tool").await;

    browser.open(&site.office.url("/ui/approvals")).await;
    browser.says("#live", "Nothing waits").await;
    // The page learns of it by itself.
    let id = site.park("Drop it").await;
    browser.says("#live article", "lab.drop_table").await;
    let arguments = browser.says("#live article pre", "pwned").await;
    assert!(arguments.contains("<script>"), "{arguments}");
    browser.click("#live button[value=approve]").await;
    browser.says("[role=status]", "You agreed").await;
    is_clean(&browser, &site, "approvals").await;
    let shown = site.office.get(&site.key, &format!("/confirmations/{id}")).await.is(200).json();
    assert_eq!(shown["decided_by"], BOSS);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_somebody_may_not_is_explained_in_place() {
    if std::env::var_os("OMNI_TEST_FULL").is_none() {
        return;
    }
    let Some(browser) = browser().await else { return };
    let site = Site::open().await;
    enter(&browser, &site).await;
    browser.open(&site.office.url("/ui/servers")).await;
    browser.open(&site.office.url("/ui/user?email=ada%40company.com")).await;
    browser.write("#why-server", "lab").await;
    browser.write("#why-tool", "drop_table").await;
    browser.click("form[hx-get] button[type=submit]").await;
    let why = browser.says("#why", "deny").await;
    assert!(why.contains("users.yaml"), "{why}");
    browser.write("#why-tool", "echo").await;
    browser.click("form[hx-get] button[type=submit]").await;
    browser.says("#why", "They may.").await;
    is_clean(&browser, &site, "user").await;
    // What goes wrong in place is shown, and whoever has to log in again is asked to.
    browser.open(&site.office.url("/ui/tool?server=lab&tool=echo")).await;
    browser.run("document.querySelector('#main form [name=csrf]').value = 'another'").await;
    browser.click("#main form button[type=submit]").await;
    browser.says("#main", "this form is of no page of yours").await;
    browser.console().await; // it tells of the status
    browser.open(&site.office.url("/ui/tool?server=lab&tool=echo")).await;
    let leave = "fetch('logout', { method: 'POST', body: new URLSearchParams({ csrf: document.querySelector('[name=csrf]').value }) }).then(arguments[0], arguments[0])";
    browser.run_to_the_end(leave).await;
    browser.click("#main form button[type=submit]").await;
    browser.says("h1", "Log in").await;
    enter(&browser, &site).await;
    browser.click(".who button").await;
    browser.says("h1", "Log in").await;
    browser.open(&site.office.url("/ui/users")).await;
    browser.says("h1", "Log in").await;
}
