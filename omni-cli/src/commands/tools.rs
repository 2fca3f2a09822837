//! `omni tools list` and `omni tools show`.

use omni_core::{
    Error, Omni,
    catalog::{Catalog, Health, OfferedTool, ToolSet},
    policy::Grant,
};
use serde_json::{Value, json};

use super::{calls, follow};
use crate::{
    app::App,
    args::{ListArgs, ShowArgs},
    exit::Exit,
    fault::Fault,
    render::one_line,
};

/// Most characters of a description in a list.
const MAX_SUMMARY: usize = 90;

/// Lists what the person may use.
pub(super) async fn list(app: &App, args: &ListArgs) -> Result<Exit, Fault> {
    let omni = app.omni().await?;
    let result = list_with(app, args, &omni).await;
    follow::close(&omni).await;
    result
}

/// The same with a pipeline that is there.
pub(super) async fn list_with(app: &App, args: &ListArgs, omni: &Omni) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    app.console.spinner.show("asking the servers …");
    let (grant, tools) = (omni.grant(who.clone()).await?, omni.tools(who).await?);
    let wanted = |tool: &&OfferedTool| args.server.as_ref().is_none_or(|server| **server == *tool.def.server);
    let tools: Vec<&OfferedTool> = tools.tools().iter().filter(wanted).collect();
    if args.json {
        app.console.json(&tools.iter().map(|tool| document(tool, &grant)).collect::<Vec<_>>())?;
    } else {
        app.console.write(&rows(&tools, &grant))?;
    }
    tell_of_the_absent(app, &*omni.catalog().await, args.server.as_deref());
    Ok(Exit::Success)
}

/// A list without a server's tools does not look like that server has none.
pub(super) fn tell_of_the_absent(app: &App, catalog: &Catalog, wanted: Option<&str>) {
    if let Some(wanted) = wanted
        && !catalog.servers.iter().any(|view| *view.name == *wanted)
    {
        app.console.warning(&format!("there is no server {wanted:?}; `omni servers list` shows which there are"));
    }
    for view in &catalog.servers {
        if let Health::Unhealthy { reason } = &view.health {
            app.console.warning(&format!("{} does not answer: {}", view.name, one_line(reason)));
        }
    }
    if catalog.servers.is_empty() {
        app.console.hint("no server is configured; `omni init` writes a configuration to start from");
    }
}

fn rows(tools: &[&OfferedTool], grant: &Grant) -> String {
    let width = tools.iter().map(|tool| tool.def.full_name().chars().count()).max().unwrap_or_default();
    let row = |tool: &&OfferedTool| {
        let mark = if needs_approval(tool, grant) { " [needs approval]" } else { "" };
        let line = format!("{:width$}  {}{mark}", tool.def.full_name(), summary(&tool.def.description));
        format!("{}\n", crate::console::clean::Cleaner::all(line.trim_end()))
    };
    tools.iter().map(row).collect()
}

fn needs_approval(tool: &OfferedTool, grant: &Grant) -> bool {
    grant.decide_tool(tool.def.rule_ref(), None).confirm
}

/// The first line of a description, cut.
fn summary(description: &str) -> String {
    let line = description.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(MAX_SUMMARY) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

fn document(tool: &OfferedTool, grant: &Grant) -> Value {
    let def = &tool.def;
    json!({
        "server": &*def.server,
        "tool": &*def.name,
        "title": def.title,
        "description": def.description,
        "annotations": def.annotations,
        "needs_approval": needs_approval(tool, grant),
        "input_schema": calls::schema(def),
    })
}

/// Shows one tool.
pub(super) async fn show(app: &App, args: &ShowArgs) -> Result<Exit, Fault> {
    let omni = app.omni().await?;
    let result = show_with(app, args, &omni).await;
    follow::close(&omni).await;
    result
}

async fn show_with(app: &App, args: &ShowArgs, omni: &Omni) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    app.console.spinner.show("asking the servers …");
    let (grant, tools) = (omni.grant(who.clone()).await?, omni.tools(who).await?);
    let Some(tool) = find(&tools, &args.tool) else {
        return Err(calls::absent(omni, &grant, &tools, &args.tool).await);
    };
    if args.json {
        app.console.json(&document(tool, &grant))?;
    } else {
        app.console.line(&page(tool, &grant))?;
    }
    Ok(Exit::Success)
}

/// The tool of a `server.tool`: by table, for both halves may have dots.
pub(super) fn find<'a>(tools: &'a ToolSet, name: &str) -> Option<&'a OfferedTool> {
    tools.tools().iter().find(|tool| tool.def.full_name() == name)
}

/// The error for a name that is no tool, with the nearest that is one.
pub(super) fn unknown(tools: &ToolSet, name: &str) -> Error {
    let names = tools.tools().iter().map(|tool| tool.def.full_name());
    let scored = names.map(|full| (strsim::jaro_winkler(name, &full), full));
    let near = scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, full)| full);
    Error::UnknownTool { name: name.into(), near }
}

fn page(tool: &OfferedTool, grant: &Grant) -> String {
    let def = &tool.def;
    let mut page = def.full_name();
    if let Some(title) = &def.title {
        page.push_str(&format!(" — {title}"));
    }
    page.push_str(&format!("\n\n{}\n\n", def.description.trim()));
    if needs_approval(tool, grant) {
        page.push_str("Needs approval before it runs.\n\n");
    }
    let schema = serde_json::to_string_pretty(&calls::schema(def)).unwrap_or_default();
    page.push_str(&format!("Arguments:\n{schema}"));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_one_line_and_short() {
        assert_eq!(summary("\n  Adds numbers.\nMore."), "Adds numbers.");
        assert_eq!(summary(&"ä".repeat(200)).chars().count(), MAX_SUMMARY + 1);
        assert_eq!(summary(""), "");
    }
}
