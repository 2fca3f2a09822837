//! `omni policy explain` and `omni validate-policy`.

use std::{collections::HashSet, sync::Arc};

use omni_core::{
    Config, Error, Principal,
    catalog::stored,
    config::Need,
    policy::{Decision, Grant, PolicyError, ToolRef},
};
use serde_json::{Value, json};

use super::{follow, tools};
use crate::{app::App, args::ExplainArgs, exit::Exit, fault::Fault};

/// One decision on one tool, or on all whose name fits a pattern.
struct Decided {
    server: String,
    tool: String,
    decision: Decision,
}

/// What was decided on.
#[derive(Clone, Copy)]
enum Basis {
    /// The tools that the servers have now.
    Tools,
    /// The tools that they had when they were last asked.
    Stored,
    /// Patterns.
    Rules,
}

impl Basis {
    fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Stored => "stored",
            Self::Rules => "rules",
        }
    }

    fn hint(self) -> Option<&'static str> {
        match self {
            Self::Tools => None,
            Self::Stored => {
                Some("these are the tools that servers had when they were last asked; --live asks them again")
            }
            Self::Rules => {
                Some("no server was asked for its tools yet, so these are the rules alone; --live asks the servers")
            }
        }
    }
}

/// Explains. A denial is an answer like any other: the exit code is 0.
pub(super) async fn run(app: &App, args: &ExplainArgs) -> Result<Exit, Fault> {
    let config = app.config()?;
    known_server(&config, args)?;
    let grant = match resolve(app, &config, &args.user).await? {
        Ok(grant) => grant,
        Err(refused) => return no_grant(app, args, &refused),
    };
    match (&args.server, &args.tool) {
        (Some(server), Some(tool)) => one(app, args, &grant, server, tool),
        _ if args.live => many(app, args, &grant, Basis::Tools, &live(app, &config, args, &grant).await?),
        _ => {
            let (basis, decisions) = without_connection(&config, args, &grant);
            many(app, args, &grant, basis, &decisions)
        }
    }
}

/// The grant by the files alone, or why there is none.
async fn resolve(app: &App, config: &Config, user: &str) -> Result<Result<Arc<Grant>, PolicyError>, Fault> {
    config.require(Need::Policy).map_err(Error::from)?;
    let built = app.registry.policies.build(&config.policy_kind, Arc::new(config.clone())).await;
    let policy = built.map_err(Error::from)?;
    match policy.resolve(&Principal::email(user)).await {
        Ok(grant) => Ok(Ok(grant)),
        Err(error @ PolicyError::Unavailable { .. }) => Err(Error::from(error).into()),
        Err(refused) => Ok(Err(refused)),
    }
}

/// A name that no server bears is more likely a mistake than a question.
fn known_server(config: &Config, args: &ExplainArgs) -> Result<(), Fault> {
    let Some(wanted) = &args.server else { return Ok(()) };
    if config.servers.iter().any(|server| server.name == *wanted) || config.servers.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = config.servers.iter().map(|server| &*server.name).collect();
    Err(Fault::usage(format!("there is no server {wanted:?}")).hint(format!("the servers are: {}", names.join(", "))))
}

/// Whoever has no grant may do nothing.
fn no_grant(app: &App, args: &ExplainArgs, refused: &PolicyError) -> Result<Exit, Fault> {
    if args.json {
        app.console
            .json(&json!({ "effect": "deny", "confirm": false, "rule": refused.to_string(), "source": null }))?;
    } else {
        app.console.line(&format!("deny: {refused}"))?;
    }
    Ok(Exit::Success)
}

fn one(app: &App, args: &ExplainArgs, grant: &Grant, server: &str, tool: &str) -> Result<Exit, Fault> {
    let arguments = args.args.as_deref().map(serde_json::from_str::<Value>).transpose();
    let arguments = arguments.map_err(|error| Fault::usage(format!("--args is not JSON: {error}")))?;
    let decision = grant.decide(server, tool, arguments.as_ref());
    if args.json {
        app.console.json(&document(&decision))?;
    } else {
        app.console.line(&format!("{}\n{}", head(grant), line(&format!("{server}.{tool}"), &decision)))?;
    }
    Ok(Exit::Success)
}

