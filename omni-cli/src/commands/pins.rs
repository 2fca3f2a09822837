//! `omni tools pins`, `omni tools diff` and `omni tools approve`.

use omni_core::{Error, pin::Pin, scan::Finding};
use serde_json::{Value, json};

use super::users::{administer, say, table};
use crate::{
    app::App,
    args::{ApproveToolArgs, DiffArgs, PinsArgs},
    console::clean::Cleaner,
    exit::Exit,
    fault::Fault,
};

/// How much of a digest a table shows.
const SHORT: usize = 12;

pub(super) async fn list(app: &App, args: &PinsArgs) -> Result<Exit, Fault> {
    let mut pins = administer(app, async |admin| admin.pins(args.server.as_deref(), None).await).await?;
    pins.retain(|pin| !args.held || pin.held.is_some());
    let text = table(["TOOL", "STATE", "DIGEST", "SINCE", "BY", "FOUND"], pins.iter().map(row));
    let exit = say(app, args.json, &pins.iter().map(document).collect::<Vec<_>>(), &Cleaner::all(&text))?;
    if let Some(held) = pins.iter().find(|pin| pin.held.is_some()) {
        let (server, tool) = (&held.server, &held.tool);
        app.console.hint(&format!("`omni tools diff {server} {tool}` shows what changed, `omni tools approve` agrees"));
    }
    Ok(exit)
}

fn row(pin: &Pin) -> [String; 6] {
    let (state, seen) = match (&pin.held, &pin.pinned) {
        (Some((why, seen)), _) => (format!("kept back: {}", why.as_str()), Some(seen)),
        (None, Some(seen)) if omni_core::scan::is_suspicious(&seen.findings) => ("flagged".into(), Some(seen)),
        (None, seen) => ("pinned".into(), seen.as_ref()),
    };
    let found = seen.map_or_else(Vec::new, |seen| kinds(&seen.findings));
    [
        format!("{}.{}", pin.server, pin.tool),
        state,
        seen.map(|seen| seen.digest.chars().take(SHORT).collect()).unwrap_or_default(),
        seen.map(|seen| seen.at.date_naive().to_string()).unwrap_or_default(),
        pin.pinned_by.clone().unwrap_or_default(),
        found.join(","),
    ]
}

fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = findings.iter().map(|finding| finding.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn document(pin: &Pin) -> Value {
    let held = pin.held.as_ref().map(|(why, seen)| json!({ "why": why, "seen": seen }));
    json!({
        "server": pin.server,
        "tool": pin.tool,
        "pinned": pin.pinned,
        "pinned_by": pin.pinned_by,
        "held": held,
        "diff": pin.diff(),
    })
}

pub(super) async fn diff(app: &App, args: &DiffArgs) -> Result<Exit, Fault> {
    let (server, tool) = (args.server.as_str(), args.tool.as_str());
    let pin = administer(app, async |admin| {
        let none = || Error::NotFound {
            message: format!("no tool {tool:?} of {server:?} was ever seen; `omni tools pins` lists what was"),
        };
        admin.pins(Some(server), Some(tool)).await?.pop().ok_or_else(none)
    })
    .await?;
    let Some((why, seen)) = &pin.held else {
        app.console.hint(&format!("{server}.{tool} is what it was agreed to be"));
        return Ok(Exit::Success);
    };
    app.console.write(&Cleaner::all(&pin.diff().unwrap_or_default()))?;
    for finding in &seen.findings {
        let line = format!("{} in {}: {}", finding.kind.as_str(), finding.at, finding.excerpt);
        app.console.warning(&Cleaner::all(&line));
    }
    let digest = &seen.digest[..SHORT.min(seen.digest.len())];
    app.console.hint(&format!("{}; `omni tools approve {server} {tool} --digest {digest}` agrees to it", why.told()));
    Ok(Exit::Success)
}

pub(super) async fn approve(app: &App, args: &ApproveToolArgs) -> Result<Exit, Fault> {
    let approved = administer(app, async |admin| match &args.tool {
        Some(tool) => admin.approve_tool(&args.server, tool, args.digest.as_deref()).await.map(|pin| vec![pin]),
        None => admin.approve_tools(&args.server).await,
    })
    .await?;
    let names: Vec<String> = approved.iter().map(|pin| format!("{}.{}", pin.server, pin.tool)).collect();
    let line = match names.len() {
        0 => format!("no tool of {} is kept back", args.server),
        _ => format!("may be used again: {}", names.join(", ")),
    };
    say(app, args.json, &approved.iter().map(document).collect::<Vec<_>>(), &Cleaner::all(&line))
}
