//! `omni man` and `omni completions`: what the command line says of itself, for others to show.

use std::{fs, io, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{app::App, args::Cli, exit::Exit, fault::Fault};

/// Prints a completion script.
pub(super) fn completions(app: &App, shell: Shell) -> Result<Exit, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "omni", &mut script);
    app.console.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

/// Prints the page of the program, or writes the pages of all its commands to a directory.
pub(super) fn pages(app: &App, dir: Option<&Path>) -> Result<Exit, Fault> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        app.console.write(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Success);
    };
    let dir = app.process.cwd.join(dir);
    write(&dir)
        .map_err(|error| Fault::with_exit(format!("cannot write to {}: {error}", dir.display()), Exit::Failed))?;
    Ok(Exit::Success)
}

fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}
