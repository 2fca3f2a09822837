//! Databases and their health as text.

use std::fmt::Write as _;

use super::{Databases, Health, Readable, Status};
use crate::{
    finding::Finding,
    text::{measure, number, section},
};

impl Readable for Databases {
    fn text(&self) -> String {
        if self.databases.is_empty() {
            return "No database is configured.\n".into();
        }
        let count = self.databases.len();
        let mut text = format!("{count} {}\n\n", if count == 1 { "database" } else { "databases" });
        for database in &self.databases {
            let what = database.version.as_deref().unwrap_or(database.kind.label());
            let _ = write!(text, "- {} ({what})", database.name);
            if !database.description.is_empty() {
                let _ = write!(text, ": {}", database.description);
            }
            match &database.problem {
                Some(problem) => {
                    let _ = writeln!(text, "\n  Not reachable: {problem}");
                }
                None => {
                    let _ = writeln!(text, "\n  Queries: {}", database.query_tools.join(", "));
                }
            }
        }
        text
    }
}

impl Readable for Health {
    fn text(&self) -> String {
        let status = match self.status {
            Status::Good => "good",
            Status::Warning => "warning",
            Status::Critical => "critical",
        };
        let mut text = format!("Health of {} ({}): {status}, {} of 100\n\n", self.database, self.version, self.score);
        for metric in &self.metrics {
            let _ = writeln!(text, "- {}: {}", metric.label, measure(metric.value, metric.unit));
        }
        let waits: Vec<String> = self
            .waits
            .iter()
            .map(|wait| {
                let time = wait.total_ms.map(|ms| format!(", {} ms", number(ms))).unwrap_or_default();
                format!("{}: {}{time}", wait.event, number(wait.count))
            })
            .collect();
        section(&mut text, "Waits", &waits);
        let findings: Vec<String> = self.findings.iter().map(Finding::line).collect();
        section(&mut text, "Findings, the worst first", &findings);
        if self.findings.is_empty() {
            text.push_str("\nNothing stands out.\n");
        }
        section(&mut text, "Notes", &self.notes);
        text
    }
}
