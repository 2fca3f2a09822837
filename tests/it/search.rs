//! More tools than a model reads: it finds them, and calls the real ones.

use std::sync::{Arc, Mutex};

use omni_core::{
    Ask, OmniBuilder, Principal,
    answer::CallStatus,
    config::ToolsConfig,
    confirm::{Approver, ConfirmRequest, Verdict},
    ledger::{Event, Outcome},
    llm::scripted::Scripted,
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{
    rig::Rig,
    server::{FakeServer, any, text},
};
use serde_json::{Value, json};

fn ask(question: &str) -> Ask {
    Ask::new(Principal::email("ada@company.com"), question)
}

fn above(threshold: usize) -> impl FnOnce(OmniBuilder) -> OmniBuilder {
    move |builder| {
        let mut tools = ToolsConfig::default();
        tools.search_threshold = threshold;
        let rules = RuleSet::builder().allow("lab", "*").deny("lab", "drop_*").build().unwrap();
        let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::super_admin(), rules, Quota::default());
        builder.tools(tools).policy(policy)
    }
}

fn lab() -> FakeServer {
    FakeServer::echo()
        .tool("get_weather", any(), |_| Box::pin(async { Ok(text("rain")) }))
        .tool("wipe_disk", any(), |_| Box::pin(async { Ok(text("wiped")) }))
        .annotated("wipe_disk", json!({ "destructiveHint": true }))
        .tool("drop_table", any(), |_| Box::pin(async { Ok(text("dropped")) }))
}

/// The names of the tools that a request offers.
fn offered(llm: &Scripted, turn: usize) -> Vec<String> {
    llm.requests()[turn].tools.tools().iter().map(|tool| tool.llm_name.to_string()).collect()
}

/// What the model read last before a turn.
fn read(llm: &Scripted, turn: usize) -> String {
    format!("{:?}", llm.requests()[turn].messages.last().unwrap())
}

fn call(tool: &str, arguments: Value) -> (&'static str, Value) {
    let mut call = json!({ "tool": tool });
    call["arguments"] = arguments;
    ("call_tool", call)
}

#[tokio::test]
async fn a_model_finds_looks_and_calls_and_the_record_has_the_real_tool() {
    let llm = Scripted::new()
        .call(&[("find_tools", json!({ "query": "echo a message" }))])
        .call(&[("describe_tool", json!({ "tool": "lab__echo" }))])
        .call(&[call("lab__echo", json!({ "message": "hi" }))])
        .say("It said hi.");
    let rig = Rig::new(llm.clone(), lab(), above(2)).await;
    let (answer, _, recorder) = rig.run(ask("Say hi")).await;
    let answer = answer.unwrap();
    assert_eq!(answer.text, "It said hi.");
    for turn in 0..4 {
        assert_eq!(offered(&llm, turn), ["find_tools", "describe_tool", "call_tool"]);
    }
    assert!(read(&llm, 1).contains("lab__echo") && read(&llm, 1).contains("message"), "{}", read(&llm, 1));
    assert!(read(&llm, 2).contains("The tool echo."), "{}", read(&llm, 2));
    assert!(read(&llm, 3).contains("hi"), "{}", read(&llm, 3));

    let names: Vec<_> = answer.tool_calls.iter().map(|call| (&*call.server, &*call.tool, call.status)).collect();
    let expected = [("omni", "find_tools"), ("omni", "describe_tool"), ("lab", "echo")];
    assert_eq!(names, expected.map(|(server, tool)| (server, tool, CallStatus::Ok)), "each is seen");
    assert_eq!(answer.tool_calls[2].arguments, json!({ "message": "hi" }));
    let records = recorder.records();
    let sent: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::ToolCall(call) if call.was_sent() => Some((call.server.clone(), call.tool.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [("lab".to_owned(), "echo".to_owned())], "to look for a tool is no call of a server");
    let used = records.iter().find_map(|record| match &record.event {
        Event::Ask(ask) => Some(ask.tools_used.clone()),
        _ => None,
    });
    assert_eq!(used.unwrap(), ["lab.echo"]);
}

#[tokio::test]
async fn a_tool_with_a_huge_schema_takes_no_other_tool_out_of_what_is_found() {
    let names: Vec<String> = (0..400).map(|n| format!("{n:064}")).collect();
    let properties: serde_json::Map<String, Value> = names.iter().map(|name| (name.clone(), json!({}))).collect();
    let huge = json!({ "type": "object", "properties": properties, "required": names });
    let server = lab().tool("huge_report", huge, |_| Box::pin(async { Ok(text("huge")) }));
    let server = server.tool("get_report", any(), |_| Box::pin(async { Ok(text("small")) }));
    let llm = Scripted::new().call(&[("find_tools", json!({ "query": "report" }))]).say("Found.");
    let rig = Rig::new(llm.clone(), server, above(2)).await;
    rig.run(ask("Which reports are there?")).await.0.unwrap();
    let found = read(&llm, 1);
    assert!(found.contains("lab__huge_report") && found.contains("lab__get_report"), "{found}");
    assert_eq!(found.matches("… 369 more").count(), 2, "arguments, and those that it takes: {found}");
}

#[tokio::test]
async fn what_one_may_not_use_is_not_found_and_is_unknown() {
    let llm = Scripted::new()
        .call(&[("find_tools", json!({ "query": "drop table", "limit": 20 }))])
        .call(&[
            call("lab__drop_table", json!({})),
            call("lab.drop_table", json!({})),
            ("describe_tool", json!({ "tool": "lab__drop_table" })),
            call("lab__nothing", json!({})),
            ("lab__drop_table", json!({})),
        ])
        .say("No.");
    let rig = Rig::new(llm.clone(), lab(), above(2)).await;
    let server = rig.server.clone();
    let (answer, _, recorder) = rig.run(ask("Drop it")).await;
    let answer = answer.unwrap();
    assert!(!read(&llm, 1).contains("drop_table"), "{}", read(&llm, 1));
    assert!(!read(&llm, 2).contains("The tool drop_table"), "{}", read(&llm, 2));
    assert_eq!(server.calls(), 0);
    let statuses: Vec<_> = answer.tool_calls[1..].iter().map(|call| call.status).collect();
    let denied = CallStatus::Denied;
    assert_eq!(statuses, [denied, denied, denied, CallStatus::Error, denied]);
    let unknown = &answer.tool_calls[4];
    assert_eq!((&*unknown.server, &*unknown.tool), ("", "lab__nothing"), "it is no call of the menu");
    let calls = recorder.tool_calls(answer.request_id);
    assert!(calls.contains(&("drop_table".to_owned(), Outcome::Denied)), "{calls:?}");
    assert!(calls.iter().any(|(tool, _)| tool == "lab__nothing"), "{calls:?}");
    assert!(calls.iter().all(|(tool, _)| tool != "call_tool"), "{calls:?}");
}

#[tokio::test]
async fn arguments_are_checked_by_the_real_tools_schema() {
    let llm = Scripted::new()
        .call(&[
            call("lab__echo", json!({ "message": 5 })),
            ("call_tool", json!({ "tool": "lab__echo" })),
            ("call_tool", json!({ "tool": "lab__echo", "arguments": "{}" })),
            ("find_tools", json!({ "query": "x", "limit": 0 })),
        ])
        .say("Sorry.");
    let rig = Rig::new(llm.clone(), lab(), above(2)).await;
    let server = rig.server.clone();
    let (answer, _, _) = rig.run(ask("q")).await;
    assert_eq!(server.calls(), 0);
    assert!(answer.unwrap().tool_calls.iter().all(|call| call.status == CallStatus::Error));
    assert!(read(&llm, 1).contains("message") && read(&llm, 1).contains("string"), "{}", read(&llm, 1));
}

/// Notes what is asked, and says no.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<(String, String, String)>>);

#[async_trait::async_trait]
impl Approver for Noting {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        let asked = (request.server.clone(), request.tool.clone(), request.arguments.get().to_owned());
        self.0.lock().unwrap().push(asked);
        Verdict::Decline { reason: "not today".into() }
    }
}

