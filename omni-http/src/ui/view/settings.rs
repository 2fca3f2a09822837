//! The configuration that holds, section by section, and what `omni config check` says of it.

use std::time::Duration;

use askama::Template;
use omni_core::config::{Diagnostic, Severity};
use serde::Serialize;
use serde_json::Value;

use crate::ui::{answer::Frame, show};

/// What the core said.
#[derive(Debug)]
pub(in crate::ui) struct Seen {
    /// `None` where a program built omni.
    pub(in crate::ui) config: Option<(Value, Vec<Diagnostic>)>,
    pub(in crate::ui) uptime: Duration,
    /// Records that are not in the ledger's store yet.
    pub(in crate::ui) backlog: usize,
    /// Why they are not.
    pub(in crate::ui) fault: Option<String>,
}

#[derive(Debug, Template, Serialize)]
#[template(path = "settings.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    version: &'static str,
    config: Option<Value>,
    findings: Vec<Diagnostic>,
    #[serde(skip)]
    facts: Vec<(&'static str, String)>,
    #[serde(skip)]
    found: Vec<Finding>,
    #[serde(skip)]
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Finding {
    severity: &'static str,
    mark: &'static str,
    place: String,
    key: String,
    /// Piece by piece: whether it is code, and what it says.
    message: Vec<(bool, String)>,
}

/// A part of the configuration, line by line.
#[derive(Debug)]
struct Section {
    name: String,
    lines: Vec<(String, String)>,
}

pub(in crate::ui) fn of(frame: Frame, seen: Seen) -> View {
    let version = env!("CARGO_PKG_VERSION");
    let ledger = match (&seen.fault, seen.backlog) {
        (Some(fault), waiting) => format!("{waiting} records wait: {fault}"),
        (None, 0) => "everything is stored".into(),
        (None, waiting) => format!("{waiting} records are on their way"),
    };
    let up = show::duration(u64::try_from(seen.uptime.as_millis()).unwrap_or(u64::MAX));
    let (config, findings) = seen.config.map_or((None, Vec::new()), |(config, findings)| (Some(config), findings));
    View {
        frame,
        version,
        facts: vec![("Version", version.into()), ("Started", format!("{up} ago")), ("Ledger", ledger)],
        found: findings.iter().map(finding).collect(),
        sections: config.iter().flat_map(sections).collect(),
        findings,
        config,
    }
}

fn finding(found: &Diagnostic) -> Finding {
    let (severity, mark) = match found.severity {
        Severity::Error => ("error", "bad"),
        Severity::Warning => ("warning", "warn"),
        Severity::Info => ("info", "dim"),
    };
    Finding {
        severity,
        mark,
        place: found.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        key: found.key.clone(),
        message: pieces(&found.message),
    }
}

/// What is said, and what stands in backticks.
fn pieces(text: &str) -> Vec<(bool, String)> {
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return vec![(false, text.to_owned())];
    }
    pieces.into_iter().enumerate().map(|(at, piece)| (at % 2 == 1, piece.to_owned())).collect()
}

fn sections(config: &Value) -> Vec<Section> {
    let Value::Object(all) = config else { return Vec::new() };
    let (mut general, mut sections) = (Vec::new(), Vec::new());
    for (name, value) in all {
        match value {
            Value::Object(fields) if !fields.is_empty() => sections.push(section(name, value)),
            Value::Array(items) if !items.is_empty() => sections.push(section(name, value)),
            plain => general.push((name.clone(), text(plain))),
        }
    }
    sections.insert(0, Section { name: "general".into(), lines: general });
    sections
}

fn section(name: &str, value: &Value) -> Section {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    Section { name: name.to_owned(), lines }
}

/// Every value with the way to it.
fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let dotted = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(all) if !all.is_empty() => {
            all.iter().for_each(|(name, value)| flatten(&dotted(name), value, lines))
        }
        Value::Array(all) if all.iter().any(|one| one.is_object() || one.is_array()) => {
            for (at, value) in all.iter().enumerate() {
                let name = value["name"].as_str().map_or_else(|| format!("[{at}]"), str::to_owned);
                flatten(&dotted(&name), value, lines);
            }
        }
        plain => lines.push((path.to_owned(), text(plain))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => show::NONE.into(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => show::NONE.into(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(all) if all.is_empty() => show::NONE.into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_backticks_is_code_and_one_that_is_alone_is_a_backtick() {
        let of = |text: &str| {
            pieces(text).into_iter().map(|(is_code, piece)| format!("{is_code} {piece}")).collect::<Vec<_>>()
        };
        assert_eq!(of("set `a: b` there"), ["false set ", "true a: b", "false  there"]);
        assert_eq!(of("plain"), ["false plain"]);
        assert_eq!(of("a ` b"), ["false a ` b"]);
    }
}
