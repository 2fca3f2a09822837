//! `omni init`.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
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

/// The variables that the files may refer to.
const VARIABLES: File = (".env.example", include_str!("../../../.env.example"));

const MINIMAL: &[File] = &[example!("minimal", "mcps.yaml"), VARIABLES];

const TEAM: &[File] = &[
    example!("team", "mcps.yaml"),
    example!("team", "settings.yaml"),
    example!("team", "slack.yaml"),
    example!("team", "threading.yaml"),
    example!("team", "users.yaml"),
    VARIABLES,
];

/// Writes an example's files, all or none, over nothing that is there.
pub(super) fn run(app: &App, args: &InitArgs) -> Result<Exit, Fault> {
    let dir = app.process.cwd.join(&args.dir);
    let files = files(args.example);
    if let Some((name, _)) = files.iter().find(|(name, _)| is_taken(&dir.join(name))) {
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

/// Whether something is there, be it a link that leads nowhere.
fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn write(dir: &Path, files: &[File]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut made: Vec<PathBuf> = Vec::new();
    for (name, text) in files {
        let path = dir.join(name);
        let written = fs::File::create_new(&path).and_then(|mut file| {
            made.push(path);
            file.write_all(text.as_bytes())
        });
        if let Err(error) = written {
            // What cannot be removed is no worse than what went wrong before.
            made.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(error);
        }
    }
    Ok(())
}
