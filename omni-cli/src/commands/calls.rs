//! `omni tools call`.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Error, Omni, Source,
    ask::DirectCall,
    catalog::{Catalog, ToolDef, ToolSet},
    confirm::Approver,
    elicit::Elicit,
    identity::Credential,
    omni::CallReply,
    policy::Grant,
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    follow::{self, Interruption},
    tools,
};
use crate::{
    app::App,
    approve,
    args::{CallArgs, CallFormat},
    elicit,
    exit::Exit,
    fault::Fault,
    render::document::CallDocument,
};

/// Calls a tool as the person, without a model. An interruption gives the call up, and it is
/// recorded as any other.
pub(super) async fn run(app: &App, args: &CallArgs) -> Result<Exit, Fault> {
    let given = given(args)?;
    let omni = app.omni().await?;
    let mut interruption = Interruption::listen();
    let result = tokio::select! {
        biased;
        () = interruption.arrives() => Err(Error::Cancelled.into()),
        result = call(app, args, given, &omni) => result,
    };
    follow::close(&omni).await;
    result
}

async fn call(app: &App, args: &CallArgs, given: Map<String, Value>, omni: &Omni) -> Result<Exit, Fault> {
    let terminal = app.terminal();
    let by = Caller {
        who: app.credential(args.act_as.as_deref()),
        timeout: args.timeout,
        approver: approve::approver(app, args.approvals.mode(), &terminal),
        elicit: elicit::elicit(app, &terminal),
    };
    let reply = by_name(app, omni, by, &args.tool, (given, &args.args)).await?;
    show(app, args.output, &reply)
}

/// Whoever calls a tool by its name.
pub(super) struct Caller {
    pub(super) who: Credential,
    pub(super) timeout: Option<Duration>,
    pub(super) approver: Arc<dyn Approver>,
    pub(super) elicit: Arc<dyn Elicit>,
}

