//! A plan: what a database means to do for a query, told in one way for all of them.

use schemars::JsonSchema;
use serde::Serialize;

#[cfg(any(feature = "mysql", test))]
pub(crate) mod mysql;
#[cfg(any(feature = "oracle", test))]
pub(crate) mod oracle;
#[cfg(any(feature = "postgres", test))]
pub(crate) mod postgres;
pub(crate) mod sqlite;
#[cfg(test)]
mod tests;

/// Most steps of a plan that are kept.
pub(crate) const MAX_STEPS: usize = 150;
/// Longest condition of a step, in characters.
const MAX_CONDITION: usize = 300;

/// What a database means to do for a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Plan {
    /// The database's own estimate of the whole, in a unit of its own; plans of one database can be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How many rows it expects to return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<f64>,
    /// How long it really took, in milliseconds, where the query was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_ms: Option<f64>,
    /// Its steps; each stands under the step that uses what it gives.
    pub steps: Vec<Step>,
    /// Whether there were more steps than are here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Step {
    /// How deep it stands below the top.
    pub depth: usize,
    /// What it does, in the database's words.
    pub operation: String,
    /// How it gets at rows.
    pub access: Access,
    /// The table, by the name that the query uses for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// How many rows it is expected to read or give, each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<f64>,
    /// How many it really gave, each time, where the query was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_rows: Option<f64>,
    /// How often it was really done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loops: Option<f64>,
    /// Its cost with what is below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The condition that rows have to meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What else it costs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<Work>,
    /// Which share of its rows meets its conditions, where the plan says so.
    #[serde(skip)]
    pub(crate) keeps: Option<f64>,
}

/// How a step gets at rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Access {
    /// Every row of a table.
    FullScan,
    /// Every entry of an index.
    FullIndexScan,
    /// A part of an index.
    IndexRange,
    /// The entries of an index for one value.
    IndexLookup,
    /// One row at most.
    Single,
    /// It reads no table.
    #[default]
    None,
}

/// Work that a better index or query may save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Work {
    /// Rows are sorted.
    Sort,
    /// Rows are sorted, and did not fit into memory.
    SortOnDisk,
    /// Rows are put into a temporary table or index.
    Temporary,
    /// An index is made for this one query.
    AutomaticIndex,
    /// It is done again for every row of what is around it.
    PerRow,
    /// Two tables are joined without an index, by buffering or hashing one.
    JoinBuffer,
    /// The index has all that is needed of the table.
    Covering,
    /// Rows are read from an index, and most of them are thrown away.
    FiltersMuch,
}

impl Work {
    /// As people write it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Sort => "sorts",
            Self::SortOnDisk => "sorts on disk",
            Self::Temporary => "temporary table",
            Self::AutomaticIndex => "index made for this query",
            Self::PerRow => "once per outer row",
            Self::JoinBuffer => "join buffer",
            Self::Covering => "index only",
            Self::FiltersMuch => "throws most rows away",
        }
    }
}

impl Plan {
    /// Adds a step, as long as there is room.
    pub(crate) fn push(&mut self, mut step: Step) {
        if self.steps.len() >= MAX_STEPS {
            self.is_cut = true;
            return;
        }
        step.condition = step.condition.map(|text| crate::text::cut(&text, MAX_CONDITION));
        self.steps.push(step);
    }

    /// Steps that read a whole table or index.
    pub(crate) fn full_scans(&self) -> impl Iterator<Item = &Step> {
        let is_full = |step: &&Step| matches!(step.access, Access::FullScan | Access::FullIndexScan);
        self.steps.iter().filter(is_full).filter(|step| step.table.is_some())
    }

    /// The indexes that it uses, each once.
    pub(crate) fn indexes(&self) -> Vec<&str> {
        let mut indexes: Vec<&str> = self.steps.iter().filter_map(|step| step.index.as_deref()).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
    }

    /// How often it has a piece of work.
    pub(crate) fn count(&self, work: Work) -> usize {
        self.steps.iter().filter(|step| step.work.contains(&work)).count()
    }
}

impl Step {
    /// Whether it has a piece of work.
    pub(crate) fn has(&self, work: Work) -> bool {
        self.work.contains(&work)
    }
}

/// A number of a JSON document, which may be written as text.
#[cfg(any(feature = "mysql", feature = "postgres", test))]
pub(crate) fn number(value: &serde_json::Value) -> Option<f64> {
    match value {
        serde_json::Value::Number(number) => number.as_f64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}
