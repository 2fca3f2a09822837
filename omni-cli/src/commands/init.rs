//! `omni init`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use crate::{
    app::App,
    args::{Example, InitArgs},
    exit::Exit,
    fault::Fault,
};

/// A file of an example: its name in the directory, and its text.
type File = (&'static str, &'static str);

/// A file of the repository's examples, at build time.
macro_rules! example {
    ($example:literal, $name:literal) => {
        ($name, include_str!(concat!("../../../examples/config/", $example, "/", $name)))
    };
}

const MINIMAL: &[File] = &[example!("minimal", "mcps.yaml")];

const TEAM: &[File] = &[
    example!("team", "mcps.yaml"),
    example!("team", "settings.yaml"),
    example!("team", "slack.yaml"),
    example!("team", "threading.yaml"),
    example!("team", "users.yaml"),
];

/// Writes an example's files, all or none, over nothing that is there.
pub(super) fn run(app: &App, args: &InitArgs) -> Result<Exit, Fault> {
    let dir = app.process.cwd.join(&args.dir);
    let files = files(args.example);
    if let Some((name, _)) = files.iter().find(|(name, _)| dir.join(name).exists()) {
        let message = format!("{} exists already, and nothing is overwritten", dir.join(name).display());
        return Err(Fault::with_exit(message, Exit::Failed).hint("choose another directory with --dir"));
    }
    write(&dir, files)
        .map_err(|error| Fault::with_exit(format!("cannot write to {}: {error}", dir.display()), Exit::Failed))?;
    for (name, _) in files {
        app.console.line(&args.dir.join(name).display().to_string())?;
    }
    app.console.hint(&format!(
        "`omni --config {0} config check` checks it, `omni --config {0} ask \"What can you do?\"` uses it",
        args.dir.display()
    ));
    Ok(Exit::Success)
}

fn files(example: Example) -> &'static [File] {
    match example {
        Example::Minimal => MINIMAL,
        Example::Team => TEAM,
    }
}

fn write(dir: &Path, files: &[File]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text) in files {
        OpenOptions::new().write(true).create_new(true).open(dir.join(name))?.write_all(text.as_bytes())?;
    }
    Ok(())
}
