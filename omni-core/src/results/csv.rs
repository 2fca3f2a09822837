//! A result as CSV (RFC 4180), where it is a table.

use super::{KeptResult, table::Table};
use crate::{csv, error::Error};

/// Most columns.
pub(super) const MAX_COLUMNS: usize = 1_000;
/// Most bytes.
const MAX_CSV: usize = 16 << 20;

/// The result as CSV: a head, then a line for each row, each ended by CR and LF.
///
/// A table is a list of objects in JSON, in the structured form or as text, also as the one such list in an object;
/// a table in Markdown; or text with tabs or commas of which all lines have equally many fields. What a spreadsheet
/// would take as a formula gets an apostrophe in front; numbers do not.
///
/// # Errors
/// [`Error::Invalid`] where it is no table, or one that is too wide.
pub fn of(result: &KeptResult) -> Result<String, Error> {
    let name = result.call.full_name();
    let invalid = |message: String| Error::Invalid { message };
    let no_table = || {
        invalid(format!(
            "what {name} returned is no table: CSV takes a list of JSON objects, a Markdown table, or text with tabs \
             or commas"
        ))
    };
    let table = Table::of(result).ok_or_else(no_table)?;
    if table.head.len() > MAX_COLUMNS {
        return Err(invalid(format!("what {name} returned has more than {MAX_COLUMNS} columns")));
    }
    let mut text = csv::line(table.head.iter().map(|name| field(name)));
    for row in &table.rows {
        text.push_str(&line(row, table.head.len()));
        if text.len() > MAX_CSV {
            return Err(invalid(format!("what {name} returned has more than {MAX_CSV} bytes as CSV")));
        }
    }
    Ok(text)
}

/// A row of so many columns; what it lacks is empty.
fn line(row: &[(usize, String)], columns: usize) -> String {
    let mut cells = row.iter().peekable();
    let text =
        |column: usize| cells.next_if(|(place, _)| *place == column).map_or_else(String::new, |(_, text)| field(text));
    csv::line((0..columns).map(text))
}

/// A number is no formula, be it negative.
fn field(text: &str) -> String {
    let is_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_numeric && text.parse::<f64>().is_ok() { text.into() } else { csv::harmless(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::RawValue};

    use super::*;
    use crate::results::{KeptCall, Owner};

    fn result(text: &str, structured: Option<Value>) -> KeptResult {
        let arguments = RawValue::from_string("{}".into()).unwrap();
        let call = KeptCall::new(Owner::new("default", "ada"), "lab", "rows", arguments);
        KeptResult::new(call, text, structured)
    }

    fn csv_of(text: &str, structured: Option<Value>) -> Result<String, String> {
        of(&result(text, structured)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_of_objects_is_a_table_with_all_their_keys() {
        let rows = json!([{ "id": 1, "name": "Ada" }, { "id": 2, "note": null, "tags": ["a", 1] }]);
        let csv = "id,name,note,tags\r\n1,Ada,,\r\n2,,,\"[\"\"a\"\",1]\"\r\n";
        for rows in [rows.clone(), json!({ "total": 2, "rows": rows }), json!({ "data": { "result": rows } })] {
            assert_eq!(csv_of("in words", Some(rows.clone())).unwrap(), csv, "{rows}");
            assert_eq!(csv_of(&rows.to_string(), None).unwrap(), csv, "as text, {rows}");
        }
    }

    #[test]
    fn of_two_lists_none_is_the_table() {
        let two = json!({ "a": [{ "x": 1 }], "b": [{ "x": 1 }] });
        let error = csv_of(&two.to_string(), Some(two)).unwrap_err();
        assert!(error.contains("lab.rows returned is no table"), "{error}");
    }

    #[test]
    fn a_markdown_table_is_found_among_other_text() {
        let text = "Two sessions:\n\n| SID | State |\n|----:|:-----|\n| 12 | on `a\\|b` |\n| 13 |\n\nThat is | all.";
        assert_eq!(csv_of(text, None).unwrap(), "SID,State\r\n12,on `a|b`\r\n13,\r\n");
        assert_eq!(csv_of("SID | State\n--- | ---\n12 | on", None).unwrap(), "SID,State\r\n12,on\r\n");
    }

    #[test]
    fn text_with_tabs_or_commas_is_a_table_when_its_lines_are_equally_long() {
        assert_eq!(csv_of("a\tb\n1\t2, 3\n", None).unwrap(), "a,b\r\n1,\"2, 3\"\r\n");
        assert_eq!(csv_of("a,b\r\n\"x, \"\"y\"\"\nz\",2", None).unwrap(), "a,b\r\n\"x, \"\"y\"\"\nz\",2\r\n");
        for text in ["Hello, world.", "Dear Ada,\nall is well, as far\nas I know.", "a,b\n1,2,3", "plain", ""] {
            assert!(csv_of(text, None).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_spreadsheet_would_calculate_is_text() {
        let rows = json!([
            { "a": "=HYPERLINK(\"http://x\",\"y\")", "b": "+1+2", "c": "@SUM(A1)", "d": "-2+3", "e": "\tx" },
            { "a": -5, "b": "-5.5", "c": "+49 30 1", "d": "a=b", "e": "-" },
        ]);
        let csv = csv_of("", Some(rows)).unwrap();
        let mut lines = csv.split("\r\n").skip(1);
        assert_eq!(lines.next().unwrap(), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",'+1+2,'@SUM(A1),'-2+3,'\tx");
        assert_eq!(lines.next().unwrap(), "-5,-5.5,'+49 30 1,a=b,'-");
        let head = csv_of("=1+1\tb\n1\t2", None).unwrap();
        assert!(head.starts_with("'=1+1,b\r\n"), "{head}");
    }

    #[test]
    fn a_table_that_is_too_wide_is_refused() {
        let row: serde_json::Map<String, Value> = (0..=MAX_COLUMNS).map(|n| (format!("c{n}"), json!(n))).collect();
        assert!(csv_of("", Some(json!([row]))).unwrap_err().contains("columns"));
    }

    #[test]
    fn a_wide_sparse_table_costs_no_more_than_its_csv() {
        let wide = (0..MAX_COLUMNS).map(|n| (format!("c{n}"), json!(n))).collect();
        let mut rows = vec![Value::Object(wide)];
        rows.resize(100, json!({ "c999": 1 }));
        let result = result("", Some(Value::Array(rows)));
        let cells: usize = Table::of(&result).unwrap().rows.iter().map(Vec::len).sum();
        assert_eq!(cells, MAX_COLUMNS + 99);
        let csv = of(&result).unwrap();
        assert!(csv.ends_with(&format!("\r\n{}1\r\n", ",".repeat(MAX_COLUMNS - 1))), "{csv}");
    }
}
