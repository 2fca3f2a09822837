//! `omni users`, and what commands of administrators share.

use comfy_table::{Table, presets};
use omni_core::{
    Error, Omni, Principal, Source,
    omni::{Admin, ListedUser},
};
use serde::Serialize;
use serde_json::json;

use super::follow;
use crate::{
    app::App,
    args::{AddUserArgs, ApproveUserArgs, DisableArgs, UserArgs},
    exit::Exit,
    fault::Fault,
    render::one_line,
};

/// Does something as an administrator. The person at the terminal is one: they can read
/// configuration and database anyway. No server is needed for it.
pub(super) async fn administer<T>(app: &App, work: impl AsyncFnOnce(&Admin) -> Result<T, Error>) -> Result<T, Fault> {
    let as_admin = async |omni: &Omni| {
        let admin = omni.admin(app.credential(None), Source::Cli).await?;
        Box::pin(work(&admin)).await
    };
    follow::without_servers(app, as_admin, Fault::from).await
}

/// Prints a document, or a line.
pub(super) fn say(app: &App, json: bool, document: &impl Serialize, line: &str) -> Result<Exit, Fault> {
    if json {
        app.console.json(document)?;
    } else {
        app.console.line(line)?;
    }
    Ok(Exit::Success)
}

/// A table without lines, so that it can be cut and searched. No cell ends the line that it is in.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    rows.for_each(|row| {
        table.add_row(row.map(|cell| one_line(&cell)));
    });
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// An address as the core keeps it.
fn address(given: &str) -> String {
    Principal::email(given).subject
}

pub(super) async fn add(app: &App, args: &AddUserArgs) -> Result<Exit, Fault> {
    let (email, role) = (&*address(args.address()), &args.role);
    let was_out = administer(app, async |admin| admin.add_user(email, args.name.as_deref(), role).await).await?;
    let more = if was_out { ", and is not kept out any more" } else { "" };
    say(app, args.json, &json!({ "email": email, "role": role }), &format!("{email} has the role {role}{more}"))
}

pub(super) async fn list(app: &App, json: bool) -> Result<Exit, Fault> {
    let users = administer(app, async |admin| admin.users().await).await?;
    let row = |user: &ListedUser| {
        let status = serde_json::to_value(user.status).unwrap_or_default();
        [
            user.email.clone(),
            user.role.clone().unwrap_or_default(),
            status.as_str().unwrap_or_default().into(),
            user.source.clone(),
            user.name.clone(),
        ]
    };
    let text = table(["EMAIL", "ROLE", "STATUS", "SOURCE", "NAME"], users.iter().map(row));
    say(app, json, &users, &text)
}

pub(super) async fn disable(app: &App, args: &DisableArgs) -> Result<Exit, Fault> {
    let email = &*address(&args.user);
    administer(app, async |admin| admin.disable_user(email, args.message.as_deref()).await).await?;
    say(app, args.json, &json!({ "email": email, "status": "blocked" }), &format!("{email} may not use omni any more"))
}

pub(super) async fn enable(app: &App, args: &UserArgs) -> Result<Exit, Fault> {
    let email = &*address(&args.user);
    administer(app, async |admin| admin.enable_user(email).await).await?;
    say(app, args.json, &json!({ "email": email }), &format!("{email} is not kept out any more"))
}

pub(super) async fn approve(app: &App, args: &ApproveUserArgs) -> Result<Exit, Fault> {
    let email = &*address(&args.user);
    let role = administer(app, async |admin| admin.approve_user(email, args.role.as_deref()).await).await?;
    say(app, args.json, &json!({ "email": email, "role": role }), &format!("{email} has the role {role}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_of_a_table_ends_its_line() {
        let rows = [["a\nforged".to_owned(), "x\ry".to_owned()], ["b\u{1b}[2J".to_owned(), "z\u{2028}z".to_owned()]];
        let text = table(["NAME", "WHAT"], rows.into_iter());
        let cells = |line| str::split(line, "  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>();
        let lines: Vec<Vec<&str>> = text.lines().map(cells).collect();
        assert_eq!(lines, [["NAME", "WHAT"], ["a forged", "x y"], ["b", "z z"]].map(Vec::from), "{text}");
    }
}
