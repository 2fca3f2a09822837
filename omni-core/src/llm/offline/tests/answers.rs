//! What is called with which arguments, and what is said.

use futures::StreamExt;
use proptest::prelude::*;

use super::*;

/// The events of one turn.
async fn events(provider: &Offline, request: ChatRequest) -> Vec<ChatEvent> {
    provider.stream(request).await.unwrap().map(Result::unwrap).collect().await
}

fn request(messages: Vec<Message>) -> ChatRequest {
    let mut request = ChatRequest::new("offline", messages, 1_000);
    request.tools = tools();
    request
}

/// What a question leads to: the call's name and arguments, or the text.
async fn answer(question: &str) -> Result<(String, Value), String> {
    let events = events(&Offline::new(), request(vec![Message::user(question)])).await;
    match events.iter().find_map(|event| if let ChatEvent::Block(block) = event { Some(block.clone()) } else { None }) {
        Some(Block::ToolUse { name, input, .. }) => Ok((name, serde_json::from_str(input.get()).unwrap())),
        Some(Block::Text { text }) => Err(text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn arguments_are_read_off_the_question() {
    let table = [
        ("echo hello world", json!({ "message": "hello world" })),
        ("What is the sum of 17 and 25?", json!({ "a": 17, "b": 25 })),
        ("add -2.5 and three", json!({ "a": -2.5, "b": 3 })),
        ("Start a long running operation of 3 seconds with 6 steps", json!({ "duration": 3, "steps": 6 })),
        ("an annotated error message, with image", json!({ "messageType": "error", "includeImage": true })),
        ("an annotated success message without image", json!({ "messageType": "success", "includeImage": false })),
        ("I need structured content for New York", json!({ "location": "New York" })),
        (
            "top 5 queries on way4_docker8 by executions",
            json!({ "database": "way4_docker8", "limit": 5, "order_by": "executions" }),
        ),
        (
            "Analyze this query on way4_docker8 in Oracle: SELECT * FROM t WHERE id = 12313",
            json!({ "database": "way4_docker8", "sql": "SELECT * FROM t WHERE id = 12313" }),
        ),
        ("performance trends of shop_db for the last 2 days", json!({ "database": "shop_db", "hours": 48 })),
        ("Search for React repos with over 1000 stars", json!({ "query": "React repos with over 1000 stars" })),
        (
            "Show me the README from facebook/react",
            json!({ "owner": "facebook", "repo": "react", "path": "README.md" }),
        ),
        ("Show me the cost summary for the last month", json!({ "period": "month" })),
        ("What did dba@company.com cost us this week?", json!({ "user": "dba@company.com", "period": "week" })),
        ("read the file /etc/hosts", json!({ "path": "/etc/hosts" })),
        ("find files matching \"*.toml\" under /srv", json!({ "path": "/srv", "pattern": "*.toml" })),
        ("What time is it in Europe/Berlin?", json!({ "timezone": "Europe/Berlin" })),
        (
            "Convert 14:30 from Europe/Berlin to America/New_York",
            json!({ "source_timezone": "Europe/Berlin", "time": "14:30", "target_timezone": "America/New_York" }),
        ),
        ("show me ticket OPS-481", json!({ "ticket_id": "OPS-481" })),
        ("Which meetings are there on 2026-03-14?", json!({ "date": "2026-03-14" })),
        ("Tell channel ops the message \"deploy is done\"", json!({ "channel": "ops", "text": "deploy is done" })),
        ("What's the mean of 3, 5 and 10?", json!({ "numbers": [3, 5, 10] })),
        ("get_top_queries {\"database\": \"x\", \"limit\": 3}", json!({ "database": "x", "limit": 3 })),
    ];
    for (question, expected) in table {
        let (name, arguments) = answer(question).await.unwrap_or_else(|text| panic!("{question}: {text}"));
        assert_eq!(arguments, expected, "{question}: {name}");
    }
}

#[tokio::test]
async fn what_no_tool_is_for_is_answered_by_what_can_be_done() {
    for question in [
        "What can you do?",
        "hello",
        "What is the capital of France?",
        "Why is the sky blue?",
        "Do you love me?",
        "",
        "42",
        "???",
    ] {
        let text = answer(question).await.expect_err(question);
        assert!(text.starts_with("(offline: no language model is configured; "), "{text}");
        assert!(text.contains("**database_mcp**") && text.contains("`echo`"), "{text}");
        assert!(text.len() < 10_000);
    }
}

#[tokio::test]
async fn missing_argument_is_named_and_taken_when_it_is_given() {
    let text = answer("What is the current time?").await.unwrap_err();
    assert!(text.starts_with("(offline: no language model is configured; nothing was called)"), "{text}");
    assert!(text.contains("`time.get_current_time`") && text.contains("- `timezone`: IANA timezone name"), "{text}");
    assert!(text.contains("`timezone=…`"), "{text}");
    let (name, arguments) = answer("What is the current time? timezone=Asia/Tokyo").await.unwrap();
    assert_eq!((name.as_str(), arguments), ("time__get_current_time", json!({ "timezone": "Asia/Tokyo" })));
}

#[tokio::test]
async fn tool_that_is_called_by_its_name_is_meant() {
    let (name, _) = answer("run get_mcp_health_summary about slow queries and costs").await.unwrap();
    assert_eq!(name, "analytics_mcp__get_mcp_health_summary");
}

#[tokio::test]
async fn destructive_tool_is_only_called_by_its_own_verb() {
    let schema = RawValue::from_string(r#"{"type":"object","properties":{}}"#.into()).unwrap();
    let mut def = ToolDef::new("files", "purge_archive", schema).with_description("Empties the archive of old reports");
    def.annotations.destructive_hint = Some(true);
    let mut view = ServerView::new("files", "stdio");
    view.tools.push(Arc::new(def));
    let tools = set(vec![view]);
    for (question, is_called) in
        [("show the archive of old reports", false), ("purge the archive of old reports", true)]
    {
        let mut request = request(vec![Message::user(question)]);
        request.tools = tools.clone();
        let events = events(&Offline::new(), request).await;
        let call = events.iter().any(|event| matches!(event, ChatEvent::Block(Block::ToolUse { .. })));
        assert_eq!(call, is_called, "{question}");
    }
}

fn after_call(result: Vec<ResultPart>, is_error: bool) -> ChatRequest {
    let input = RawValue::from_string("{}".into()).unwrap();
    let call = Block::ToolUse { id: "c1".into(), name: "time__get_current_time".into(), input };
    let result = Block::ToolResult { id: "c1".into(), content: result, is_error };
    request(vec![
        Message::user("What time is it in UTC?"),
        Message::assistant(vec![call]),
        Message { speaker: Speaker::User, blocks: vec![result] },
    ])
}

async fn said(request: ChatRequest) -> String {
    let events = events(&Offline::new(), request).await;
    let streamed: String =
        events.iter().filter_map(|e| if let ChatEvent::Text(t) = e { Some(t.as_str()) } else { None }).collect();
    let Some(Block::Text { text }) =
        events.iter().find_map(|event| if let ChatEvent::Block(block) = event { Some(block) } else { None })
    else {
        panic!("no text in {events:?}")
    };
    assert_eq!(&streamed, text, "what was streamed is the block");
    assert!(matches!(events[events.len() - 2], ChatEvent::Usage(usage) if usage == Usage::default()));
    assert!(matches!(events.last(), Some(ChatEvent::Done(StopReason::EndTurn))));
    text.clone()
}

#[tokio::test]
async fn output_is_shown_under_a_line_that_says_that_no_model_read_it() {
    let parts = vec![
        ResultPart::Text { text: "12:00 – noon ".repeat(200) },
        ResultPart::Image { mime: "image/png".into(), data: "AAAA".into() },
    ];
    let text = said(after_call(parts, false)).await;
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "(offline: no language model is configured; this is the output of `time.get_current_time`)");
    assert!(rest.contains(&"12:00 – noon ".repeat(200)) && rest.ends_with("[image/png, 3 bytes]"), "{rest}");
}

#[tokio::test]
async fn error_of_a_tool_is_shown_as_an_error() {
    let text = said(after_call(vec![ResultPart::Text { text: "no such zone".into() }], true)).await;
    assert_eq!(text, "(offline: no language model is configured; `time.get_current_time` failed)\n\nno such zone");
}

#[tokio::test]
async fn no_tool_is_called_where_none_may_be() {
    let mut forbidden = request(vec![Message::user("add 2 and 3")]);
    forbidden.tool_choice = ToolChoice::None;
    assert!(said(forbidden).await.contains("no tool may be called in this turn"));
    let mut without = request(vec![Message::user("add 2 and 3")]);
    without.tools = Arc::new(ToolSet::empty());
    assert!(said(without).await.contains("There is no tool to answer with"));
}

#[tokio::test]
async fn it_costs_nothing_and_registers_as_offline() {
    let mut registry = Registry::empty();
    register(&mut registry);
    let provider = registry.llm.build("offline", crate::config::LlmConfig::new("offline")).await.unwrap();
    let price = provider.models()[0].price.unwrap();
    assert_eq!(price.cost(&Usage::new(1_000_000, 1_000_000)).0, 0);
}

#[test]
fn tool_sets_are_indexed_once_and_not_for_ever() {
    let provider = Offline::new();
    let (first, again) = (provider.index(&tools()), provider.index(&tools()));
    assert!(!Arc::ptr_eq(&first, &again), "other definitions, though of the same names");
    let kept = tools();
    assert!(Arc::ptr_eq(&provider.index(&kept), &provider.index(&kept)));
    for _ in 0..50 {
        provider.index(&tools());
    }
    assert!(provider.indexes.lock().unwrap().len() <= MAX_INDEXES);
}

#[test]
fn long_question_over_a_thousand_tools_is_looked_up_in_part() {
    let schema = RawValue::from_string(r#"{"type":"object","properties":{"query":{"type":"string"}}}"#.into()).unwrap();
    let mut view = ServerView::new("many", "stdio");
    for i in 0..1_000 {
        let def = ToolDef::new("many", format!("tool_{i:x}_of_{}", i * 7), schema.clone());
        view.tools.push(Arc::new(def.with_description(&format!("Handles matter number{i} of kind{}", i % 13))));
    }
    let tools = set(vec![view]);
    let question: Vec<String> = (0..1_000).map(|n| format!("word{n}")).collect();
    let question = question.join(" ");
    assert_eq!(rank::asked(&facts::read(&question, today())).len(), crate::catalog::search::MAX_WORDS);
    let _ = Offline::new().answer(&question, &tools);
}

#[test]
fn the_first_of_two_twins_always_wins() {
    let schema =
        r#"{"type":"object","properties":{"query":{"type":"string","description":"What to look for, in words"}}}"#;
    let views = ["east", "west"].map(|server| {
        let mut def = ToolDef::new(server, "find_old_reports", RawValue::from_string(schema.into()).unwrap());
        def =
            def.with_description("Finds the reports of last year, by author, title, region and month of publication.");
        let mut view = ServerView::new(server, "stdio");
        view.tools.push(Arc::new(def));
        view
    });
    let tools = set(views.into());
    let question = "find the reports of last year by author and region";
    for _ in 0..50 {
        let hits = Index::build(&tools).rank(&tools, question, &facts::read(question, today()));
        assert_eq!((hits[0].tool, hits[0].score.to_bits()), (0, hits[1].score.to_bits()));
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_is_answered(question in "(add|echo|show|query|[a-z_]{1,8}|[0-9.:/-]{1,6}|\"|'|“|=|\\{|@|é|select | ){0,20}") {
        let tools = tools();
        match Offline::new().answer(&question, &tools) {
            Turn::Say(text) => prop_assert!(text.starts_with("(offline: ")),
            Turn::Call { tool, arguments } => {
                prop_assert!(tools.by_llm_name(&tool.llm_name).is_some());
                prop_assert_eq!(tool.def.check.check(&Value::Object(arguments)), Ok(()));
            }
        }
    }
}

#[tokio::test]
async fn a_tool_is_found_among_two_as_well_as_among_many() {
    let tool = |name: &str, about: &str| {
        let schema = serde_json::value::to_raw_value(&json!({ "type": "object", "properties": {} })).unwrap();
        Arc::new(crate::catalog::ToolDef::new("db", name, schema).with_description(about))
    };
    let mut view = crate::catalog::ServerView::new("db", "in_process");
    view.tools = vec![tool("drop_table", "Drops a table."), tool("list_tables", "Lists the tables.")];
    let catalog = crate::catalog::Catalog::new(1, vec![view]);
    let names = crate::catalog::NameRules::default();
    let mut request = request(vec![Message::user("list the tables")]);
    request.tools = Arc::new(ToolSet::build(&catalog, &crate::policy::RuleSet::allow_all(), names));
    let events = events(&Offline::new(), request).await;
    let called = events
        .iter()
        .any(|event| matches!(event, ChatEvent::Block(Block::ToolUse { name, .. }) if name == "db__list_tables"));
    assert!(called, "{events:?}");
}