/// `{"effect", "confirm", "rule", "source"}`; `source` is `null` for a built-in rule.
fn document(decision: &Decision) -> Value {
    json!({
        "effect": decision.effect,
        "confirm": decision.confirm,
        "rule": decision.rule.text,
        "source": decision.rule.source.as_ref().map(ToString::to_string),
    })
}

/// Every tool of the servers, decided.
async fn live(app: &App, config: &Config, args: &ExplainArgs, grant: &Grant) -> Result<Vec<Decided>, Fault> {
    let omni = app.build(config).await?;
    app.console.spinner.show("asking the servers …");
    let catalog = omni.catalog().await;
    follow::close(&omni).await;
    tools::tell_of_the_absent(app, &catalog, args.server.as_deref());
    let wanted = |server: &str| args.server.as_deref().is_none_or(|wanted| wanted == server);
    let tools = catalog.tools().filter(|def| wanted(&def.server));
    Ok(tools.map(|def| decided(grant, def.rule_ref())).collect())
}

/// The tools that servers had when they were last asked; of a server that never was, its rules.
fn without_connection(config: &Config, args: &ExplainArgs, grant: &Grant) -> (Basis, Vec<Decided>) {
    let wanted = |server: &str| args.server.as_deref().is_none_or(|wanted| wanted == server);
    let servers = config.servers.iter().map(|server| &*server.name).filter(|server| wanted(server));
    let seen = stored::read(config);
    let (mut basis, mut decisions) = (Basis::Rules, Vec::new());
    for server in servers {
        match seen.get(server) {
            Some(tools) => {
                basis = Basis::Stored;
                decisions.extend(tools.iter().map(|tool| decided(grant, named(server, tool))));
            }
            None => decisions.extend(rules_of(grant, server)),
        }
    }
    (basis, decisions)
}

/// Every pattern that a server's rules name, decided as if it were a tool's name, and any other tool.
fn rules_of(grant: &Grant, server: &str) -> Vec<Decided> {
    let mut patterns: Vec<&str> = grant.rules.patterns(server).iter().map(String::as_str).collect();
    patterns.push("*");
    let mut seen = HashSet::new();
    patterns.retain(|pattern| seen.insert(*pattern));
    patterns.into_iter().map(|pattern| decided(grant, named(server, pattern))).collect()
}

/// A tool of which only the names are known.
fn named<'a>(server: &'a str, name: &'a str) -> ToolRef<'a> {
    ToolRef { server, name, is_destructive: false }
}

fn decided(grant: &Grant, tool: ToolRef<'_>) -> Decided {
    Decided { server: tool.server.into(), tool: tool.name.into(), decision: grant.decide_tool(tool, None) }
}

fn many(app: &App, args: &ExplainArgs, grant: &Grant, basis: Basis, decisions: &[Decided]) -> Result<Exit, Fault> {
    if args.json {
        app.console.json(&json!({
            "user": grant.principal.subject,
            "role": &*grant.role.name,
            "teams": grant.teams,
            "basis": basis.name(),
            "decisions": decisions.iter().map(entry).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Success);
    }
    let mut text = head(grant);
    for Decided { server, tool, decision } in decisions {
        text.push_str(&format!("\n{}", line(&format!("{server}.{tool}"), decision)));
    }
    app.console.line(&text)?;
    if let Some(hint) = basis.hint() {
        app.console.hint(hint);
    }
    Ok(Exit::Success)
}

fn entry(decided: &Decided) -> Value {
    let mut entry = document(&decided.decision);
    entry["server"] = decided.server.clone().into();
    entry["tool"] = decided.tool.clone().into();
    entry
}

fn head(grant: &Grant) -> String {
    let teams = if grant.teams.is_empty() { String::new() } else { format!(", teams: {}", grant.teams.join(", ")) };
    format!("{} (role: {}{teams})", grant.principal.subject, grant.role.name)
}

fn line(name: &str, decision: &Decision) -> String {
    let effect = match (decision.is_allowed(), decision.confirm) {
        (true, true) => "allow, after approval",
        (true, false) => "allow",
        (false, _) => "deny",
    };
    let source = decision.rule.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    format!("{name}: {effect}: {}{source}", decision.rule.text)
}
