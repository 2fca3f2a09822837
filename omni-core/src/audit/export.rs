//! Entries as CSV.

use serde_json::Value;

use super::LogEntry;
use crate::csv::{harmless, line};

/// The columns of the CSV form, in order. New ones come last: some read them by their places.
const COLUMNS: [&str; 36] = [
    "id",
    "request_id",
    "created_at",
    "tenant",
    "user_email",
    "user_role",
    "actor",
    "source",
    "x_source",
    "user_agent",
    "ip_address",
    "request_type",
    "status",
    "success",
    "was_blocked",
    "block_reason",
    "warning",
    "error_message",
    "message",
    "response_preview",
    "model",
    "iterations",
    "tool_calls_count",
    "tools_used",
    "mcps_accessed",
    "mcp_target",
    "tool_called",
    "tool_params",
    "tokens_input",
    "tokens_output",
    "tokens_cached",
    "tokens_cache_write",
    "cost_estimate",
    "duration_ms",
    "cost_nano_usd",
    "cost_is_estimated",
];

/// The first line of a CSV file.
#[must_use]
pub fn csv_header() -> String {
    line(COLUMNS.iter().map(ToString::to_string))
}

/// An entry as a line of a CSV file. Lists are joined by spaces.
#[must_use]
pub fn csv_line(entry: &LogEntry) -> String {
    let value = serde_json::to_value(entry).unwrap_or_default();
    line(COLUMNS.iter().map(|column| field(&value[*column])))
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(items) => harmless(&items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        audit::entry::Entries,
        cost::NanoUsd,
        ledger::{AskRecord, Event, Outcome, Record},
    };

    fn csv(question: &str) -> String {
        let ask = AskRecord::new(question, Outcome::Denied);
        let record = Record::new(Uuid::nil(), None, Event::Ask(Box::new(ask)));
        csv_line(&Entries::of(&record).log.unwrap())
    }

    #[test]
    fn no_question_becomes_a_formula() {
        for question in [
            "=1+1",
            "+1",
            "-1",
            "@x",
            "\t=1",
            "\r=1",
            " =1",
            "＝1",
            "＋1",
            "－1",
            "＠x",
            "\u{a0}=1",
            "\u{3000}＝1",
            "\n=1",
            "\t1",
        ] {
            assert!(csv(question).contains(&format!("'{question}")), "{question:?}");
        }
        assert!(csv("a=1").contains(",a=1,"));
    }

    #[test]
    fn separators_quotes_and_lines_stay_within_their_field() {
        assert!(csv("a,\"b\"\nc").contains(",\"a,\"\"b\"\"\nc\","));
        assert_eq!(csv_header().matches(',').count(), COLUMNS.len() - 1);
        assert_eq!(csv("q").matches(',').count(), COLUMNS.len() - 1);
    }

    #[test]
    fn the_last_columns_are_the_exact_cost_and_whether_it_is_estimated() {
        let mut ask = AskRecord::new("q", Outcome::Cancelled);
        (ask.cost, ask.usage.estimated) = (Some(NanoUsd(400)), true);
        let record = Record::new(Uuid::nil(), None, Event::Ask(Box::new(ask)));
        assert!(csv_header().trim_end().ends_with(",duration_ms,cost_nano_usd,cost_is_estimated"));
        assert!(csv_line(&Entries::of(&record).log.unwrap()).trim_end().ends_with(",0,400,true"));
    }

    #[test]
    fn every_column_is_a_field_of_an_entry() {
        let record = Record::new(Uuid::nil(), None, Event::Ask(Box::new(AskRecord::new("q", Outcome::Success))));
        let value = serde_json::to_value(Entries::of(&record).log.unwrap()).unwrap();
        assert!(COLUMNS.iter().all(|column| value.get(column).is_some()));
    }
}
