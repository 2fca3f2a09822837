//! A made-up history: eight people, one a role, and three servers. It follows from a seed and a time alone.

use chrono::{DateTime, Datelike as _, SubsecRound as _, TimeDelta, Timelike as _, Utc, Weekday};
use serde_json::json;
use uuid::{Builder, Uuid};

use super::keep;
use crate::{
    Principal, Source,
    audit::{AuditError, AuditSink, SealedRecord, sql::SqlAudit},
    cost::{NanoUsd, PriceTable},
    ledger::{AskRecord, CallRecord, Event, Outcome, Party, Record, SealKey, TurnRecord, seal_all},
    llm::Usage,
};

mod random;
mod topics;
mod verdicts;

use random::Random;
pub use topics::{PEOPLE, Person};
use topics::{TOPICS, Topic};

/// How many records are stored at once.
const BATCH: usize = 256;
/// What is asked; of the company's own, which few take, nobody knows the price.
const MODELS: [&str; 3] = ["claude-sonnet-5-5", "claude-haiku-4-5", "qwen3-32b"];
/// How many of a hundred asks take which of them.
const TAKEN: [u64; 3] = [30, 67, 3];

/// From what a history follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Other seeds, other histories.
    pub seed: u64,
    /// When it ends.
    pub now: DateTime<Utc>,
    /// How many days it goes back.
    pub days: u32,
    /// About how many requests a working day has.
    pub per_day: u32,
}

impl History {
    /// A month of sixty requests a day that ends at a time.
    #[must_use]
    pub fn until(now: DateTime<Utc>) -> Self {
        Self { seed: 7, now: now.trunc_subsecs(6), days: 31, per_day: 60 }
    }

    /// The same of another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same of another length and density.
    #[must_use]
    pub fn with_size(mut self, days: u32, per_day: u32) -> Self {
        (self.days, self.per_day) = (days, per_day);
        self
    }

    /// What the ledger would have of it, the oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut random = Random::new(self.seed);
        let mut records = Vec::new();
        for back in (0..self.days).rev() {
            let day = self.now - TimeDelta::days(i64::from(back));
            let mut times: Vec<_> = (0..self.requests_of(day, back, &mut random))
                .map(|_| self.moment(day, &mut random))
                .filter(|at| *at <= self.now)
                .collect();
            times.sort_unstable();
            for at in times {
                records.extend(request(at, &mut random));
            }
        }
        // Calls of several asks at once come between each other.
        records.sort_by_key(|record| record.at);
        records
    }

    /// Working days are busier, and the whole grows a little.
    fn requests_of(&self, day: DateTime<Utc>, back: u32, random: &mut Random) -> u32 {
        let busy = if matches!(day.weekday(), Weekday::Sat | Weekday::Sun) { 25 } else { 100 };
        let grown = 100 - back.min(60) / 2;
        (self.per_day * busy * grown / 10_000 + random.below(1 + u64::from(self.per_day) / 6) as u32).max(1)
    }

    /// Most is asked by day.
    fn moment(&self, day: DateTime<Utc>, random: &mut Random) -> DateTime<Utc> {
        let hour = (7 + random.below(6) + random.below(6)) as u32;
        let at = day.with_hour(hour).and_then(|at| at.with_minute(random.below(60) as u32)).unwrap_or(day);
        let at = at.with_second(random.below(60) as u32).unwrap_or(at);
        // Of today there is something at every hour of the day.
        if at > self.now && day.date_naive() == self.now.date_naive() {
            let since = self.now.num_seconds_from_midnight().max(1);
            return self.now - TimeDelta::seconds(random.below(u64::from(since)) as i64);
        }
        at
    }

    /// The records as one chain under a key.
    #[must_use]
    pub fn chain(&self, key: &SealKey) -> Vec<SealedRecord> {
        let begin = self.now - TimeDelta::days(i64::from(self.days));
        let opened = Event::ChainOpened { previous: None, also: Vec::new(), key: Some(key.id()) };
        let first = Record { at: begin, ..Record::new(Uuid::nil(), None, opened) };
        seal_all(key, std::iter::once(first).chain(self.records()))
    }

    /// Puts it into a store.
    ///
    /// # Errors
    /// An [`AuditError`].
    pub async fn store(&self, sink: &dyn AuditSink, key: &SealKey) -> Result<(), AuditError> {
        for batch in self.chain(key).chunks(BATCH) {
            sink.append(batch).await?;
        }
        Ok(())
    }

    /// Puts it into a database, with what people said of answers, and sums it up.
    ///
    /// # Errors
    /// An [`AuditError`].
    pub async fn fill(&self, store: &SqlAudit, key: &SealKey) -> Result<(), AuditError> {
        self.store(store, key).await?;
        verdicts::keep(store.db(), &self.records()).await?;
        Ok(keep::catch_up(store.db()).await?)
    }
}

