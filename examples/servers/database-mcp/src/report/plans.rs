//! Plans and comparisons as text.

use std::fmt::Write as _;

use super::{Analysis, ComparisonReport, Readable};
use crate::{
    compare::Better,
    finding::Finding,
    plan::{Access, Plan, Step},
    text::{number, rounded, section},
};

/// Most steps of a plan in a text; the document has more.
const MAX_LINES: usize = 40;

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(Finding::line).collect()
}

/// The plan, a step a line.
fn steps(text: &mut String, plan: &Plan) {
    for step in plan.steps.iter().take(MAX_LINES) {
        let _ = writeln!(text, "{}{}", "  ".repeat(step.depth.min(20) + 1), line(step));
    }
    if plan.is_cut || plan.steps.len() > MAX_LINES {
        let _ = writeln!(text, "  … and more steps");
    }
}

fn line(step: &Step) -> String {
    let mut line = step.operation.clone();
    let says = |name: &str| step.operation.split([' ', '.']).any(|word| word == name);
    if let Some(table) = step.table.as_deref().filter(|table| !says(table)) {
        let _ = write!(line, " on {table}");
    }
    if let Some(index) = step.index.as_deref().filter(|index| !says(index) && !step.operation.contains("PRIMARY KEY")) {
        let _ = write!(line, " by {index}");
    }
    let mut facts: Vec<String> = Vec::new();
    facts.extend(match step.access {
        Access::FullScan => Some("full scan".to_owned()),
        Access::FullIndexScan => Some("whole index".to_owned()),
        Access::IndexRange | Access::IndexLookup | Access::Single | Access::None => None,
    });
    facts.extend(step.rows.map(|rows| format!("{} rows", number(rounded(rows, 0)))));
    facts.extend(step.actual_rows.map(|rows| format!("{} in fact", number(rounded(rows, 0)))));
    facts.extend(step.cost.map(|cost| format!("cost {}", number(rounded(cost, 2)))));
    facts.extend(step.work.iter().map(|work| work.label().to_owned()));
    if !facts.is_empty() {
        let _ = write!(line, " — {}", facts.join(", "));
    }
    if let Some(condition) = &step.condition {
        let _ = write!(line, " [{condition}]");
    }
    line
}

fn totals(plan: &Plan) -> String {
    let mut totals: Vec<String> = Vec::new();
    totals.extend(plan.cost.map(|cost| format!("cost {}", number(rounded(cost, 2)))));
    totals.extend(plan.rows.map(|rows| format!("about {} rows", number(rounded(rows, 0)))));
    totals.extend(plan.actual_ms.map(|ms| format!("{} ms measured", number(rounded(ms, 2)))));
    if totals.is_empty() { String::new() } else { format!(" ({})", totals.join(", ")) }
}

impl Readable for Analysis {
    fn text(&self) -> String {
        let mut text = format!("Query plan on {} ({})\n\nPlan{}\n", self.database, self.version, totals(&self.plan));
        steps(&mut text, &self.plan);
        if self.findings.is_empty() {
            text.push_str("\nNothing stands out: the plan uses indexes where it should.\n");
        }
        section(&mut text, "Findings, the worst first", &lines(&self.findings));
        section(&mut text, "Recommended", &self.recommendations);
        section(&mut text, "Notes", &self.notes);
        text
    }
}

impl Readable for ComparisonReport {
    fn text(&self) -> String {
        let verdict = match self.better {
            Better::Optimized => "The optimized query has the better plan.",
            Better::Original => "The original query has the better plan.",
            Better::Same => "Neither query has the better plan.",
        };
        let mut text = format!("Query plans on {} ({})\n\n{verdict}\n", self.database, self.version);
        for reason in &self.reasons {
            let _ = writeln!(text, "- {reason}");
        }
        let _ = writeln!(text, "\nMeasure: original → optimized");
        for measure in self.measures.iter().filter(|measure| measure.original != 0.0 || measure.optimized != 0.0) {
            let _ = writeln!(
                text,
                "- {}: {} → {}",
                measure.name.replace('_', " "),
                number(measure.original),
                number(measure.optimized)
            );
        }
        let _ = writeln!(text, "\nOriginal plan{}", totals(&self.original));
        steps(&mut text, &self.original);
        let _ = writeln!(text, "\nOptimized plan{}", totals(&self.optimized));
        steps(&mut text, &self.optimized);
        section(&mut text, "Solved", &lines(&self.solved));
        section(&mut text, "Still the matter with the optimized query", &lines(&self.remaining));
        section(&mut text, "Notes", &self.notes);
        text
    }
}
