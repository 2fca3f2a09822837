//! Spans of `omni serve` at an OpenTelemetry collector.

use omni_tests::{
    collector::{Collector, Span},
    door::Reply,
    loopback::Loopback,
    rig::until_some,
    scrape::Scrape,
    service::Service,
};

use super::program::{key, omni};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const QUESTION: &str = "How is the health of the database, limit 7?";

const USERS: &str = "roles: { dba: { permissions: { can_view_audit_logs: true } } }\n\
                     users: [{ email: ada@company.com, role: dba, allowed_mcps: '*' }]\n";

/// Whether a span is somewhere under another.
fn is_under(spans: &[Span], span: &Span, above: &Span) -> bool {
    let parent = spans.iter().find(|other| other.id == span.parent);
    span.parent == above.id || parent.is_some_and(|parent| is_under(spans, parent, above))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_is_one_trace_from_its_caller_to_the_server() {
    let (collector, server) = (Collector::start().await, Loopback::start());
    let home = omni().with_file("mcps.yaml", &server.mcps("")).with_file("users.yaml", USERS);
    let key = key(&home, "ask,audit");
    // Nothing is sent until it has to be: what comes, comes at the end.
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()), ("OTEL_BSP_SCHEDULE_DELAY", "600000")];
    let service = Service::start_with(&home, &env, &[]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    Reply::of(service.ask(&key, QUESTION).header("traceparent", parent)).await.is(200);
    // An ask runs for a moment after its answer is there.
    let shown = until_some(async || {
        let scraped = service.client.get(format!("{}/metrics", service.url)).bearer_auth(&key);
        let shown = Scrape(Reply::of(scraped).await.is(200).text);
        Some(shown).filter(|shown| shown.value("omni_asks_running", &[]) == Some(0.0))
    });
    let shown = shown.await;
    assert!(collector.spans().is_empty());
    service.signal("TERM");
    assert_eq!(service.end().0, 0);

    let spans = collector.spans();
    let (request, ask) = (collector.span("POST /chat/ask"), collector.span("omni.ask"));
    assert_eq!((&*request.trace, &*request.parent, request.kind, &*request.service), (TRACE, CALLER, 2, "omni"));
    assert_eq!(request.attributes["http.response.status_code"], "200");
    assert_eq!((&*ask.trace, &*ask.parent), (TRACE, &*request.id));
    assert_eq!((&*ask.attributes["omni.outcome"], &*ask.attributes["omni.role"]), ("success", "dba"));
    assert!(ask.attributes.contains_key("request_id"));
    // Whoever asks is judged at the door.
    assert!(spans.iter().any(|span| span.name == "omni.identity" && span.parent == request.id), "{spans:#?}");
    let steps = ["policy", "limit", "catalog", "settle", "ledger"].map(|step| format!("omni.{step}"));
    for step in steps.iter().map(String::as_str).chain(["invoke_agent omni", "chat offline", "tools/call get_health"]) {
        let is_there = |span: &Span| span.name == step && is_under(&spans, span, &ask);
        assert!(spans.iter().any(is_there), "{step} in {spans:#?}");
    }
    let chat = &collector.span("chat offline").attributes;
    assert_eq!((&*chat["gen_ai.operation.name"], &*chat["gen_ai.request.model"]), ("chat", "offline"));
    assert!(chat.contains_key("gen_ai.usage.input_tokens") && chat.contains_key("gen_ai.usage.output_tokens"));
    let call = collector.span("tools/call get_health");
    let named = ["mcp.method.name", "gen_ai.tool.name", "omni.server"].map(|name| &*call.attributes[name]);
    assert_eq!((named, call.kind, call.is_error), (["tools/call", "get_health", "db"], 3, false));

    // The server is told of the call's own span, in the message and before it.
    let told = format!("00-{TRACE}-{}-01", call.id);
    assert_eq!(server.calls()[0]["_meta"]["traceparent"], told);
    assert_eq!(server.traces(), [Some(told)]);

    for private in ["ada@company.com", QUESTION, "all healthy", &key] {
        assert!(!collector.has(private), "{private}");
    }
    assert!(spans.iter().all(|span| span.events == 0), "what is logged stays in the log");
    let called = [("server", "db"), ("tool", "get_health"), ("outcome", "success")];
    assert_eq!(shown.value("omni_tool_calls_total", &called), Some(1.0), "{}", shown.0);
    let asked = [("outcome", "success"), ("source", "http"), ("role", "dba")];
    assert_eq!(shown.value("omni_asks_total", &asked), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nobody_is_told_of_a_trace() {
    let server = Loopback::start();
    let home = omni().with_file("mcps.yaml", &server.mcps("")).with_file("users.yaml", USERS);
    let key = key(&home, "ask");
    let service = Service::start_with(&home, &[], &[]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    Reply::of(service.ask(&key, QUESTION).header("traceparent", parent)).await.is(200);
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
    assert_eq!((server.traces(), &server.calls()[0]["_meta"]["traceparent"]), (vec![None], &serde_json::Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_of_in_the_log_and_hurts_nobody() {
    let home = omni();
    let key = key(&home, "ask");
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let service = Service::start_with(&home, &env, &[]);
    Reply::of(service.ask(&key, "What can you do?")).await.is(200);
    service.signal("TERM");
    let (code, log) = service.end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("opentelemetry"), "{log}");
}