/// One request with its calls.
fn request(at: DateTime<Utc>, random: &mut Random) -> Vec<Record> {
    let person = &PEOPLE[random.weighted(PEOPLE.map(|person| person.busy))];
    let id = Builder::from_unix_timestamp_millis(at.timestamp_millis().unsigned_abs(), &random.bytes()).into_uuid();
    let mut party = Party::new(&Principal::email(person.email), person.source(random));
    party.role = Some(person.role.into());
    let topics: Vec<&Topic> = TOPICS.iter().filter(|topic| person.asks(topic)).collect();
    let topic = topics[random.below(topics.len() as u64) as usize];
    let made = Request { at, id, party, person, topic };
    if random.in_hundred(2) {
        return vec![made.refused(random)];
    }
    if random.in_hundred(6) {
        return vec![made.direct(random)];
    }
    made.asked(random)
}

struct Request<'a> {
    at: DateTime<Utc>,
    id: Uuid,
    party: Party,
    person: &'a Person,
    topic: &'a Topic,
}

impl Request<'_> {
    fn record(&self, event: Event) -> Record {
        Record { at: self.at, ..Record::new(self.id, Some(self.party.clone()), event) }
    }

    fn question(&self, random: &mut Random) -> String {
        let database = ["transformer_master", "way4_docker7", "way4_docker8"][random.below(3) as usize];
        self.topic.question.replace("{db}", database)
    }

    /// A limit or a missing right ended it.
    fn refused(&self, random: &mut Random) -> Record {
        let is_limit = random.in_hundred(40);
        let outcome = if is_limit { Outcome::RateLimited } else { Outcome::Denied };
        let mut ask = AskRecord::new(self.question(random), outcome);
        ask.error = Some(match is_limit {
            true => "Rate limit exceeded. You've made 20/20 requests in the last hour.".into(),
            false => format!("the role {} may not use the model claude-opus-4-5", self.person.role),
        });
        ask.duration_ms = 1 + random.below(9);
        self.record(Event::Ask(Box::new(ask)))
    }

    fn direct(&self, random: &mut Random) -> Record {
        let call = self.call(random, None);
        self.record(Event::DirectCall(call))
    }

    /// A call of the topic's tool: most are fast, some slow, a few fail.
    fn call(&self, random: &mut Random, cost: Option<NanoUsd>) -> CallRecord {
        let Topic { server, tool, typical_ms, .. } = *self.topic;
        let outcome = match random.below(100) {
            0..=2 => Outcome::Error,
            3 => Outcome::Timeout,
            4..=5 if !self.person.is_admin() => Outcome::Denied,
            _ => Outcome::Success,
        };
        let mut call = CallRecord::new(server, tool, json!({ "limit": 10 }), outcome);
        call.duration_ms = match outcome {
            Outcome::Timeout => 30_000,
            Outcome::Denied => 0,
            _ => random.spread(typical_ms),
        };
        match outcome {
            Outcome::Error => call.error = Some(self.topic.fault.into()),
            Outcome::Timeout => call.error = Some("no answer within 30 s".into()),
            Outcome::Denied => {
                call.rule =
                    Some(format!("mcps.{server}.role_restrictions.{}.allow_only: does not name it", self.person.role));
                call.error = Some(format!("there is no tool {tool:?}"));
            }
            _ => call.bytes = Some(200 + random.below(9_000)),
        }
        call.cost = cost;
        call
    }

    fn asked(&self, random: &mut Random) -> Vec<Record> {
        self.asked_of(MODELS[random.weighted(TAKEN)], random)
    }

    /// What a model costs of which nobody knows the price is not known either.
    fn asked_of(&self, model: &str, random: &mut Random) -> Vec<Record> {
        let turns = 2 + random.below(3) + if random.in_hundred(5) { 3 + random.below(6) } else { 0 };
        let (mut spent, mut calls) = (Vec::new(), Vec::new());
        for turn in 0..turns {
            let usage = self.usage(turn, random);
            let cost = PriceTable::default().price(model).map(|price| price.cost(&usage));
            spent.push((usage, cost));
            if turn + 1 < turns {
                calls.push(self.call(random, cost));
            }
        }
        self.closed(model, &spent, calls, random)
    }

    /// The first turn writes the cache, or finds it there; the others read it.
    fn usage(&self, turn: u64, random: &mut Random) -> Usage {
        let mut usage = Usage::new(120 + random.below(900), 60 + random.below(500));
        let prompt = 3_000 + random.below(5_000);
        if turn == 0 && random.in_hundred(35) {
            usage.cache_write = prompt;
        } else {
            usage.cache_read = prompt;
        }
        usage
    }

    fn closed(
        &self,
        model: &str,
        spent: &[(Usage, Option<NanoUsd>)],
        calls: Vec<CallRecord>,
        random: &mut Random,
    ) -> Vec<Record> {
        let is_cut = spent.len() >= 9;
        let gave_up = random.in_hundred(2);
        let outcome = match (is_cut, gave_up) {
            (true, _) => Outcome::Warning,
            (false, true) => Outcome::Error,
            (false, false) => Outcome::Success,
        };
        let mut ask = AskRecord::new(self.question(random), outcome);
        ask.answer = format!("{} (made up)", self.topic.answer);
        ask.warning = is_cut.then(|| "max_iterations_reached".into());
        ask.error = gave_up.then(|| "the model is overloaded; try again later".into());
        (ask.model, ask.iterations) = (Some(model.into()), spent.len() as u32);
        let sent = || calls.iter().filter(|call| call.was_sent());
        ask.tools_used = sent().map(|call| format!("{}.{}", call.server, call.tool)).collect();
        ask.servers_used = sent().map(|call| call.server.clone()).collect();
        spent.iter().for_each(|(usage, _)| ask.usage += *usage);
        ask.cost = spent.iter().try_fold(NanoUsd(0), |sum, (_, cost)| Some(sum + (*cost)?));
        self.timed(ask, spent, calls, random)
    }

    /// One turn, then its call, then the next turn, until it is answered.
    fn timed(
        &self,
        mut ask: AskRecord,
        spent: &[(Usage, Option<NanoUsd>)],
        calls: Vec<CallRecord>,
        random: &mut Random,
    ) -> Vec<Record> {
        let thinking: Vec<u64> = spent.iter().map(|_| random.spread(900)).collect();
        ask.duration_ms = thinking.iter().sum::<u64>() + calls.iter().map(|call| call.duration_ms).sum::<u64>();
        let long = |ms: u64| TimeDelta::milliseconds(ms as i64);
        let (mut at, mut calls) = (self.at - long(ask.duration_ms), calls.into_iter());
        let mut records = Vec::with_capacity(spent.len());
        for ((usage, cost), duration_ms) in spent.iter().zip(thinking) {
            at += long(duration_ms);
            ask.turns.push(TurnRecord { at, usage: *usage, cost: *cost, duration_ms });
            if let Some(call) = calls.next() {
                at += long(call.duration_ms);
                records.push(Record { at, ..self.record(Event::ToolCall(call)) });
            }
        }
        records.push(self.record(Event::Ask(Box::new(ask))));
        records
    }
}

