//! What a question states: quoted words, numbers, addresses, paths, zones, dates, periods, SQL.

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value};

/// Everything in a question that may become an argument. Lists are in the order of the question.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The question's words with their punctuation, quoted parts as one.
    pub(super) tokens: Vec<Token>,
    pub(super) quoted: Vec<String>,
    pub(super) numbers: Vec<f64>,
    pub(super) urls: Vec<String>,
    pub(super) emails: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) slugs: Vec<(String, String)>,
    pub(super) zones: Vec<String>,
    pub(super) dates: Vec<NaiveDate>,
    pub(super) times: Vec<String>,
    pub(super) identifiers: Vec<String>,
    pub(super) sql: Option<String>,
    pub(super) period: Option<Period>,
    /// `name=value`, names in lower case.
    pub(super) named: Vec<(String, String)>,
    /// A JSON object at the end of the question.
    pub(super) json: Option<Map<String, Value>>,
    /// The day on which it is asked.
    pub(super) today: NaiveDate,
}

/// One piece of the question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// As it stood, without the punctuation around it.
    pub(super) text: String,
    /// Where it stood, in bytes.
    pub(super) at: usize,
    pub(super) is: Is,
}

/// What a piece was taken for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Is {
    Word,
    Number(f64),
    /// Any other fact.
    Fact,
}

/// A span of time, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Period {
    /// `today`, `yesterday`, `this week`, `last 7 days`.
    pub(super) phrase: String,
    /// `hour`, `day`, `week`, `month`, `quarter`, `year`.
    pub(super) unit: &'static str,
    /// How far it reaches back, in hours.
    pub(super) hours: u64,
}

const ZONE_AREAS: &[&str] = &[
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Etc",
    "Europe",
    "Indian",
    "Pacific",
    "US",
];
const SQL_VERBS: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "EXPLAIN", "MERGE"];
const NUMBER_WORDS: &[&str] =
    &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
const UNITS: &[(&str, &str, u64)] = &[
    ("hour", "hour", 1),
    ("day", "day", 24),
    ("week", "week", 7 * 24),
    ("month", "month", 30 * 24),
    ("quarter", "quarter", 91 * 24),
    ("year", "year", 365 * 24),
];

/// Reads a question, asked on the day `today`.
pub(super) fn read(question: &str, today: NaiveDate) -> Facts {
    let mut facts = Facts { today, ..Facts::default() };
    let question = take_json(question, &mut facts);
    let question = take_sql(question, &mut facts);
    for (at, text, is_quoted) in split(question) {
        let is = if is_quoted { quote(&mut facts, text) } else { classify(&mut facts, text) };
        facts.tokens.push(Token { text: text.to_owned(), at, is });
    }
    facts.period = period(&facts.tokens);
    relative_dates(&mut facts);
    facts
}

fn take_json<'a>(question: &'a str, facts: &mut Facts) -> &'a str {
    let Some(at) = question.find('{') else { return question };
    let Ok(Value::Object(map)) = serde_json::from_str(question[at..].trim()) else { return question };
    facts.json = Some(map);
    &question[..at]
}

/// SQL runs to the end of the question. Its first word is in capitals or follows a colon.
fn take_sql<'a>(question: &'a str, facts: &mut Facts) -> &'a str {
    let starts_sql = |at: usize, word: &str| {
        let after_colon = question[..at].trim_end().ends_with([':', '\n', '`']);
        let is_verb = SQL_VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(word));
        is_verb
            && (SQL_VERBS.contains(&word) || after_colon)
            && question[at + word.len()..].starts_with([' ', '\n', '\t'])
    };
    let found = split(question).find(|(at, word, _)| starts_sql(*at, word));
    let Some((at, ..)) = found else { return question };
    facts.sql = Some(question[at..].trim().trim_matches(['`', '"']).trim().to_owned());
    &question[..at]
}

/// Pieces at white space; what stands in quotes is one piece.
fn split(question: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &question[at..];
        let start = at + (rest.len() - rest.trim_start().len());
        let rest = &question[start..];
        let first = rest.chars().next()?;
        if let Some((inside, len)) = quoted_part(rest, first) {
            at = start + len;
            return Some((start, inside, true));
        }
        let len = rest.find(char::is_whitespace).unwrap_or(rest.len());
        at = start + len;
        let piece = &rest[..len];
        let bare =
            piece.trim_end_matches(['?', '!', '.', ',', ';', ':', ')', '\'', '"']).trim_start_matches(['(', '\'', '"']);
        let shift = piece.len() - piece.trim_start_matches(['(', '\'', '"']).len();
        Some((start + shift.min(piece.len()), bare, false))
    })
}

fn quoted_part(rest: &str, first: char) -> Option<(&str, usize)> {
    let close = match first {
        '"' | '\'' | '`' => first,
        '“' => '”',
        '„' => '“',
        '«' => '»',
        _ => return None,
    };
    let open_len = first.len_utf8();
    let inside = &rest[open_len..open_len + rest[open_len..].find(close)?];
    Some((inside, open_len + inside.len() + close.len_utf8()))
}

