//! Pages on a phone.

use super::{visits::enter, *};

/// How many lines of text each entry of a list has: what stands at about the same height is one line.
const LINES: &str = "return [...document.querySelectorAll('.list tbody tr')].map((row) => {\
    const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);\
    const tops = [];\
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {\
        if (!node.data.trim() || !node.parentElement.checkVisibility({ visibilityProperty: true })) continue;\
        const box = node.parentElement.closest('td').getBoundingClientRect();\
        const range = document.createRange();\
        range.selectNodeContents(node);\
        for (const one of range.getClientRects()) {\
            const middle = (one.top + one.bottom) / 2;\
            const shown = one.width > 1 && middle > box.top && middle < box.bottom;\
            if (shown && !tops.some((top) => Math.abs(top - middle) < 9)) tops.push(middle);\
        }\
    }\
    return tops.length;\
})";

/// The entries of the menu that cannot be seen as a whole.
const OUT_OF_SIGHT: &str = "return [...document.querySelectorAll('nav[aria-label=Pages] a')].filter((one) => {\
    const { left, right, top, bottom } = one.getBoundingClientRect();\
    const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);\
    return left < 0 || right > innerWidth || !one.contains(at);\
}).map((one) => one.textContent)";

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_the_log_takes_three_lines_and_the_whole_menu_is_in_sight() {
    let Some(browser) = browser().await else { return };
    let site = Site::with_past().await;
    browser.looks(390, false).await;
    enter(&browser, &site).await;
    for page in ["overview", "audit?days=30", "settings"] {
        browser.open(&site.office.url(&format!("/ui/{page}"))).await;
        browser.says("nav[aria-label=Pages]", "Settings").await;
        assert_eq!(browser.run(OUT_OF_SIGHT).await, json!([]), "{page}");
    }
    browser.open(&site.office.url("/ui/audit?days=30")).await;
    let lines = browser.run(LINES).await;
    let lines: Vec<u64> = lines.as_array().unwrap().iter().map(|lines| lines.as_u64().unwrap()).collect();
    assert_eq!(lines.len(), 50);
    assert!(lines.iter().all(|lines| (2..=3).contains(lines)), "{lines:?}");
    assert_eq!(browser.run(BEYOND).await, json!([]));
    // A wider window has the same in a table.
    browser.looks(1280, false).await;
    browser.open(&site.office.url("/ui/audit?days=30")).await;
    assert_eq!(browser.run(OUT_OF_SIGHT).await, json!([]));
    let is_table = "return getComputedStyle(document.querySelector('.list tbody tr')).display";
    assert_eq!(browser.run(is_table).await, "table-row");
    // Where everything is in sight there is nothing to scroll to.
    browser.open(&site.office.url("/ui/approvals")).await;
    browser.says("#live", "Nothing waits").await;
    assert_eq!(browser.run("return document.documentElement.scrollHeight - innerHeight").await, 0);
}