impl Person {
    fn source(&self, random: &mut Random) -> Source {
        [Source::Slack, Source::Cli, Source::Http, Source::Mcp][random.weighted([60, 20, 15, 5])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_month_of_eight_roles_and_three_servers() {
        let history = History::until("2026-03-31T15:00:00Z".parse().unwrap());
        let records = history.records();
        assert_eq!(records, history.records());
        assert_ne!(records, history.with_seed(8).records());
        let roles: std::collections::BTreeSet<_> =
            records.iter().filter_map(|record| record.party.as_ref()?.role.clone()).collect();
        let servers: std::collections::BTreeSet<_> = records
            .iter()
            .filter_map(|record| match &record.event {
                Event::ToolCall(call) => Some(call.server.clone()),
                _ => None,
            })
            .collect();
        assert_eq!((roles.len(), servers.len()), (8, 3));
        assert!(records.len() > 2_000 && records.iter().all(|record| record.at <= history.now));
        assert!(records.is_sorted_by_key(|record| record.at));
    }

    #[test]
    fn nearly_all_of_the_month_has_a_price_and_some_of_it_has_none() {
        let records = History::until("2026-03-31T15:00:00Z".parse().unwrap()).records();
        let costs = records.iter().filter_map(|record| match &record.event {
            Event::Ask(ask) if ask.model.is_some() => Some(ask.cost),
            _ => None,
        });
        let (known, unknown): (Vec<_>, Vec<_>) = costs.partition(Option::is_some);
        assert!(!unknown.is_empty() && unknown.len() * 20 < known.len(), "{} {}", known.len(), unknown.len());
    }

    #[test]
    fn what_a_model_without_a_price_did_costs_nothing_that_is_known() {
        let history = History::until("2026-03-31T15:00:00Z".parse().unwrap());
        let mut random = Random::new(history.seed);
        let party = Party::new(&Principal::email(PEOPLE[0].email), Source::Slack);
        let (id, person) = (Uuid::nil(), &PEOPLE[0]);
        let topic = TOPICS.iter().find(|topic| person.asks(topic)).unwrap();
        let made = Request { at: history.now, id, party, person, topic };
        let mut is_known = |model: &str| {
            let costs = made.asked_of(model, &mut random).into_iter().flat_map(|record| match record.event {
                Event::Ask(ask) => [ask.cost].into_iter().chain(ask.turns.iter().map(|turn| turn.cost)).collect(),
                Event::ToolCall(call) => vec![call.cost],
                other => panic!("{other:?}"),
            });
            costs.map(|cost| cost.is_some()).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(is_known("claude-haiku-4-5"), [true].into());
        assert_eq!(is_known("a-model-of-ones-own"), [false].into());
    }
}
