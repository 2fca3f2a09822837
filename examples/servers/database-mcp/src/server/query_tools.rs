//! The tools that explain queries.

use super::{DatabaseServer, Entry};
use crate::{
    Error, Kind,
    advise::{self, Case},
    args::{AnalyzeArguments, CompareArguments, Depth},
    compare::{self, Planned},
    engine::Inspected,
    finding::Finding,
    query::Query,
    report::{Analysis, ComparisonReport},
    text::cut,
};

/// Longest query of a document, in characters.
const MAX_QUERY: usize = 2_000;

impl DatabaseServer {
    pub(super) async fn analyze(&self, kind: Kind, arguments: AnalyzeArguments) -> Result<Analysis, Error> {
        let entry = self.entry_for(&arguments.db_name, kind, Kind::analyze_tool)?;
        let (query, inspected) = self.inspect(entry, &arguments.sql_text).await?;
        let findings = match arguments.depth {
            Depth::Standard => findings(entry, &query, &inspected),
            Depth::PlanOnly => Vec::new(),
        };
        let mut notes = inspected.notes;
        notes.extend(own_plan(entry, kind));
        Ok(Analysis {
            database: entry.config.name.clone(),
            kind: entry.config.kind,
            version: inspected.version,
            query: cut(query.sql(), MAX_QUERY),
            plan: inspected.plan,
            recommendations: advise::recommendations(&findings),
            findings,
            notes,
        })
    }

    pub(super) async fn compare(&self, kind: Kind, arguments: CompareArguments) -> Result<ComparisonReport, Error> {
        let entry = self.entry_for(&arguments.db_name, kind, Kind::compare_tool)?;
        let (original_query, original) = self.inspect(entry, &arguments.original_sql).await?;
        let (optimized_query, optimized) = self.inspect(entry, &arguments.optimized_sql).await?;
        let planned = |query, inspected| planned(query, inspected);
        let compared = compare::compare(planned(&original_query, &original), planned(&optimized_query, &optimized));
        let before = findings(entry, &original_query, &original);
        let remaining = findings(entry, &optimized_query, &optimized);
        let is_solved = |finding: &Finding| {
            !remaining.iter().any(|other| other.code == finding.code && other.table == finding.table)
        };
        let solved = before.into_iter().filter(is_solved).collect();
        let mut notes = original.notes;
        notes.extend(optimized.notes);
        notes.dedup();
        notes.extend(own_plan(entry, kind));
        notes.push("Plans say how fast a query is, not whether both return the same rows: compare those too.".into());
        Ok(ComparisonReport {
            database: entry.config.name.clone(),
            kind: entry.config.kind,
            version: optimized.version,
            better: compared.better,
            reasons: compared.reasons,
            measures: compared.measures,
            original: original.plan,
            optimized: optimized.plan,
            solved,
            remaining,
            notes,
        })
    }

    /// Judges a query and has it explained.
    async fn inspect(&self, entry: &Entry, sql: &str) -> Result<(Query, Inspected), Error> {
        let engine = entry.engine()?;
        let query = Query::read(sql, entry.config.kind, self.inner.limits.max_query_bytes).await?;
        let mut inspected = engine.inspect(&query).await?;
        advise::complete(&mut inspected.plan, query.shape(), &inspected.catalog);
        Ok((query, inspected))
    }
}

fn planned<'a>(query: &'a Query, inspected: &'a Inspected) -> Planned<'a> {
    Planned { plan: &inspected.plan, catalog: &inspected.catalog, shape: query.shape() }
}

fn findings(entry: &Entry, query: &Query, inspected: &Inspected) -> Vec<Finding> {
    let case =
        Case { kind: entry.config.kind, plan: &inspected.plan, shape: query.shape(), catalog: &inspected.catalog };
    advise::findings(case)
}

/// For a database that stands in for one of another kind.
fn own_plan(entry: &Entry, kind: Kind) -> Option<String> {
    let own = entry.config.kind;
    (own != kind)
        .then(|| format!("{} is a {own} database here: this is {own}'s plan, not {kind}'s.", entry.config.name))
}