/// Calls a `server.tool`, with an object of arguments and single ones over it.
pub(super) async fn by_name(
    app: &App,
    omni: &Omni,
    by: Caller,
    name: &str,
    (given, pairs): (Map<String, Value>, &[(String, String)]),
) -> Result<CallReply, Fault> {
    let Caller { who, timeout, approver, elicit } = by;
    app.console.spinner.show("asking the servers …");
    let catalog = omni.catalog().await;
    let def = catalog.tools().find(|def| def.full_name() == name);
    let arguments = typed(given, pairs, &def.map(|def| schema(def)).unwrap_or_default());
    let arguments = RawValue::from_string(Value::Object(arguments).to_string())?;
    app.console.spinner.show(&format!("{name} …"));
    let (server, tool) = halves(&catalog, name);
    // A name that is no tool, or not for this person, is refused and recorded by the call itself.
    let call = DirectCall::new(who.clone(), server, tool, arguments)
        .with_source(Source::Cli)
        .with_timeout(timeout)
        .with_approver(approver)
        .with_elicit(elicit);
    match omni.call_tool(call).await {
        Ok(reply) => Ok(reply),
        Err(Error::UnknownTool { .. }) => {
            let (grant, tools) = (omni.grant(who.clone()).await?, omni.tools(who).await?);
            Err(absent(omni, &grant, &tools, name).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the call of a kept result again.
pub(super) async fn again(app: &App, omni: &Omni, by: Caller, id: &str) -> Result<CallReply, Fault> {
    let Caller { who, timeout, approver, elicit } = by;
    app.console.spinner.show("asking the servers …");
    let call = omni.call_again(who, id).await.map_err(of_results)?;
    app.console.spinner.show(&format!("{}.{} …", call.server, call.tool));
    let call = call.with_source(Source::Cli).with_timeout(timeout).with_approver(approver).with_elicit(elicit);
    Ok(omni.call_tool(call).await?)
}

/// What is not kept may be found in the list.
pub(super) fn of_results(error: Error) -> Fault {
    match error {
        Error::NotFound { .. } => Fault::from(error).hint("`omni results list` shows what is kept"),
        other => other.into(),
    }
}

/// Server and tool of a `server.tool`. Both may have dots, so the longest server's name counts.
fn halves<'a>(catalog: &Catalog, name: &'a str) -> (&'a str, &'a str) {
    let of_server = |server: &str| {
        let tool = name.strip_prefix(server)?.strip_prefix('.')?;
        Some((&name[..server.len()], tool))
    };
    let known = catalog.servers.iter().filter_map(|view| of_server(&view.name)).max_by_key(|(server, _)| server.len());
    known.or_else(|| name.split_once('.')).unwrap_or(("", name))
}

/// The error for a name that is not among the person's tools. Whoever sits here can read the policy
/// too, so a tool that is there and denied is called that.
pub(super) async fn absent(omni: &Omni, grant: &Grant, tools: &ToolSet, name: &str) -> Fault {
    let catalog = omni.catalog().await;
    let denied = catalog.tools().find(|def| def.full_name() == name);
    let Some(def) = denied else { return tools::unknown(tools, name).into() };
    let user = &grant.principal.subject;
    let rule = grant.decide_tool(def.rule_ref(), None).rule;
    Fault::from(Error::Denied { message: format!("{user} may not use {name}: {}", rule.text) }).hint(format!(
        "`omni policy explain --user {user} --server {} --tool {}` shows which rule decides",
        def.server, def.name
    ))
}

/// The tool's JSON Schema.
pub(super) fn schema(def: &ToolDef) -> Value {
    serde_json::from_str(def.input_schema.get()).unwrap_or_default()
}

/// The object of `--json`.
fn given(args: &CallArgs) -> Result<Map<String, Value>, Fault> {
    let Some(text) = &args.json else { return Ok(Map::new()) };
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Fault::usage("--json takes a JSON object, such as '{\"database\": \"prod\"}'")),
        Err(error) => Err(Fault::usage(format!("--json is not JSON: {error}"))),
    }
}

/// The arguments of `--json` with those of `--arg` over them, each of the type that the schema says.
fn typed(mut arguments: Map<String, Value>, pairs: &[(String, String)], schema: &Value) -> Map<String, Value> {
    for (key, text) in pairs {
        let value = value(text, &schema["properties"][key]);
        arguments.insert(key.clone(), value);
    }
    arguments
}

/// Text as a value of the schema's type. What does not fit stays text, for the check to name.
fn value(text: &str, schema: &Value) -> Value {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let parsed = serde_json::from_str::<Value>(text).ok();
    let fits = |value: &Value| match value {
        Value::Null => kinds.contains(&"null"),
        Value::Bool(_) => kinds.contains(&"boolean"),
        Value::Number(_) => kinds.contains(&"number") || kinds.contains(&"integer"),
        Value::Array(_) => kinds.contains(&"array"),
        Value::Object(_) => kinds.contains(&"object"),
        Value::String(_) => false,
    };
    match parsed {
        Some(value) if kinds.is_empty() || fits(&value) => value,
        Some(_) | None => Value::String(text.to_owned()),
    }
}

/// Shows what came of a call.
pub(super) fn show(app: &App, output: Option<CallFormat>, reply: &CallReply) -> Result<Exit, Fault> {
    let exit = if reply.output.is_error { Exit::Failed } else { Exit::Success };
    if output == Some(CallFormat::Json) {
        app.console.json(&CallDocument::new(reply, exit)?)?;
    } else {
        app.console.line(reply.output.for_person().trim_end_matches('\n'))?;
    }
    if reply.output.is_error {
        app.console.error(&format!("{}.{} says that it failed", reply.summary.server, reply.summary.tool));
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use omni_core::catalog::ServerView;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_cut_behind_its_server_which_may_have_dots() {
        let servers = ["db", "db.prod"].map(|name| ServerView::new(name, "http"));
        let catalog = Catalog::new(1, servers.into());
        for (name, server, tool) in [
            ("db.get", "db", "get"),
            ("db.prod.get", "db.prod", "get"),
            ("db.prod.a.b", "db.prod", "a.b"),
            ("other.get", "other", "get"),
            ("get", "", "get"),
        ] {
            assert_eq!(halves(&catalog, name), (server, tool));
        }
    }

    #[test]
    fn arguments_have_the_type_that_the_schema_says() {
        let schema = json!({"properties": {
            "n": {"type": "integer"}, "on": {"type": "boolean"}, "id": {"type": "string"},
            "list": {"type": "array"}, "maybe": {"type": ["null", "number"]},
        }});
        let pairs = [
            ("n", "5"),
            ("on", "true"),
            ("id", "5"),
            ("list", "[1]"),
            ("maybe", "null"),
            ("free", "5"),
            ("text", "a b"),
        ];
        let pairs = pairs.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let expected = json!({"n": 5, "on": true, "id": "5", "list": [1], "maybe": null, "free": 5, "text": "a b"});
        assert_eq!(Value::Object(typed(Map::new(), &pairs, &schema)), expected);
    }

    #[test]
    fn what_does_not_fit_stays_text_for_the_check_to_name() {
        assert_eq!(value("five", &json!({"type": "integer"})), json!("five"));
        assert_eq!(value("{", &json!({"type": "object"})), json!("{"));
    }

    #[test]
    fn single_arguments_win_over_the_object() {
        let object = json!({"a": 1, "b": 2}).as_object().cloned().unwrap();
        let arguments = typed(object, &[("b".into(), "3".into())], &json!({}));
        assert_eq!(Value::Object(arguments), json!({"a": 1, "b": 3}));
    }
}
