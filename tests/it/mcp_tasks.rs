//! Tools of servers of 2025-11-25 that run as tasks only.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use omni_core::mcp::{
    CallContext, Connector, McpError, Pool, ServerOptions, http::HttpServer, pool::ServerEntry, stdio::StdioServer,
};
use omni_tests::{
    agent::Speaks,
    parts::{Parts, base_env},
    rig::until,
    wire::{Answer, Wire, bare},
};
use serde_json::{Value, json, value::to_raw_value};

const LONG: Duration = Duration::from_secs(30);

/// The same over standard input and output: it works for two questions, and then is done.
const CHILD: &str = r"
    const tool = { name: 'slow', inputSchema: { type: 'object' }, execution: { taskSupport: 'required' } };
    const task = (status) => ({ taskId: '7', status, createdAt: 'x', lastUpdatedAt: 'x', ttl: 1000, pollInterval: 50 });
    let asked = 0;
    const answers = {
        initialize: () => ({ protocolVersion: '2025-11-25', serverInfo: { name: 's', version: '1' },
            capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } }),
        'tools/list': () => ({ tools: [tool] }),
        'tools/call': (params) => params.task ? { task: task('working') } : { content: [], isError: true },
        'tasks/get': () => task(++asked < 3 ? 'working' : 'completed'),
        'tasks/result': () => ({ content: [{ type: 'text', text: 'asked ' + asked }] }),
    };
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method, params } = JSON.parse(line);
        if (id === undefined) return;
        const result = answers[method]?.(params);
        const answer = result ? { result } : { error: { code: -32601, message: 'unknown' } };
        console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
    });
";

fn task(status: &str) -> Value {
    json!({ "taskId": "7", "status": status, "statusMessage": "no disk", "createdAt": "2025-11-25T10:00:00Z",
        "lastUpdatedAt": "2025-11-25T10:00:00Z", "ttl": 60_000, "pollInterval": 50 })
}

/// A server whose only tool needs a task, which passes through these states.
async fn server(states: &'static [&'static str]) -> Wire {
    let asked = AtomicUsize::new(0);
    let mut tool = bare("slow");
    tool["execution"] = json!({ "taskSupport": "required" });
    let wire = Wire::start(Speaks::Old, json!([tool, bare("fast")]), move |method, params| match method {
        "tools/call" if params["name"] == "slow" && params.get("task").is_none() => {
            Answer::Error(-32_601, "this tool needs a task")
        }
        "tools/call" if params["name"] == "slow" => Answer::of(json!({ "task": task("working") })),
        "tools/call" if params.get("task").is_some() => Answer::Error(-32_602, "this tool takes no task"),
        "tools/call" => Answer::of(json!({ "content": [{ "type": "text", "text": "fast" }] })),
        "tasks/get" => {
            let state = states.get(asked.fetch_add(1, SeqCst)).or(states.last());
            Answer::of(task(state.unwrap()))
        }
        "tasks/result" if states.last() == Some(&"failed") => Answer::Error(-32_000, "no disk"),
        "tasks/result" => Answer::of(json!({ "content": [{ "type": "text", "text": "done" }] })),
        "tasks/cancel" => Answer::of(task("cancelled")),
        _ => Answer::unknown(),
    });
    wire.await
}

async fn pool(connector: impl Connector + 'static) -> Pool {
    let entry = ServerEntry { connector: Arc::new(connector), options: ServerOptions::default() };
    let pool = Pool::new([("s".to_owned(), entry)].into());
    pool.discover().await;
    pool
}

async fn call(pool: &Pool, tool: &str, within: Duration) -> Result<String, McpError> {
    let arguments = to_raw_value(&json!({})).unwrap();
    pool.call("s", tool, &arguments, &CallContext::within(within)).await.map(|output| output.for_person())
}

#[tokio::test]
async fn a_call_goes_on_as_a_task_and_its_result_is_fetched() {
    let wire = server(&["working", "working", "completed"]).await;
    let pool = pool(HttpServer::new(&wire.url).unwrap()).await;
    assert_eq!(call(&pool, "slow", LONG).await.unwrap(), "done");
    assert_eq!(call(&pool, "fast", LONG).await.unwrap(), "fast");
    let ttl = wire.asked("tools/call")[0]["task"]["ttl"].as_u64().unwrap();
    assert!(ttl > 1_000 && ttl <= 30_000, "for as long as somebody waits: {ttl}");
    assert_eq!((wire.asked("tasks/get").len(), wire.asked("tasks/result").len()), (3, 1));
    assert!(wire.asked("tasks/cancel").is_empty());
    // As a gateway's client has it called, too.
    let params = to_raw_value(&json!({ "name": "s__slow", "arguments": {} })).unwrap();
    let reply = pool.call_raw("s", "slow", &params, &CallContext::within(LONG)).await.unwrap();
    assert!(reply.raw().get().contains("done"), "{reply:?}");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_task_that_wants_input_is_asked_for_its_result_on_the_way_to_which_the_server_asks() {
    let wire = server(&["working", "input_required"]).await;
    let pool = pool(HttpServer::new(&wire.url).unwrap()).await;
    assert_eq!(call(&pool, "slow", LONG).await.unwrap(), "done");
    assert_eq!((wire.asked("tasks/get").len(), wire.asked("tasks/result").len()), (2, 1));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_task_that_fails_or_is_cancelled_fails_the_call() {
    for (states, words) in [(&["failed"][..], "no disk"), (&["cancelled"], "cancelled its task: no disk")] {
        let wire = server(states).await;
        let pool = pool(HttpServer::new(&wire.url).unwrap()).await;
        let error = call(&pool, "slow", LONG).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(wire.asked("tasks/cancel").is_empty());
        pool.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_for_which_nobody_waits_any_more_is_cancelled() {
    let wire = server(&["working"]).await;
    let pool = pool(HttpServer::new(&wire.url).unwrap()).await;
    let error = call(&pool, "slow", Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    until(|| wire.asked("tasks/cancel").len() == 1).await;
    tokio::select! {
        _ = call(&pool, "slow", LONG) => panic!("it goes on"),
        () = until(|| wire.asked("tools/call").len() == 2 && wire.asked("tasks/get").len() > 10) => {}
    }
    until(|| wire.asked("tasks/cancel").len() == 2).await;
    assert_eq!(wire.asked("tasks/cancel")[1]["taskId"], "7");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_child_process_is_asked_in_the_same_way() {
    let server = StdioServer::new(Parts::find().node()).with_args(["-e", CHILD]).with_base_env(base_env());
    let pool = pool(server).await;
    assert_eq!(call(&pool, "slow", LONG).await.unwrap(), "asked 3");
    pool.shutdown().await;
}