#[tokio::test]
async fn a_human_is_asked_about_the_real_tool_and_its_arguments() {
    let llm = Scripted::new().call(&[call("lab__wipe_disk", json!({ "disk": 1 }))]).say("No.");
    let rig = Rig::new(llm, lab(), above(2)).await;
    let noting = Arc::new(Noting::default());
    let server = rig.server.clone();
    let (answer, _, _) = rig.run(ask("Wipe it").with_approver(noting.clone())).await;
    assert_eq!(answer.unwrap().tool_calls[0].status, CallStatus::Declined);
    assert_eq!(*noting.0.lock().unwrap(), [("lab".into(), "wipe_disk".into(), "{\"disk\":1}".into())]);
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn few_tools_are_listed_and_the_menu_does_not_change_with_the_question() {
    let few = Scripted::new().say("ok");
    let rig = Rig::new(few.clone(), lab(), above(3)).await;
    rig.run(ask("q")).await.0.unwrap();
    assert_eq!(offered(&few, 0), ["lab__echo", "lab__get_weather", "lab__wipe_disk"], "as many as the threshold");
    let call = Scripted::new().call(&[("call_tool", json!({ "tool": "lab__echo", "arguments": {} }))]).say("ok");
    let rig = Rig::new(call, lab(), above(3)).await;
    let answer = rig.run(ask("q")).await.0.unwrap();
    assert_eq!(answer.tool_calls[0].status, CallStatus::Error, "without a menu there is no such tool");

    let many = Scripted::new().say("a").say("b");
    let rig = Rig::new(many.clone(), lab(), above(2)).await;
    rig.omni.ask(ask("What is the weather?")).await.unwrap();
    rig.omni.ask(ask("Wipe the disk.")).await.unwrap();
    let requests = many.requests();
    assert!(Arc::ptr_eq(&requests[0].tools, &requests[1].tools), "one and the same menu");
    assert_eq!(requests[0].system, requests[1].system);
    assert!(
        requests[0].system.contains("find_tools") && requests[0].system.contains("- lab"),
        "{}",
        requests[0].system
    );
    rig.omni.shutdown().await;
}
