//! What a DBA should know: each with how bad it is, and what to do.

use schemars::JsonSchema;
use serde::Serialize;

/// Most findings of one answer.
pub(crate) const MAX_FINDINGS: usize = 25;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Severity {
    /// Worth changing now.
    High,
    /// Worth looking at.
    Medium,
    /// Worth knowing.
    Low,
}

impl Severity {
    /// As it stands in a text.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Something that a DBA should know.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Finding {
    /// What it is: `full_scan`, `missing_index`, `sort`, `select_star` and so on.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The table that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// A statement that would do it. It is for a person to check and run: this server runs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

impl Finding {
    pub(crate) fn new(code: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self { code, severity, table: None, message: message.into(), advice: None, statement: None }
    }

    pub(crate) fn of(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn statement(mut self, statement: impl Into<String>) -> Self {
        self.statement = Some(statement.into());
        self
    }

    /// As lines of a text.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("[{}] {}", self.severity.label(), self.message);
        if let Some(advice) = &self.advice {
            line.push_str("\n  ");
            line.push_str(advice);
        }
        if let Some(statement) = &self.statement {
            line.push_str("\n  ");
            line.push_str(statement);
        }
        line
    }
}

/// The worst first, each once; what is equally bad stays in its order.
pub(crate) fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| finding.severity);
    let mut kept: Vec<Finding> = Vec::new();
    for finding in findings {
        if !kept.contains(&finding) {
            kept.push(finding);
        }
    }
    kept.truncate(MAX_FINDINGS);
    kept
}