fn quote(facts: &mut Facts, text: &str) -> Is {
    facts.quoted.push(text.to_owned());
    if text.starts_with('/') || text.starts_with("./") {
        facts.paths.push(text.to_owned());
    }
    Is::Fact
}

fn classify(facts: &mut Facts, text: &str) -> Is {
    let owned = || text.to_owned();
    if let Some(number) = number(text) {
        facts.numbers.push(number);
        return Is::Number(number);
    }
    if text.contains("://") || text.starts_with("www.") {
        facts.urls.push(owned());
    } else if let Some((name, value)) = text.split_once('=').filter(|(name, value)| is_name(name) && !value.is_empty())
    {
        facts.named.push((name.to_lowercase(), value.to_owned()));
    } else if text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.')) {
        facts.emails.push(owned());
    } else if let Ok(date) = text.parse::<NaiveDate>() {
        facts.dates.push(date);
    } else if is_time(text) {
        facts.times.push(owned());
    } else if is_zone(text) {
        facts.zones.push(owned());
    } else if is_path(text) {
        facts.paths.push(if text == "README" { "README.md".into() } else { owned() });
    } else if let Some((owner, name)) = slug(text) {
        facts.slugs.push((owner.to_owned(), name.to_owned()));
    } else if is_identifier(text) {
        facts.identifiers.push(owned());
    } else {
        return Is::Word;
    }
    Is::Fact
}

fn number(text: &str) -> Option<f64> {
    let plain = text.strip_suffix('%').unwrap_or(text).replace(',', "");
    let is_numeric = plain.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let parsed = plain.parse::<f64>().ok().filter(|n| is_numeric && n.is_finite());
    parsed.or_else(|| NUMBER_WORDS.iter().position(|word| text.eq_ignore_ascii_case(word)).map(|n| n as f64))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn is_time(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n < 60))
}

fn is_zone(text: &str) -> bool {
    matches!(text, "UTC" | "GMT" | "CET" | "EST")
        || text.split_once('/').is_some_and(|(area, _)| ZONE_AREAS.contains(&area))
}

fn is_path(text: &str) -> bool {
    let starts = ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start)) && text.len() > 1;
    let extension = text.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension);
    let is_extension = |e: &str| (1..=5).contains(&e.len()) && e.chars().all(|c| c.is_ascii_alphanumeric());
    starts
        || extension.is_some_and(|e| is_extension(e) && e.chars().any(|c| c.is_ascii_alphabetic()))
        || is_known_file(text)
}

fn is_known_file(text: &str) -> bool {
    matches!(text, "README" | "LICENSE" | "Makefile" | "Dockerfile" | "CHANGELOG")
}

fn slug(text: &str) -> Option<(&str, &str)> {
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    text.split_once('/').filter(|(owner, name)| is_part(owner) && is_part(name))
}

/// `way4_docker7`, `OPS-123`, `a1b2`: words that people do not say.
fn is_identifier(text: &str) -> bool {
    let is_legal = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-#".contains(c));
    let has = |test: fn(&char) -> bool| text.chars().any(|c| test(&c));
    is_legal && has(char::is_ascii_alphabetic) && (text.contains('_') || has(char::is_ascii_digit))
}

fn period(tokens: &[Token]) -> Option<Period> {
    let lower: Vec<String> = tokens.iter().map(|token| token.text.to_lowercase()).collect();
    let unit_of = |word: &str| UNITS.iter().find(|(name, ..)| word == *name || word.strip_suffix('s') == Some(name));
    for (i, word) in lower.iter().enumerate() {
        let single = match word.as_str() {
            "today" | "daily" => Some(("day", 24)),
            "yesterday" => Some(("day", 48)),
            "weekly" => Some(("week", 7 * 24)),
            "monthly" => Some(("month", 30 * 24)),
            _ => None,
        };
        if let Some((unit, hours)) = single {
            return Some(Period { phrase: word.clone(), unit, hours });
        }
        if !matches!(word.as_str(), "this" | "last" | "past" | "current" | "previous") {
            continue;
        }
        let count =
            tokens.get(i + 1).and_then(|token| if let Is::Number(n) = token.is { Some(n as u64) } else { None });
        let unit_at = if count.is_some() { i + 2 } else { i + 1 };
        if let Some((_, unit, hours)) = lower.get(unit_at).and_then(|word| unit_of(word)) {
            let hours = hours.saturating_mul(count.unwrap_or(1));
            return Some(Period { phrase: lower[i..=unit_at].join(" "), unit, hours });
        }
    }
    None
}

fn relative_dates(facts: &mut Facts) {
    for token in &facts.tokens {
        let date = match token.text.to_lowercase().as_str() {
            "today" => Some(facts.today),
            "tomorrow" => facts.today.checked_add_days(Days::new(1)),
            "yesterday" => facts.today.checked_sub_days(Days::new(1)),
            _ => None,
        };
        facts.dates.extend(date);
    }
}
