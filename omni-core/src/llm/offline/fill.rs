//! Arguments out of a question, by JSON Schema.

use serde_json::{Map, Number, Value, json};

use super::{
    facts::{Facts, Is, Token},
    param::{Kind, Param, Role},
};
use crate::catalog::search::text::{Word, is_stop, stem, synonyms, words};

/// Arguments, or what is missing for them.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    pub(super) arguments: Map<String, Value>,
    /// Required arguments that the question does not state.
    pub(super) missing: Vec<&'a Param>,
    /// How many things the question names that no argument takes: paths, addresses, identifiers.
    pub(super) unused: usize,
}

/// Fills what the question states of `params`. `tool_words` are the stems of the tool's name and title:
/// free text begins after them.
pub(super) fn fill<'a>(params: &'a [Param], facts: &Facts, tool_words: &[String]) -> Filled<'a> {
    if let Some(json) = facts.json.as_ref().filter(|json| json.keys().all(|key| params.iter().any(|p| p.name == *key)))
    {
        let missing = params.iter().filter(|param| param.is_required && !json.contains_key(&param.name)).collect();
        return Filled { arguments: json.clone(), missing, unused: 0 };
    }
    let mut filler = Filler::new(params, facts, tool_words);
    let mut filled = Filled { arguments: Map::new(), missing: Vec::new(), unused: 0 };
    for param in params {
        match filler.value(param) {
            Some(value) => {
                filled.arguments.insert(param.name.clone(), value);
            }
            None if param.is_required && !param.has_default => filled.missing.push(param),
            None => {}
        }
    }
    filled.unused = filler.unused();
    filled
}

/// What is left of the facts while argument after argument takes its own.
struct Filler<'a> {
    params: &'a [Param],
    facts: &'a Facts,
    tool_words: &'a [String],
    quoted: Vec<&'a str>,
    numbers: Vec<f64>,
    urls: Vec<&'a str>,
    emails: Vec<&'a str>,
    paths: Vec<&'a str>,
    zones: Vec<&'a str>,
    times: Vec<&'a str>,
    identifiers: Vec<&'a str>,
    slugs: usize,
    sql: Option<&'a str>,
    /// Whether one argument took the rest of the question as it is.
    took_rest: bool,
}

fn take<T>(list: &mut Vec<T>) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(0))
}

