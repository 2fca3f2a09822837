//! `${VAR}`, `${VAR:-default}` and `${VAR:default}` in string values, never in keys, never twice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::yaml::join;

/// A variable that a value refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The value's key path.
    pub(crate) path: String,
    /// The variable.
    pub(crate) variable: String,
    /// Whether it is set, to nothing.
    pub(crate) is_empty: bool,
}

impl Reference {
    /// `the environment variable X is not set`.
    pub(crate) fn said(&self) -> String {
        let state = if self.is_empty { "empty" } else { "not set" };
        format!("the environment variable {} is {state}", self.variable)
    }
}

/// The variables that a file refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// Those that are not set and have no default.
    pub(crate) unset: Vec<Reference>,
    /// Those that are set to nothing and have no default: so are those that a container is handed from where they are
    /// not set.
    pub(crate) empty: Vec<Reference>,
    /// Those whose value went into the file's.
    pub(crate) filled: Vec<Reference>,
}

impl References {
    /// Those that leave nothing in their place, for whoever does not do without their text.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = &Reference> {
        self.unset.iter().chain(&self.empty)
    }

    /// The first of them at a key path.
    pub(crate) fn lacking_at(&self, path: &str) -> Option<&Reference> {
        self.lacking().find(|reference| reference.path == path)
    }
}

/// Replaces the variables in every string of `value`. One that is not set and has no default
/// becomes nothing, and is reported.
pub(crate) fn interpolate(value: &mut Value, env: &BTreeMap<String, String>) -> References {
    let mut found = References::default();
    visit(value, "", env, &mut found);
    found
}

fn visit(value: &mut Value, path: &str, env: &BTreeMap<String, String>, found: &mut References) {
    match value {
        Value::String(text) if text.contains("${") => *text = replace(text, path, env, found),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                visit(item, &format!("{path}[{at}]"), env, found);
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                visit(item, &join(path, key), env, found);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn replace(text: &str, path: &str, env: &BTreeMap<String, String>, found: &mut References) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}').filter(|length| *length > 0) else { break };
        result.push_str(&rest[..start]);
        let (variable, default) = split(&rest[start + 2..start + 2 + length]);
        let reference = |is_empty| Reference { path: path.into(), variable: variable.into(), is_empty };
        match (env.get(variable).filter(|value| default.is_none() || !value.is_empty()), default) {
            (Some(value), _) => {
                result.push_str(value);
                found.filled.push(reference(value.is_empty()));
                if value.is_empty() {
                    found.empty.push(reference(true));
                }
            }
            (None, Some(default)) => result.push_str(default),
            (None, None) => found.unset.push(reference(false)),
        }
        rest = &rest[start + 3 + length..];
    }
    result.push_str(rest);
    result
}

fn split(inside: &str) -> (&str, Option<&str>) {
    match inside.split_once(':') {
        Some((variable, default)) => (variable, Some(default.strip_prefix('-').unwrap_or(default))),
        None => (inside, None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Reference, interpolate};

    fn run(text: &str) -> (String, Vec<String>) {
        let env = [("A", "1"), ("EMPTY", ""), ("AGAIN", "${A}")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let mut value = json!(text);
        let unset = interpolate(&mut value, &env).unset;
        (value.as_str().unwrap().into(), unset.into_iter().map(|unset| unset.variable).collect())
    }

    #[test]
    fn variables_and_both_kinds_of_defaults_are_replaced() {
        assert_eq!(run("x${A}y${A}").0, "x1y1");
        assert_eq!(run("${NO:-d}${NO:e}${NO:-}").0, "de");
        assert_eq!(run("${A:-d}${EMPTY:-d}").0, "1d");
        assert_eq!(run("${NO:-http://h:1/p}").0, "http://h:1/p");
    }

    #[test]
    fn an_unset_variable_is_nothing_and_reported_but_an_empty_one_is_not() {
        assert_eq!(run("a${NO}b${EMPTY}"), ("ab".into(), vec!["NO".into()]));
    }

    #[test]
    fn whoever_does_not_do_without_the_text_is_told_of_an_empty_variable_too_unless_nothing_is_its_default() {
        let env = [("EMPTY".to_owned(), String::new())].into();
        let found = interpolate(&mut json!({ "a": "x${EMPTY}", "b": "${EMPTY:-}", "c": "${NO}" }), &env);
        let said: Vec<String> =
            found.lacking().map(|lacking| format!("{}: {}", lacking.path, lacking.said())).collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        assert_eq!(said, ["c: the environment variable NO is not set", "a: the environment variable EMPTY is empty"]);
    }

    #[test]
    fn what_was_put_in_is_not_read_again_and_half_a_variable_is_text() {
        assert_eq!(run("${AGAIN}").0, "${A}");
        assert_eq!(run("${}$A ${A").0, "${}$A ${A");
    }

    #[test]
    fn keys_are_left_alone_and_paths_are_exact() {
        let mut value = json!({ "${A}": [{ "b": "${NO}", "c": "${A}${NO:-d}" }] });
        let found = interpolate(&mut value, &[("A".into(), "1".into())].into());
        assert_eq!(value, json!({ "${A}": [{ "b": "", "c": "1d" }] }));
        let reference =
            |path: &str, variable: &str| Reference { path: path.into(), variable: variable.into(), is_empty: false };
        assert_eq!(found.unset, [reference("${A}[0].b", "NO")]);
        assert_eq!(found.filled, [reference("${A}[0].c", "A")]);
    }
}
