//! `omni policy explain` and `omni validate-policy`.

use std::{collections::HashSet, sync::Arc};

use omni_core::{
    Config, Error, Principal,
    catalog::{
        explain,
        stored::{self, StoredTool, StoredTools},
    },
    compose,
    policy::{Decision, Grant, PolicyError, ToolRef},
};
use serde_json::{Value, json};

use super::{follow, tools};
use crate::{app::App, args::ExplainArgs, exit::Exit, fault::Fault};

/// One decision on one tool, or on all whose name fits a pattern.
struct Decided {
    server: String,
    tool: String,
    /// Whether the tool says that it may destroy something; `None` where nobody knows.
    is_destructive: Option<bool>,
    decision: Decision,
    /// What holds if it may, where that is not known and makes a difference.
    otherwise: Option<Decision>,
}

impl Decided {
    fn new(grant: &Grant, (server, tool): (&str, &str), known: Option<&StoredTool>, arguments: Option<&Value>) -> Self {
        let withheld = known.and_then(|known| known.withheld);
        let decide =
            |is_destructive| explain(grant, ToolRef { server, name: tool, is_destructive }, withheld, arguments);
        let is_destructive = known.and_then(|known| known.is_destructive);
        let decision = decide(is_destructive.unwrap_or(false));
        let is_other = |other: &Decision| (other.effect, other.confirm) != (decision.effect, decision.confirm);
        let otherwise = is_destructive.is_none().then(|| decide(true)).filter(is_other);
        Self { server: server.into(), tool: tool.into(), is_destructive, decision, otherwise }
    }

    fn name(&self) -> String {
        format!("{}.{}", self.server, self.tool)
    }

    /// `{"effect", "confirm", "rule", "source", "destructive"}`; `source` is `null` for a built-in
    /// rule, `destructive` where it is not known.
    fn document(&self) -> Value {
        let mut document = self.decision.explain();
        document["destructive"] = self.is_destructive.into();
        document
    }
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
    if let Some(server) = &args.server
        && let Some((name, decision)) = beside(&grant, server, args)
    {
        return one_beside(app, args, &grant, &name, &decision);
    }
    let seen = if args.live { asked(app, &config, args).await? } else { stored::read(&config) };
    match (&args.server, &args.tool) {
        (Some(server), Some(tool)) => one(app, args, &grant, &seen, (server, tool)),
        _ => {
            let (basis, decisions) = if args.live {
                (Basis::Tools, of_tools(&grant, args, &seen))
            } else {
                without_connection(&config, args, &grant, &seen)
            };
            many(app, args, &grant, basis, &decisions)
        }
    }
}