fn text(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

impl<'a> Filler<'a> {
    fn new(params: &'a [Param], facts: &'a Facts, tool_words: &'a [String]) -> Self {
        let refs = |list: &'a Vec<String>| -> Vec<&'a str> { list.iter().map(String::as_str).collect() };
        Self {
            params,
            facts,
            tool_words,
            quoted: refs(&facts.quoted),
            numbers: free_numbers(facts),
            urls: refs(&facts.urls),
            emails: refs(&facts.emails),
            paths: refs(&facts.paths),
            zones: refs(&facts.zones),
            times: refs(&facts.times),
            identifiers: refs(&facts.identifiers),
            slugs: facts.slugs.len(),
            sql: facts.sql.as_deref(),
            took_rest: false,
        }
    }

    fn unused(&self) -> usize {
        let lists = [&self.urls, &self.emails, &self.paths, &self.zones, &self.identifiers];
        let left = lists.iter().map(|list| list.len()).sum::<usize>() + self.slugs + usize::from(self.sql.is_some());
        if self.took_rest { 0 } else { left }
    }

    fn value(&mut self, param: &Param) -> Option<Value> {
        let named = self.facts.named.iter().find(|(name, _)| *name == param.name.to_lowercase());
        if let Some((_, value)) = named {
            return coerce(&param.kind, value);
        }
        match &param.kind {
            Kind::OneOf(options) => self.option(options),
            Kind::Boolean => self.flag(param),
            Kind::Number { is_integer, min, max } => {
                let number = self.number(param)?;
                let fits = min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max);
                fits.then(|| json_number(number, *is_integer)).flatten()
            }
            Kind::Text(role) => self.text(param, *role),
            Kind::List(item) => self.list(item),
            Kind::Other => None,
        }
    }

    /// The option that the question names, the longest first; else one that fits its period.
    fn option(&self, options: &[Value]) -> Option<Value> {
        let asked: Vec<String> =
            self.facts.tokens.iter().flat_map(|token| words(&token.text)).map(|word| word.stem).collect();
        let mut named: Vec<(usize, &Value)> =
            options.iter().filter_map(|o| Some((mentioned(o.as_str()?, &asked)?, o))).collect();
        named.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
        named.first().map(|(_, option)| (*option).clone()).or_else(|| self.period_option(options))
    }

    fn period_option(&self, options: &[Value]) -> Option<Value> {
        let period = self.facts.period.as_ref()?;
        let phrase = period.phrase.replace(' ', "_");
        let spelled = |option: &str| option.to_lowercase().replace([' ', '-'], "_");
        let find = |test: &dyn Fn(&str) -> bool| options.iter().find(|o| o.as_str().is_some_and(|o| test(&spelled(o))));
        find(&|option| option == phrase)
            .or_else(|| {
                find(&|option| option == format!("this_{}", period.unit) || option == format!("last_{}", period.unit))
            })
            .or_else(|| find(&|option| option.split('_').any(|part| stem(part) == stem(period.unit))))
            .cloned()
    }

    /// `with image` is true, `without image` false; what is not mentioned keeps its default.
    fn flag(&self, param: &Param) -> Option<Value> {
        let tokens = &self.facts.tokens;
        let names = |token: &Token| words(&token.text).iter().any(|w| param.words.iter().any(|p| p.stem == w.stem));
        let at = tokens.iter().position(names)?;
        let before = at.checked_sub(1).map(|i| tokens[i].text.to_lowercase());
        let is_negated = before.is_some_and(|word| matches!(word.as_str(), "no" | "not" | "without"));
        Some(Value::Bool(!is_negated))
    }

    fn number(&mut self, param: &Param) -> Option<f64> {
        if let Some(hours) = self.span(param) {
            return Some(hours);
        }
        if let Some(number) = self.number_beside(param) {
            self.numbers.retain(|other| *other != number);
            return Some(number);
        }
        if param.is_required {
            return take(&mut self.numbers);
        }
        let is_count = |p: &Param| matches!(p.kind, Kind::Number { .. }) && !p.is_required;
        let is_only = self.params.iter().filter(|p| is_count(p)).count() == 1;
        let is_limit =
            param.words.iter().any(|word| matches!(word.raw.as_str(), "limit" | "count" | "top" | "max" | "n"));
        if is_only && is_limit && self.numbers.len() == 1 { take(&mut self.numbers) } else { None }
    }

    /// `days` and `hours` from a period of the question.
    fn span(&self, param: &Param) -> Option<f64> {
        let period = self.facts.period.as_ref()?;
        let names = |unit: &str| param.words.iter().any(|word| word.raw == unit);
        if names("hours") {
            Some(period.hours as f64)
        } else if names("days") {
            Some(period.hours.div_ceil(24) as f64)
        } else {
            None
        }
    }

    /// A number beside a word of the parameter's name or description: `6 steps`, `3 seconds`, `page 2`.
    fn number_beside(&self, param: &Param) -> Option<f64> {
        let tokens = &self.facts.tokens;
        let says = |i: Option<usize>, stems: &[String]| {
            i.and_then(|i| tokens.get(i)).is_some_and(|t| words(&t.text).iter().any(|word| stems.contains(&word.stem)))
        };
        let name: Vec<String> = param.words.iter().map(|word| word.stem.clone()).collect();
        let described: Vec<String> = words(&param.description).into_iter().map(|word| word.stem).collect();
        let free = |i: &usize| matches!(tokens[*i].is, Is::Number(n) if self.numbers.contains(&n));
        let beside = |i: usize, stems: &[String]| says(Some(i + 1), stems) || says(i.checked_sub(1), stems);
        let mut spots = (0..tokens.len()).filter(free);
        let by_name = spots.clone().find(|i| beside(*i, &name));
        let limits = ["limit", "count", "max"].contains(&param.name.as_str());
        let by_top =
            || spots.clone().find(|i| limits && says(i.checked_sub(1), &["top".into(), "first".into(), "last".into()]));
        let found = by_name.or_else(by_top).or_else(|| spots.find(|i| says(Some(i + 1), &described)))?;
        if let Is::Number(number) = tokens[found].is { Some(number) } else { None }
    }

    fn text(&mut self, param: &Param, role: Role) -> Option<Value> {
        let first_slug = self.facts.slugs.first();
        match role {
            Role::Url => take(&mut self.urls).map(text),
            Role::Email => take(&mut self.emails).map(text),
            Role::Path => take(&mut self.paths).map(text),
            Role::TimeZone => take(&mut self.zones).map(text),
            Role::Time => take(&mut self.times).map(text),
            Role::Date => self.facts.dates.first().map(|date| text(date.to_string())),
            Role::DateTime => self.date_time(),
            Role::Period => self.facts.period.as_ref().map(|period| text(period.phrase.clone())),
            Role::Sql => self.sql.take().map(text),
            Role::Pattern => take(&mut self.quoted).map(text),
            Role::Owner => first_slug.map(|(owner, _)| text(owner.clone())),
            Role::Repository => {
                self.slugs = self.slugs.saturating_sub(1);
                let has_owner = self.params.iter().any(|p| matches!(p.kind, Kind::Text(Role::Owner)));
                first_slug.map(|(owner, name)| text(if has_owner { name.clone() } else { format!("{owner}/{name}") }))
            }
            Role::Identifier => self.identifier(param),
            Role::Free => self.free(param),
        }
    }

    fn date_time(&self) -> Option<Value> {
        let date = self.facts.dates.first()?;
        let time = self.facts.times.first().map_or("00:00", String::as_str);
        Some(text(format!("{date}T{time:0>5}:00Z")))
    }

    /// A word that no one says, or the one beside the parameter's name; an e-mail where a person is meant.
    fn identifier(&mut self, param: &Param) -> Option<Value> {
        let is_person = param.words.iter().any(|word| matches!(word.raw.as_str(), "user" | "who" | "person" | "owner"));
        if is_person && let Some(email) = take(&mut self.emails) {
            return Some(text(email));
        }
        if let Some(word) = self.word_after(param) {
            return Some(text(word));
        }
        let says_something = self.params.iter().any(|p| matches!(p.kind, Kind::Text(Role::Free)));
        let mut found = take(&mut self.identifiers);
        if found.is_none() && param.is_required && !says_something {
            found = take(&mut self.quoted);
        }
        found.map(text)
    }

    fn word_after(&self, param: &Param) -> Option<String> {
        let tokens = &self.facts.tokens;
        let names = |token: &Token| words(&token.text).iter().any(|w| param.words.iter().any(|p| p.raw == w.raw));
        let at = tokens.iter().position(names)?;
        let next = tokens[at + 1..].iter().find(|token| !is_stop(&token.text.to_lowercase()))?;
        let is_own = words(&next.text).iter().all(|word| !self.tool_words.contains(&word.stem));
        (next.is == Is::Word && is_own).then(|| next.text.clone())
    }

    /// What is quoted, or what follows the words that name the tool. An argument that need not be
    /// there takes only what is quoted.
    fn free(&mut self, param: &Param) -> Option<Value> {
        if let Some(quoted) = take(&mut self.quoted) {
            return Some(text(quoted));
        }
        let takes_rest = |p: &&Param| p.is_required && matches!(p.kind, Kind::Text(Role::Free));
        if self.params.iter().find(takes_rest).is_none_or(|first| first.name != param.name) {
            return None;
        }
        if let Some(sql) = self.sql.take() {
            return Some(text(sql));
        }
        self.took_rest = true;
        self.rest().map(text)
    }

    /// The question from its first word that is neither a stop word nor one of the tool's.
    fn rest(&self) -> Option<String> {
        let is_spoken_for = |token: &Token| {
            let found = words(&token.text);
            let is_own = |word: &Word| self.tool_words.contains(&word.stem);
            let is_like = |word: &Word| synonyms(word).iter().any(|stem| self.tool_words.contains(stem));
            token.is == Is::Word && found.iter().all(|word| is_own(word) || is_like(word))
        };
        let tokens: Vec<&Token> = self.facts.tokens.iter().skip_while(|token| is_spoken_for(token)).collect();
        let rest: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
        (!rest.is_empty()).then(|| rest.join(" "))
    }

    fn list(&mut self, item: &Kind) -> Option<Value> {
        let of = |list: &mut Vec<&str>| -> Vec<Value> { list.drain(..).map(text).collect() };
        let items: Vec<Value> = match item {
            Kind::Number { is_integer, .. } => {
                self.numbers.drain(..).filter_map(|number| json_number(number, *is_integer)).collect()
            }
            Kind::OneOf(options) => self.option(options).into_iter().collect(),
            Kind::Text(Role::Email) => of(&mut self.emails),
            Kind::Text(Role::Url) => of(&mut self.urls),
            Kind::Text(Role::Path) => of(&mut self.paths),
            Kind::Text(_) if !self.quoted.is_empty() => of(&mut self.quoted),
            Kind::Text(_) => of(&mut self.identifiers),
            Kind::Boolean | Kind::List(_) | Kind::Other => Vec::new(),
        };
        (!items.is_empty()).then(|| json!(items))
    }
}

