//! What people say of answers.

use super::{count, named, nothing, some};
use crate::analytics::{
    data::View,
    definitions::Args,
    error::AnalyticsError,
    period::Period,
    report::{Cell, Report, Table},
    sums::Statement,
};

pub(super) async fn summary(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let models = counts(view, period).await?;
    let good: u64 = models.iter().map(|(_, good, _)| good).sum();
    let all: u64 = models.iter().map(|(_, _, all)| all).sum();
    if all == 0 {
        return Ok(nothing("Nobody said anything of an answer", period, None));
    }
    let says = format!(
        "{}: {good} 👍 and {} 👎, {} satisfied ({}).",
        some(all, "verdict", "verdicts"),
        all - good,
        Cell::share(good, all).shown(None),
        period.name
    );
    let headings = &[("model", "model"), ("up", "👍"), ("down", "👎"), ("satisfied_percent", "satisfied")];
    let row = |(model, good, all): (String, u64, u64)| {
        vec![Cell::text(model), Cell::Count(good), Cell::Count(all - good), Cell::share(good, all)]
    };
    Ok(Report::new(says, Some(period))
        .total("up", Cell::Count(good))
        .total("down", Cell::Count(all - good))
        .total("satisfied_percent", Cell::share(good, all))
        .table(Table::new("models", "By model", headings).with(models.into_iter().map(row)))
        .table(complaints(view, period, args.limit(10)).await?))
}

fn of(view: &View<'_>, period: &Period, columns: &str) -> Statement<'static> {
    let sql = format!("SELECT {columns} FROM ask_feedback f WHERE f.tenant = ?");
    let mut statement = Statement::new(sql, view.tenant.to_owned().into());
    statement.bounds("f.created_at", period.span.from.map(Into::into), period.span.to.map(Into::into));
    statement
}

/// By model: how many were good, of how many.
async fn counts(view: &View<'_>, period: &Period) -> Result<Vec<(String, u64, u64)>, AnalyticsError> {
    let good = "CAST(sum(CASE WHEN f.is_good THEN 1 ELSE 0 END) AS BIGINT) AS good, count(*) AS verdicts";
    let mut statement = of(view, period, &format!("f.model, {good}"));
    statement.sql.push_str(" GROUP BY f.model");
    let mut models = Vec::new();
    for row in view.rows(&statement.sql, &statement.values).await? {
        models.push((named(&row, "model", "(no model)")?, count(&row, "good")?, count(&row, "verdicts")?));
    }
    models.sort_by(|(a, _, many), (b, _, more)| more.cmp(many).then_with(|| a.cmp(b)));
    Ok(models)
}

async fn complaints(view: &View<'_>, period: &Period, limit: u64) -> Result<Table, AnalyticsError> {
    let mut statement = of(view, period, "f.created_at, f.user_email, f.question, f.reason, f.request_id");
    statement.sql.push_str(&format!(" AND NOT f.is_good ORDER BY f.created_at DESC, f.request_id LIMIT {limit}"));
    let headings =
        &[("at", "when"), ("user", "user"), ("query", "question"), ("reason", "reason"), ("request_id", "ask")];
    let mut table = Table::new("complaints", "Recent complaints", headings);
    for row in view.rows(&statement.sql, &statement.values).await? {
        let text = |column| row.optional_text(column).map(|text| Cell::text(text.unwrap_or_default()));
        let at = Cell::Time(row.time("created_at")?);
        table.push(vec![at, text("user_email")?, text("question")?, text("reason")?, text("request_id")?]);
    }
    Ok(table)
}
