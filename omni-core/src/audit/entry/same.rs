//! Whether a row says what its record says, once a database has it.

use serde_json::Value;

use super::{CallEntry, LogEntry};
use crate::db::Val;

impl LogEntry {
    /// Whether this row says what the record says; its number is its store's matter.
    pub(crate) fn says(mut self, record: &Self) -> bool {
        let params = match (&self.tool_params, &record.tool_params) {
            (Some(row), Some(record)) => holds(row, record),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        (self.id, self.tool_params) = (record.id, record.tool_params.clone());
        params && self == *record
    }
}

impl CallEntry {
    /// Whether this row says what the record says; its number is its store's matter.
    pub(crate) fn says(mut self, record: &Self) -> bool {
        let arguments = holds(&self.arguments, &record.arguments);
        (self.id, self.arguments) = (record.id, record.arguments.clone());
        arguments && self == *record
    }
}

/// Whether a row has the value of its record: as it is, or as PostgreSQL takes it, by what makes it that.
fn holds(row: &Value, record: &Value) -> bool {
    same_json(record, row) || same_json(&Val::jsonb(record), row)
}

/// Whether `a` is `b` once a database has it, which writes numbers its own way.
fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || ((a.is_f64() || b.is_f64()) && close(a.as_f64(), b.as_f64())),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        (a, b) => a == b,
    }
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if (a - b).abs() <= a.abs() * 1e-15)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_texts_are_compared_as_a_database_holds_them() {
        for (record, row) in [(json!(1e5), json!(100_000)), (json!({"a": ["x\0"]}), json!({"a": ["x\u{fffd}"]}))] {
            assert!(holds(&row, &record), "{record} {row}");
        }
        let exact = u64::MAX - 1;
        assert!(!holds(&json!(u64::MAX), &json!(exact)));
        for (a, b) in [(json!(1), json!(2)), (json!([1]), json!([1, 1])), (json!({"a": 1}), json!({"b": 1}))] {
            assert!(!holds(&b, &a), "{a} {b}");
        }
    }

    #[test]
    fn keys_that_postgres_takes_for_one_are_one_in_the_row_and_two_where_they_are_kept() {
        let record = json!({ "x\0": 1, "x\u{fffd}": 2, "y": { "z\0": "\0" } });
        let folded = Val::jsonb(&record);
        assert_eq!(folded, json!({ "x\u{fffd}": 2, "y": { "z\u{fffd}": "\u{fffd}" } }));
        assert!(holds(&folded, &record) && holds(&record, &record));
        for row in [
            json!({ "x\0": 9, "x\u{fffd}": 2, "y": { "z\0": "\0" } }),
            json!({ "x\u{fffd}": 1, "y": { "z\u{fffd}": "\u{fffd}" } }),
            json!({ "x\u{fffd}": 2, "y": {} }),
        ] {
            assert!(!holds(&row, &record), "{row}");
        }
    }
}