/// The numbers that are no part of a period such as "last 7 days".
fn free_numbers(facts: &Facts) -> Vec<f64> {
    let in_period = |number: &f64| {
        facts.period.as_ref().is_some_and(|period| period.phrase.split(' ').any(|word| word == number.to_string()))
    };
    facts.numbers.iter().copied().filter(|number| !in_period(number)).collect()
}

/// How many words an option has, when all of them were said.
fn mentioned(option: &str, asked: &[String]) -> Option<usize> {
    let stems: Vec<String> = words(option).into_iter().map(|word| word.stem).collect();
    (!stems.is_empty() && stems.iter().all(|stem| asked.contains(stem))).then_some(stems.len())
}

fn json_number(number: f64, is_integer: bool) -> Option<Value> {
    let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
    match (is_whole, is_integer) {
        (true, _) => Some(json!(number as i64)),
        (false, true) => None,
        (false, false) => Number::from_f64(number).map(Value::Number),
    }
}

fn coerce(kind: &Kind, value: &str) -> Option<Value> {
    match kind {
        Kind::Boolean => value.to_lowercase().parse().ok().map(Value::Bool),
        Kind::Number { is_integer, .. } => value.parse().ok().and_then(|number| json_number(number, *is_integer)),
        Kind::OneOf(options) => {
            let is_it = |option: &&Value| {
                option.as_str().map_or_else(|| option.to_string(), str::to_owned).eq_ignore_ascii_case(value)
            };
            options.iter().find(is_it).cloned()
        }
        Kind::List(item) => {
            value.split(',').map(|part| coerce(item, part)).collect::<Option<Vec<_>>>().map(Value::from)
        }
        Kind::Text(_) => Some(text(value)),
        Kind::Other => serde_json::from_str(value).ok(),
    }
}
