//! `omni policy import` and `omni policy export`: from `users.yaml` into the database, and back.

use std::{fs, io::Write as _};

use omni_core::{
    Config, Error,
    config::LoadOptions,
    people::{Blocks, Imported},
};
use serde_json::json;

use super::users::{administer, say};
use crate::{
    app::App,
    args::{ExportPolicyArgs, ImportArgs},
    exit::Exit,
    fault::Fault,
};

pub(super) async fn import(app: &App, args: &ImportArgs) -> Result<Exit, Fault> {
    let options = LoadOptions::new(app.process.env.clone(), &app.process.cwd).with_dir(&args.from);
    let from = Config::load(options).map_err(Error::from)?;
    let blocks = if args.replace { Blocks::Go } else { Blocks::Stay };
    let imported = administer(app, async |admin| admin.import_policy(&from, blocks).await).await?;
    let mut document = serde_json::to_value(&imported)?;
    document["from"] = args.from.display().to_string().into();
    let exit = say(app, args.json, &document, &summary(&imported))?;
    if !imported.still_blocked.is_empty() {
        app.console.hint("`omni users enable` lets one of them in again, an import with --replace all of them");
    }
    if app.load()?.policy_kind != "sql" {
        app.console.hint("users.yaml comes first unless settings.yaml says `policy: { store: sql }`");
    }
    Ok(exit)
}

/// What was done, and whom it changes beside what the file says.
fn summary(imported: &Imported) -> String {
    let mut summary = match imported.people {
        1 => "1 person is in the database".to_owned(),
        people => format!("{people} people are in the database"),
    };
    let kinds = [
        ("not named any more, so without their role", &imported.no_longer_named),
        ("still kept out", &imported.still_blocked),
        ("not kept out any more", &imported.let_in),
    ];
    for (what, people) in kinds.into_iter().filter(|(_, people)| !people.is_empty()) {
        summary.push_str(&format!("\n{what}: {}", people.join(", ")));
    }
    summary
}

/// Writes `users.yaml`. One that is there is not touched.
pub(super) async fn export(app: &App, args: &ExportPolicyArgs) -> Result<Exit, Fault> {
    let text = administer(app, async |admin| admin.export_policy().await).await?;
    let path = args.to.join("users.yaml");
    let failed =
        |error: std::io::Error| Fault::with_exit(format!("cannot write {}: {error}", path.display()), Exit::Failed);
    fs::create_dir_all(&args.to).map_err(failed)?;
    let mut file = fs::File::create_new(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let shown = path.display().to_string();
    say(app, args.json, &json!({ "file": shown }), &format!("wrote {shown}"))
}
