//! Clients and servers of the old and of the new revision, in all four pairs.

use omni_core::{
    OmniBuilder,
    identity::Scope,
    ledger::{Event, Outcome},
    mcp::http::HttpServer,
};
use omni_tests::{
    agent::{Agent, Speaks},
    door::Door,
    fixture::FixtureServer,
};
use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams, ReadResourceRequestParams,
    Reference,
};
use serde_json::{Value, json};

use super::http::ADA;

const BOTH: [Speaks; 2] = [Speaks::Old, Speaks::New];

/// A fixture behind a gateway, and a client of it.
struct Pair {
    _fixture: FixtureServer,
    door: Door,
    agent: Agent,
}

async fn pair(client: Speaks, server: Speaks) -> Pair {
    let fixture = FixtureServer::speaking(server).await;
    let door = Door::with(|_| {}, |builder| fronting(builder, &fixture)).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let agent = Agent::connect(&format!("http://{}/mcp", door.address()), &key, client).await;
    Pair { _fixture: fixture, door, agent }
}

fn fronting(builder: OmniBuilder, fixture: &FixtureServer) -> OmniBuilder {
    builder.server("fix", HttpServer::new(&fixture.url).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_prompts_resources_and_completions_pass_in_all_four_pairs() {
    for (client, server) in BOTH.into_iter().flat_map(|client| BOTH.map(|server| (client, server))) {
        let pair = pair(client, server).await;
        let agent = &pair.agent;
        let tools = agent.peer().list_all_tools().await.unwrap();
        let schemas = tools.iter().find(|tool| tool.name == "fix__json_schema_2020_12_tool").unwrap();
        let schemas = serde_json::to_value(schemas).unwrap();
        assert_eq!(schemas["inputSchema"]["$defs"]["address"]["$anchor"], "addressDef", "{client:?} {server:?}");
        assert_eq!(schemas["title"], "Schemas");
        assert_eq!(schemas["icons"][0]["src"], "https://example.com/icon.png");
        assert_eq!(schemas["_meta"]["example.com/own"], 1);
        let text = "This is a simple text response for testing.";
        assert_eq!(agent.text("fix__test_simple_text", json!({})).await, text);
        let mixed = agent.call("fix__test_multiple_content_types", json!({})).await.unwrap();
        assert_eq!(serde_json::to_value(&mixed.content).unwrap()[2]["resource"]["mimeType"], "application/json");

        let prompts = agent.peer().list_all_prompts().await.unwrap();
        assert!(prompts.iter().any(|prompt| prompt.name == "fix__test_simple_prompt"), "{prompts:?}");
        let mut asked = GetPromptRequestParams::new("fix__test_prompt_with_arguments");
        asked.arguments = json!({ "arg1": "a", "arg2": "b" }).as_object().cloned();
        let prompt = serde_json::to_value(agent.get_prompt(asked).await.unwrap()).unwrap();
        assert_eq!(prompt["messages"][0]["content"]["text"], "Prompt with arguments: arg1='a', arg2='b'");
        let unknown = agent.get_prompt(GetPromptRequestParams::new("fix__none")).await.unwrap_err().to_string();
        assert!(unknown.contains("there is no prompt"), "{unknown}");

        let resources = agent.peer().list_all_resources().await.unwrap();
        assert!(resources.iter().any(|resource| resource.uri == "test://static-text"), "{resources:?}");
        let read = |uri: &str| agent.read_resource(ReadResourceRequestParams::new(uri.to_owned()));
        let data = serde_json::to_value(read("test://template/7/data").await.unwrap()).unwrap();
        assert!(data["contents"][0]["text"].as_str().unwrap().contains("\"id\":\"7\""), "{data}");
        assert!(read("test://none").await.unwrap_err().to_string().contains("not found"));

        let reference = Reference::for_prompt("fix__test_prompt_with_arguments");
        let argument = serde_json::from_value::<ArgumentInfo>(json!({ "name": "arg1", "value": "par" })).unwrap();
        let completed = agent.peer().complete(CompleteRequestParams::new(reference, argument)).await.unwrap();
        assert_eq!(completed.completion.values, ["paris", "park", "party"]);
        pair.agent.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_passes_in_all_four_pairs() {
    for (client, server) in BOTH.into_iter().flat_map(|client| BOTH.map(|server| (client, server))) {
        let pair = pair(client, server).await;
        pair.agent.text("fix__test_tool_with_progress", json!({})).await;
        let progress = pair.agent.heard.progress.lock().unwrap().clone();
        assert_eq!(progress, [0.0, 50.0, 100.0], "{client:?} {server:?}");
    }
}

/// What a server asks its client in the middle of a call, old servers by a request and new ones by a result.
fn questions(server: Speaks) -> [(&'static str, Value, &'static str); 3] {
    match server {
        Speaks::Old => [
            ("fix__test_elicitation", json!({ "message": "Who?" }), "action=accept"),
            ("fix__test_sampling", json!({ "prompt": "Hi" }), "LLM response: sampled"),
            ("fix__test_roots", json!({}), "file:///work"),
        ],
        Speaks::New => [
            ("fix__test_input_required_result_elicitation", json!({}), "Hello, Ada!"),
            ("fix__test_input_required_result_sampling", json!({}), "sampled"),
            ("fix__test_input_required_result_list_roots", json!({}), "file:///work"),
        ],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_asks_in_the_middle_of_a_call_is_answered_in_all_four_pairs() {
    for (client, server) in BOTH.into_iter().flat_map(|client| BOTH.map(|server| (client, server))) {
        let pair = pair(client, server).await;
        for (tool, arguments, expected) in questions(server) {
            let text = pair.agent.text(tool, arguments).await;
            let said = text.replace(tool, "");
            assert!(said.contains(expected), "{client:?} {server:?} {tool}: {text}");
        }
        pair.agent.leave().await;
        let records = pair.door.end().await.records();
        let good = records
            .iter()
            .filter(|record| matches!(&record.event, Event::DirectCall(call) if call.outcome == Outcome::Success));
        assert!(good.count() >= 3, "{client:?} {server:?}: {records:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_nobody_can_be_asked_for_is_told_so_by_the_tool() {
    for client in BOTH {
        let fixture = FixtureServer::speaking(Speaks::Old).await;
        let door = Door::with(|_| {}, |builder| fronting(builder, &fixture)).await;
        let key = door.key(ADA, &[Scope::Tools]).await;
        let agent = Agent::unattended(&format!("http://{}/mcp", door.address()), &key, client).await;
        let text = agent.call("fix__test_elicitation", json!({ "message": "Who?" })).await;
        let told = text.map_or_else(|error| error.to_string(), |result| omni_tests::agent::text_of(&result));
        assert!(
            told.contains("decline") || told.contains("elicitation") || told.contains("nobody"),
            "{client:?}: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_call_is_for_whoever_made_it() {
    let pair = pair(Speaks::New, Speaks::Old).await;
    let mut params = CallToolRequestParams::new("fix__test_elicitation");
    params.arguments = json!({ "message": "Who?" }).as_object().cloned();
    let waiting = pair.agent.peer().call_tool_once(params.clone()).await.unwrap();
    let waiting = serde_json::to_value(rmcp::model::ServerResult::from(waiting)).unwrap();
    let state = waiting["requestState"].as_str().unwrap().to_owned();
    let (key, request) = waiting["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(
        (request["method"].as_str(), request["params"]["message"].as_str()),
        (Some("elicitation/create"), Some("Who?"))
    );
    let answer = json!({ "action": "accept", "content": { "username": "ada", "email": "a@b.c" } });
    params.input_responses = Some([(key.clone(), answer)].into());
    params.request_state = Some(state);
    let url = format!("http://{}/mcp", pair.door.address());
    let other = Agent::connect(&url, &pair.door.key("eve@company.com", &[Scope::Tools]).await, Speaks::New).await;
    let stolen = other.peer().call_tool_once(params.clone()).await.unwrap_err().to_string();
    assert!(stolen.contains("nothing waits"), "{stolen}");
    // Another key of the same person may be worth less.
    let other = Agent::connect(&url, &pair.door.key(ADA, &[Scope::Tools]).await, Speaks::New).await;
    let stolen = other.peer().call_tool_once(params.clone()).await.unwrap_err().to_string();
    assert!(stolen.contains("nothing waits"), "{stolen}");
    let done = pair.agent.peer().call_tool_once(params.clone()).await.unwrap();
    let done = serde_json::to_value(rmcp::model::ServerResult::from(done)).unwrap();
    assert!(done["content"][0]["text"].as_str().unwrap().contains("\"username\":\"ada\""), "{done}");
    let again = pair.agent.peer().call_tool_once(params).await.unwrap_err().to_string();
    assert!(again.contains("nothing waits"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_a_persons_agreement_asks_by_the_client() {
    for client in BOTH {
        let lab = omni_tests::server::FakeServer::echo().annotated("echo", json!({ "destructiveHint": true }));
        let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
        let key = door.key(ADA, &[Scope::Tools]).await;
        let url = format!("http://{}/mcp", door.address());
        let agree = Agent::try_connect(&url, Some(&key), client, Some(json!({ "approve": true }))).await.unwrap();
        assert_eq!(agree.text("lab__echo", json!({ "message": "hi" })).await, "hi", "{client:?}");
        assert!(agree.heard.asked.lock().unwrap()[0].contains("lab.echo may change something"));
        let refuse = Agent::try_connect(&url, Some(&key), client, Some(json!({ "approve": false }))).await.unwrap();
        let refused = refuse.call("lab__echo", json!({ "message": "hi" })).await.unwrap();
        assert!(refused.is_error == Some(true) && lab.calls() == 1, "{client:?} {refused:?}");
        let nobody = Agent::unattended(&url, &key, client).await;
        let refused = nobody.text("lab__echo", json!({ "message": "hi" })).await;
        assert!(refused.contains("elicitation") && lab.calls() == 1, "{client:?} {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_person_reads_what_does_not_show_before_they_agree_to_it() {
    for client in BOTH {
        let lab = omni_tests::server::FakeServer::echo().annotated("echo", json!({ "destructiveHint": true }));
        let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
        let (url, key) = (format!("http://{}/mcp", door.address()), door.key(ADA, &[Scope::Tools]).await);
        let agent = Agent::try_connect(&url, Some(&key), client, Some(json!({ "approve": true }))).await.unwrap();
        let path = "/srv/pro\u{ad}d\u{2028}\u{3164}\u{202e}";
        agent.text("lab__echo", json!({ "message": path })).await;
        let asked = agent.heard.asked.lock().unwrap()[0].clone();
        assert!(asked.contains(r"/srv/pro\u00add\u2028\u3164\u202e"), "{client:?} {asked}");
        let long = agent.text("lab__echo", json!({ "message": "\u{3164}".repeat(400) })).await;
        assert!(long.contains("too long") && lab.calls() == 1, "{client:?} {long}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_its_client_keep_comes_back_from_that_client_alone() {
    let pair = pair(Speaks::New, Speaks::New).await;
    let mut params = CallToolRequestParams::new("fix__test_input_required_result_request_state");
    let waiting = pair.agent.peer().call_tool_once(params.clone()).await.unwrap();
    let waiting = serde_json::to_value(rmcp::model::ServerResult::from(waiting)).unwrap();
    let state = waiting["requestState"].as_str().unwrap().to_owned();
    let key = waiting["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    params.input_responses = Some([(key, json!({ "action": "accept", "content": { "ok": true } }))].into());
    let url = format!("http://{}/mcp", pair.door.address());
    let eve = Agent::connect(&url, &pair.door.key("eve@company.com", &[Scope::Tools]).await, Speaks::New).await;
    // Another key of the same person may be worth less.
    let lesser = Agent::connect(&url, &pair.door.key(ADA, &[Scope::Tools]).await, Speaks::New).await;
    let bare = state.splitn(3, ':').nth(2).unwrap().to_owned();
    for (agent, state) in
        [(&eve, state.clone()), (&lesser, state.clone()), (&pair.agent, format!("{state}x")), (&pair.agent, bare)]
    {
        params.request_state = Some(state);
        let refused = agent.peer().call_tool_once(params.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("-32602") && refused.contains("requestState"), "{refused}");
    }
    params.request_state = Some(state);
    let done = pair.agent.peer().call_tool_once(params).await.unwrap();
    let done = serde_json::to_value(rmcp::model::ServerResult::from(done)).unwrap();
    assert_eq!(done["resultType"], "complete", "{done}");
}