/// The grant by the files alone, or why there is none.
async fn resolve(app: &App, config: &Config, user: &str) -> Result<Result<Arc<Grant>, PolicyError>, Fault> {
    let policy = compose::policy_store(&Arc::new(config.clone()), &app.registry).await?;
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

fn one(
    app: &App,
    args: &ExplainArgs,
    grant: &Grant,
    seen: &StoredTools,
    (server, tool): (&str, &str),
) -> Result<Exit, Fault> {
    let arguments = args.args.as_deref().map(serde_json::from_str::<Value>).transpose();
    let arguments = arguments.map_err(|error| Fault::usage(format!("--args is not JSON: {error}")))?;
    let tools = seen.get(server);
    let known = tools.and_then(|tools| tools.get(tool));
    let decided = Decided::new(grant, (server, tool), known, arguments.as_ref());
    if args.json {
        app.console.json(&decided.document())?;
    } else {
        app.console.line(&format!("{}\n{}: {}", head(grant), decided.name(), verdict(&decided.decision)))?;
    }
    if args.live && tools.is_some() && known.is_none() {
        app.console.hint(&format!("{server} has no tool {tool:?}"));
    } else if let Some(otherwise) = &decided.otherwise {
        let name = decided.name();
        app.console.hint(&format!(
            "nobody knows here what {name} says of itself; if it may destroy something: {}",
            verdict(otherwise)
        ));
    }
    Ok(Exit::Success)
}

/// A prompt or a resource, decided, and what it is called.
fn beside(grant: &Grant, server: &str, args: &ExplainArgs) -> Option<(String, Decision)> {
    match (&args.prompt, &args.resource) {
        (Some(name), _) => Some((format!("{server}, prompt {name}"), grant.decide_prompt(server, name))),
        (None, Some(uri)) => Some((format!("{server}, resource {uri}"), grant.decide_resource(server, uri))),
        (None, None) => None,
    }
}

fn one_beside(app: &App, args: &ExplainArgs, grant: &Grant, name: &str, decision: &Decision) -> Result<Exit, Fault> {
    if args.json {
        app.console.json(&decision.explain())?;
    } else {
        app.console.line(&format!("{}\n{name}: {}", head(grant), verdict(decision)))?;
    }
    Ok(Exit::Success)
}

/// The tools that servers have now, those that are kept back among them.
async fn asked(app: &App, config: &Config, args: &ExplainArgs) -> Result<StoredTools, Fault> {
    let omni = app.build(config).await?;
    app.console.spinner.show("asking the servers …");
    let catalog = omni.catalog().await;
    follow::close(&omni).await;
    tools::tell_of_the_absent(app, &catalog, args.server.as_deref());
    let answered = catalog.servers.iter().filter(|view| view.health.is_healthy() || !view.tools.is_empty());
    Ok(answered.map(|view| (view.name.to_string(), stored::of(view))).collect())
}

/// Every tool of the servers, decided.
fn of_tools(grant: &Grant, args: &ExplainArgs, seen: &StoredTools) -> Vec<Decided> {
    let wanted = |server: &str| args.server.as_deref().is_none_or(|wanted| wanted == server);
    let servers = seen.iter().filter(|(server, _)| wanted(server));
    let decided = servers.flat_map(|(server, tools)| {
        tools.iter().map(move |(tool, known)| Decided::new(grant, (server, tool), Some(known), None))
    });
    decided.collect()
}

/// The tools that servers had when they were last asked; of a server that never was, its rules.
fn without_connection(config: &Config, args: &ExplainArgs, grant: &Grant, seen: &StoredTools) -> (Basis, Vec<Decided>) {
    let wanted = |server: &str| args.server.as_deref().is_none_or(|wanted| wanted == server);
    let servers = config.servers.iter().map(|server| &*server.name).filter(|server| wanted(server));
    let (mut basis, mut decisions) = (Basis::Rules, Vec::new());
    for server in servers {
        match seen.get(server) {
            Some(tools) => {
                basis = Basis::Stored;
                let decided = |(tool, known): (&String, _)| Decided::new(grant, (server, tool), Some(known), None);
                decisions.extend(tools.iter().map(decided));
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
    patterns.into_iter().map(|pattern| Decided::new(grant, (server, pattern), None, None)).collect()
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
    for decided in decisions {
        text.push_str(&format!("\n{}: {}", decided.name(), verdict(&decided.decision)));
    }
    app.console.line(&text)?;
    if let Some(hint) = basis.hint() {
        app.console.hint(hint);
    }
    if decisions.iter().any(|decided| decided.otherwise.is_some()) {
        app.console.hint("a tool that says it may destroy something can need approval, or be denied, all the same");
    }
    Ok(Exit::Success)
}

fn entry(decided: &Decided) -> Value {
    let mut entry = decided.document();
    entry["server"] = decided.server.clone().into();
    entry["tool"] = decided.tool.clone().into();
    entry
}

fn head(grant: &Grant) -> String {
    let teams = if grant.teams.is_empty() { String::new() } else { format!(", teams: {}", grant.teams.join(", ")) };
    format!("{} (role: {}{teams})", grant.principal.subject, grant.role.name)
}

fn verdict(decision: &Decision) -> String {
    let effect = match (decision.is_allowed(), decision.confirm) {
        (true, true) => "allow, after approval",
        (true, false) => "allow",
        (false, _) => "deny",
    };
    let source = decision.rule.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    format!("{effect}: {}{source}", decision.rule.text)
}
