//! What was asked, at a glance: sums over time, for pages that show them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike as _, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::{
    Analytics,
    data::View,
    error::AnalyticsError,
    rollup::{CALLS, REQUESTS, WAITS},
    span::Span,
    sums::Wanted,
    tools::{count, named},
    waits::Waits,
};
use crate::audit::FAILURES;

/// Most people or models of a list.
const MOST: usize = 8;
/// What a name is called that there is none of.
const NONE: &str = "–";
/// How many portions of time are read at once.
const AT_ONCE: usize = 4;

/// How far back an overview goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stretch {
    /// The last 24 hours, hour by hour.
    #[default]
    Day,
    /// The last 7 days, day by day of UTC.
    Week,
    /// The last 30 days, day by day of UTC.
    Month,
}

impl Stretch {
    /// How long a portion is, and how many there are.
    fn portions(self) -> (TimeDelta, i32) {
        match self {
            Self::Day => (TimeDelta::hours(1), 24),
            Self::Week => (TimeDelta::days(1), 7),
            Self::Month => (TimeDelta::days(1), 30),
        }
    }

    /// When it begins.
    #[must_use]
    pub fn since(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.begins(now).first().copied().unwrap_or(now)
    }

    /// When each portion begins; the last one is not over.
    #[must_use]
    pub fn begins(self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let (long, many) = self.portions();
        let hour = NaiveTime::from_hms_opt(now.hour(), 0, 0).unwrap_or(NaiveTime::MIN);
        let last = now.date_naive().and_time(if self == Self::Day { hour } else { NaiveTime::MIN }).and_utc();
        (0..many).rev().map(|back| last - long * back).collect()
    }
}

/// Sums of asks and direct calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sum {
    /// How many there were.
    pub requests: u64,
    /// Of these, how many failed.
    pub failed: u64,
    /// Of these, how many policy or a limit refused.
    pub refused: u64,
    /// What they cost, in nano-dollars, as far as prices are known.
    pub cost: i64,
    /// Of these, how many took a model of which nobody knows the price.
    pub unpriced: u64,
    /// Input and output tokens.
    pub tokens: u64,
}

/// A portion of time.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Portion {
    /// When it begins.
    pub begins: DateTime<Utc>,
    /// All of it that came by the door that is looked at.
    pub all: Sum,
    /// What came by each door, whichever is looked at.
    pub sources: BTreeMap<String, Sum>,
    /// Calls that came to their servers: how many, and how many failed, by server.
    pub servers: BTreeMap<String, (u64, u64)>,
    /// How long half of what was let in took at most, in milliseconds.
    pub p50_ms: Option<u64>,
    /// The same of 95 %.
    pub p95_ms: Option<u64>,
}

/// Sums over a stretch of time.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// How far it goes back.
    pub stretch: Stretch,
    /// The door that is looked at; `None` is all of them. Calls of servers are by all of them in any case.
    pub source: Option<String>,
    /// Its portions, the oldest first.
    pub portions: Vec<Portion>,
    /// All of it.
    pub all: Sum,
    /// As much time before it.
    pub before: Sum,
    /// How long half of what was let in took at most, in milliseconds.
    pub p50_ms: Option<u64>,
    /// The same of 95 %.
    pub p95_ms: Option<u64>,
    /// Who spent the most.
    pub people: Vec<(String, Sum)>,
    /// Everybody else.
    pub other_people: Option<Others>,
    /// What was spent on which model, in the same way.
    pub models: Vec<(String, Sum)>,
    /// All other models.
    pub other_models: Option<Others>,
}

/// Those who have no place in a list of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Others {
    /// How many they are.
    pub count: usize,
    /// What they are together.
    pub sum: Sum,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.refused += other.refused;
        self.cost = self.cost.saturating_add(other.cost);
        self.unpriced += other.unpriced;
        self.tokens += other.tokens;
    }
}

