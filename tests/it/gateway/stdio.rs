//! `omni mcp`: the protocol on standard input and output of the built program.

use std::{process::Stdio, time::Duration};

use omni_tests::{parts::Parts, program::Program};
use rmcp::{
    ServiceExt as _,
    model::{CallToolRequestParams, ClientConfig},
};
use serde_json::json;
use tokio::process::Command;

fn program() -> Program {
    let parts = Parts::find();
    let everything = format!(
        "mcps:\n  - name: everything\n    transport: stdio\n    command: {}\n    args: [{:?}, stdio]\n    \
         tool_policy: {{ mode: allow_all_except, exclude: [get-env] }}\n",
        parts.node(),
        parts.everything()
    );
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
        .with_file("mcps.yaml", &everything)
        .with_file("users.yaml", "super_admins:\n  - { email: ada@company.com }\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_whoever_runs_it_and_says_nothing_else_on_standard_output() {
    let program = program();
    let mut command = Command::from(program.command(&["mcp", "--as", "ada@company.com"]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let wire = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let client = ClientConfig::default().serve(wire).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
    assert!(names.contains(&"everything__echo") && !names.iter().any(|name| name.contains("env")), "{names:?}");
    let mut call = CallToolRequestParams::new("everything__echo");
    call.arguments = json!({ "message": "hi" }).as_object().cloned();
    let result = client.call_tool(call).await.unwrap();
    assert_eq!(result.content[0].as_text().unwrap().text, "Echo: hi");
    // The client goes, and with it the program.
    client.cancel().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    let log = program.run(&["audit", "list", "--as", "ada@company.com", "--json"]);
    assert!(log.out.contains("\"mcp\"") && log.out.contains("everything"), "{log:?}");
}

#[test]
fn whoever_may_not_be_served_learns_it_at_once() {
    let ran = program().run(&["mcp", "--as", "nobody@company.com"]);
    assert!(ran.code == 5 && ran.out.is_empty() && ran.err.contains("nobody@company.com"), "{ran:?}");
}

#[test]
fn a_client_that_says_nothing_ends_the_program_by_going() {
    let ran = program().run(&["mcp", "--as", "ada@company.com"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
}
