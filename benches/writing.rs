//! `cargo bench -p omni-benches --bench writing`: what it costs to write an answer down for whoever asked: as
//! server-sent events over HTTP, and as Slack's mrkdwn.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use divan::{Bencher, black_box, counter::ItemsCount};
use http::Request;
use http_body_util::BodyExt as _;
use omni_core::{
    ExposeSecret as _, Omni,
    config::HttpConfig,
    identity::{ApiKey, Authenticator, Keys, Scope, keys::memory::MemoryKeys},
    llm::{Block, ChatEvent, StopReason, Usage, scripted::Scripted},
};
use omni_slack::view::markdown::{mrkdwn, neutral};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

fn main() {
    divan::main();
}

/// An ask whose answer comes in `pieces`, from the request to the stream's last byte, without a network.
#[divan::bench(args = [1, 100, 1_000])]
fn sse_write(bencher: Bencher, pieces: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (omni, key) = runtime.block_on(talking(pieces));
    let router = runtime.block_on(async { omni_http::router(omni.clone(), HttpConfig::default()) });
    let stream = || {
        let request = Request::post("/chat/ask/stream").header("host", "127.0.0.1");
        let request =
            request.header("authorization", format!("Bearer {key}")).header("content-type", "application/json");
        let request = request.body(r#"{"message":"Talk"}"#.to_owned()).unwrap();
        let router = router.clone();
        runtime
            .block_on(async { router.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes() })
    };
    let written = String::from_utf8(stream().to_vec()).unwrap();
    // Pieces that come faster than they are read are told together.
    assert!(written.contains("event: token") && written.contains(&format!("piece {} of it", pieces - 1)), "{written}");
    bencher.counter(ItemsCount::new(pieces)).bench_local(|| stream().len());
    end(&runtime, &omni);
}

/// One that says so many pieces, and a key of somebody who asks.
async fn talking(pieces: usize) -> (Omni, String) {
    let play = move |_: &_| {
        let texts = (0..pieces).map(|piece| format!("piece {piece} of it "));
        let whole: String = texts.clone().collect();
        let end = [
            ChatEvent::Block(Block::text(whole)),
            ChatEvent::Usage(Usage::new(10, 5)),
            ChatEvent::Done(StopReason::EndTurn),
        ];
        Ok(texts.map(ChatEvent::Text).chain(end).collect())
    };
    let keys = Keys::new(MemoryKeys::new());
    let issued = ApiKey::issue("ada@company.com", [Scope::Ask].into_iter().collect());
    keys.store().insert(&issued.key).await.unwrap();
    let authenticator = Authenticator::new().with_keys(keys);
    let omni = Omni::builder().llm(Scripted::from_fn(play)).authenticator(authenticator).build().await.unwrap();
    (omni, issued.secret.expose_secret().to_owned())
}

fn end(runtime: &Runtime, omni: &Omni) {
    runtime.block_on(omni.shutdown());
}

/// A page of what models write: headings, lists, links, code and a table.
const PAGE: &str = "## Open invoices\n\nSeven are **open**, of *three* customers; see [the list](https://company.com/open?a=1&b=2).\n\n\
1. `4711`: 12.50 €\n2. `4712`: <none>\n   - asked again @channel\n\n> They pay late.\n\n```sql\nSELECT * FROM invoices WHERE paid IS NULL;\n```\n\n\
| number | customer | sum |\n|---|---|---:|\n| 4711 | Ada & Sons | 12.50 |\n| 4712 | Bob | 7.00 |\n";

/// An answer of so many pages as mrkdwn.
#[divan::bench(args = [1, 10])]
fn as_mrkdwn(bencher: Bencher, pages: usize) {
    let page = PAGE.repeat(pages);
    bencher.counter(ItemsCount::new(pages)).bench(|| mrkdwn(black_box(&page)).len());
}

/// The same as Slack's own Markdown, made harmless.
#[divan::bench(args = [1, 10])]
fn as_neutral_markdown(bencher: Bencher, pages: usize) {
    let page = PAGE.repeat(pages);
    bencher.counter(ItemsCount::new(pages)).bench(|| neutral(black_box(&page)).len());
}