impl Analytics {
    /// Sums over what a tenant asked until now, by one door or by all. A door is its name in [`Portion::sources`].
    ///
    /// # Errors
    /// An [`AnalyticsError`].
    pub async fn overview(
        &self,
        tenant: &str,
        stretch: Stretch,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Overview, AnalyticsError> {
        let view = View::open(&self.data, tenant).await?;
        let only = source.map(|source| if source == NONE { "" } else { source });
        let begins = stretch.begins(now);
        let first = stretch.since(now);
        let ends = begins.iter().skip(1).copied().map(Some).chain([None]);
        let spans: Vec<Span> = begins.iter().zip(ends).map(|(from, to)| Span::new(Some(*from), to)).collect();
        // All of them at hand: what a stream makes on its way would not be `Send`.
        let read: Vec<_> = spans.into_iter().map(|span| portion(&view, span, source, only)).collect();
        let read: Vec<(Portion, Waits)> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
        let mut overview = Overview { stretch, source: source.map(str::to_owned), ..Overview::default() };
        let mut waits = Waits::default();
        for (portion, own) in read {
            overview.all.add(&portion.all);
            waits.add_all(&own);
            overview.portions.push(portion);
        }
        (overview.p50_ms, overview.p95_ms) = (waits.percentile(50), waits.percentile(95));
        let earlier = Span::new(Some(first - (now - first)), Some(first));
        overview.before =
            by(&view, earlier, None, only).await?.into_iter().fold(Sum::default(), |mut sum, (_, one)| {
                sum.add(&one);
                sum
            });
        let whole = Span::new(Some(first), None);
        (overview.people, overview.other_people) = largest(by(&view, whole, Some("user_email"), only).await?);
        (overview.models, overview.other_models) = largest(by(&view, whole, Some("model"), only).await?);
        Ok(overview)
    }
}

async fn portion(
    view: &View<'_>,
    span: Span,
    source: Option<&str>,
    only: Option<&str>,
) -> Result<(Portion, Waits), AnalyticsError> {
    let mut portion = Portion { begins: span.from.unwrap_or_default(), ..Portion::default() };
    portion.sources = by(view, span, Some("source"), None).await?;
    let is_wanted = |name: &str| source.is_none_or(|source| source == name);
    portion.sources.iter().filter(|(name, _)| is_wanted(name)).for_each(|(_, sum)| portion.all.add(sum));
    let mut waits = Waits::default();
    for row in view.sums(Wanted::new(&WAITS, view.tenant, span).only("source", only).by(&["bucket"])).await? {
        waits.add(count(&row, "bucket")?, count(&row, "requests")?);
    }
    (portion.p50_ms, portion.p95_ms) = (waits.percentile(50), waits.percentile(95));
    let calls = Wanted::new(&CALLS, view.tenant, span).only_number("sent", 1).by(&["server", "status"]);
    for row in view.sums(calls).await? {
        let (calls, has_failed) = (count(&row, "calls")?, FAILURES.contains(&&*row.text("status")?));
        let (all, failed) = portion.servers.entry(row.text("server")?).or_default();
        *all += calls;
        *failed += if has_failed { calls } else { 0 };
    }
    Ok((portion, waits))
}

/// Sums of a span by a key, or all of it under one name.
async fn by(
    view: &View<'_>,
    span: Span,
    key: Option<&'static str>,
    source: Option<&str>,
) -> Result<BTreeMap<String, Sum>, AnalyticsError> {
    let keys: Vec<&'static str> = key.into_iter().chain(["status"]).collect();
    let mut sums = BTreeMap::<String, Sum>::new();
    for row in view.sums(Wanted::new(&REQUESTS, view.tenant, span).only("source", source).by(&keys)).await? {
        let name = key.map_or_else(|| Ok(String::new()), |key| named(&row, key, NONE))?;
        let (requests, status) = (count(&row, "requests")?, row.text("status")?);
        let one = Sum {
            requests,
            failed: if FAILURES.contains(&&*status) { requests } else { 0 },
            refused: if matches!(&*status, "denied" | "rate_limited") { requests } else { 0 },
            cost: row.int("cost")?,
            unpriced: count(&row, "unpriced")?,
            tokens: count(&row, "input")? + count(&row, "output")?,
        };
        sums.entry(name).or_default().add(&one);
    }
    Ok(sums)
}

/// Those that cost the most, then those of the most requests; and the others together.
fn largest(sums: BTreeMap<String, Sum>) -> (Vec<(String, Sum)>, Option<Others>) {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.cost, sum.requests)));
    let others = sums.split_off(sums.len().min(MOST));
    let mut together = Others { count: others.len(), sum: Sum::default() };
    others.iter().for_each(|(_, sum)| together.sum.add(sum));
    (sums, Some(together).filter(|others| others.count > 0))
}
