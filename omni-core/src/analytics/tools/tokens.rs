//! Tokens, and what the prompt cache does.

use super::{
    cost::{Spent, spent},
    named, nothing, some,
};
use crate::{
    analytics::{
        data::View,
        error::AnalyticsError,
        period::Period,
        report::{Cell, Report, Table, dollars},
        rollup::REQUESTS,
        sums::Wanted,
    },
    cost::{PICOS, PriceTable},
};

const MOST: u64 = 20;
/// What a token from a cache saves where its model's price is not known, in pico-dollars: the original's 0.80 less 0.08
/// dollars a million.
const USUAL_SAVING: u64 = 720_000;

const USERS: &[(&str, &str)] = &[
    ("user", "user"),
    ("tokens_input", "input"),
    ("tokens_output", "output"),
    ("tokens_cached", "cached"),
    ("queries", "queries"),
];
const MODELS: &[(&str, &str)] = &[
    ("model", "model"),
    ("tokens_input", "input"),
    ("tokens_output", "output"),
    ("tokens_cached", "cached"),
    ("tokens_cache_write", "written to cache"),
    ("hit_rate_percent", "hit rate"),
    ("saved_usd", "saved"),
];

pub(super) async fn usage(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<Report, AnalyticsError> {
    let all = spent(view, period.span, user).await?;
    let [input, output, cached, written] = all.tokens;
    if input + output + cached + written == 0 {
        return Ok(nothing("No tokens were used", period, user));
    }
    let (models, saved) = models(view, period, user).await?;
    let whose = user.map(|user| format!(" of {user}")).unwrap_or_default();
    let says = format!(
        "{}{whose} used {} input, {} output and {} cached tokens; the cache saved about {} ({}).",
        some(all.requests, "request", "requests"),
        Cell::Count(input).shown(None),
        Cell::Count(output).shown(None),
        Cell::Count(cached).shown(None),
        dollars(saved),
        period.name
    );
    let mut report = Report::new(says, Some(period))
        .total("tokens_input", Cell::Count(input))
        .total("tokens_output", Cell::Count(output))
        .total("tokens_cached", Cell::Count(cached))
        .total("tokens_cache_write", Cell::Count(written))
        .total("saved_usd", Cell::Usd(saved));
    if user.is_none() {
        report = report.table(people(view, period).await?);
    }
    Ok(report.table(models))
}

async fn people(view: &View<'_>, period: &Period) -> Result<Table, AnalyticsError> {
    let wanted = Wanted::new(&REQUESTS, view.tenant, period.span).by(&["user_email"]);
    let rows = view.sums(wanted.top("input", MOST, view.dialect())).await?;
    let mut table = Table::new("users", "By user", USERS);
    for row in &rows {
        let spent = Spent::of(row)?;
        let [input, output, cached, _] = spent.tokens.map(Cell::Count);
        let user = Cell::text(named(row, "user_email", "(nobody)")?);
        table.push(vec![user, input, output, cached, Cell::Count(spent.requests)]);
    }
    Ok(table)
}

/// By model, and what the cache saved of all of them.
async fn models(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<(Table, i64), AnalyticsError> {
    let wanted = Wanted::new(&REQUESTS, view.tenant, period.span).only("user_email", user).by(&["model"]);
    let rows = view.sums(wanted.top("input", MOST, view.dialect())).await?;
    let (mut table, mut whole) = (Table::new("models", "By model", MODELS), 0_i64);
    for row in &rows {
        let spent = Spent::of(row)?;
        if spent.tokens == [0; 4] {
            continue;
        }
        let model = named(row, "model", "(no model)")?;
        let saved = saving(&model, spent.tokens[2]);
        whole = whole.saturating_add(saved);
        let rate = hit_rate(&spent.tokens);
        let [input, output, cached, written] = spent.tokens.map(Cell::Count);
        table.push(vec![Cell::text(model), input, output, cached, written, rate, Cell::Usd(saved)]);
    }
    Ok((table, whole))
}

/// How much less tokens cost that come from the cache, in nano-dollars.
fn saving(model: &str, cached: u64) -> i64 {
    let price = PriceTable::default().price(model).map(|price| price.base);
    let each = price.map_or(USUAL_SAVING, |rates| rates.input.saturating_sub(rates.cache_read));
    i64::try_from(u128::from(cached) * u128::from(each) / PICOS).unwrap_or(i64::MAX)
}

/// Of everything that went in, what the cache had.
fn hit_rate(&[input, _, cached, written]: &[u64; 4]) -> Cell {
    Cell::share(cached, input + cached + written)
}

pub(super) async fn cache(view: &View<'_>, period: &Period) -> Result<Report, AnalyticsError> {
    let all = spent(view, period.span, None).await?;
    let [input, _, cached, written] = all.tokens;
    if input + cached + written == 0 {
        return Ok(nothing("No tokens went to a model, so the cache had nothing to do", period, None));
    }
    let (models, saved) = models(view, period, None).await?;
    let rate = hit_rate(&all.tokens);
    let verdict = match cached as f64 / (input + cached + written) as f64 {
        share if share >= 0.6 => "it works well",
        share if share >= 0.3 => "it could do more",
        _ => "it does little",
    };
    let says = format!(
        "{} of the prompt tokens came from the cache, which saved about {}: {verdict} ({}).",
        rate.shown(None),
        dollars(saved),
        period.name
    );
    Ok(Report::new(says, Some(period))
        .total("hit_rate_percent", rate)
        .total("tokens_cached", Cell::Count(cached))
        .total("tokens_uncached", Cell::Count(input + written))
        .total("saved_usd", Cell::Usd(saved))
        .table(models))
}
