//! What was measured, as tables for people and as JSON.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{args::Args, machine::Machine};

/// One table; the first column is to the left, the others to the right.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) title: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(title: &'static str, head: &[&str]) -> Self {
        Self { title, head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn plain(&self) -> String {
        let width = |at: usize| {
            let cells = std::iter::once(&self.head).chain(&self.rows).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(at, (cell, width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let lines: Vec<String> = std::iter::once(&self.head).chain(&self.rows).map(line).collect();
        format!("{}\n{}\n", self.title, lines.join("\n"))
    }

    fn markdown(&self) -> String {
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|---|{}\n", "---:|".repeat(self.head.len() - 1));
        let rows: String = self.rows.iter().map(line).collect();
        format!("### {}\n\n{}{rule}{rows}", self.title, line(&self.head))
    }
}

/// All that one run has to say.
#[derive(Debug)]
pub(super) struct Report {
    /// Names its section, and stands over it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) tables: Vec<Table>,
    pub(super) figures: Value,
}

impl Report {
    /// Prints it, and writes what was asked for.
    pub(super) fn tell(&self, args: &Args) -> Result<()> {
        let here = Machine::here();
        println!("{}\n{}, {}, commit {}\n{}\n", self.title, here.machine, here.date, here.commit, here.command);
        for table in &self.tables {
            println!("{}", table.plain());
        }
        if let Some(path) = &args.json {
            let document = json!({ "name": self.name, "taken": here, "figures": self.figures });
            fs::write(path, serde_json::to_vec_pretty(&document)?).with_context(|| path.display().to_string())?;
        }
        match &args.markdown {
            Some(path) => self.put_into(path, &here).with_context(|| path.display().to_string()),
            None => Ok(()),
        }
    }

    /// Its section of a file is replaced, or added where there is none.
    fn put_into(&self, path: &Path, here: &Machine) -> Result<()> {
        let (begin, end) = (format!("<!-- {} -->\n", self.name), format!("<!-- end of {} -->\n", self.name));
        let mut section = format!("{begin}## {}\n\n", self.title);
        writeln!(section, "{}; {}; commit {}; `{}`\n", here.machine, here.date, here.commit, here.command)?;
        let tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        section += &tables.join("\n");
        section += &end;
        let text = if path.exists() { fs::read_to_string(path)? } else { "# Measured\n".to_owned() };
        let written = match (text.find(&begin), text.find(&end)) {
            (Some(from), Some(to)) if from < to => format!("{}{section}{}", &text[..from], &text[to + end.len()..]),
            _ => format!("{text}\n{section}"),
        };
        Ok(fs::write(path, written)?)
    }
}

/// A figure with as many places as it is worth.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
