//! The table in a result, where there is one.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{KeptResult, csv::MAX_COLUMNS};

/// How deep a list of objects may lie in others.
const MAX_DEPTH: usize = 4;

/// Rows under a head.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// The cells that a row fills, each with its column, from left to right: in a wide table they may be few.
type Row = Vec<(usize, String)>;

impl Table {
    pub(super) fn of(result: &KeptResult) -> Option<Self> {
        let text = result.text.trim();
        let of_text = || serde_json::from_str(text).ok().as_ref().and_then(of_json);
        let of_structured = result.structured.as_ref().and_then(of_json);
        of_structured.or_else(of_text).or_else(|| of_markdown(text)).or_else(|| of_fields(text))
    }
}

fn of_json(value: &Value) -> Option<Table> {
    let mut lists = Vec::new();
    find(value, 0, &mut lists);
    match lists[..] {
        [rows] => Some(of_objects(rows)),
        _ => None,
    }
}

/// The lists of objects in a value; more than two are of no interest.
fn find<'a>(value: &'a Value, depth: usize, lists: &mut Vec<&'a [Value]>) {
    if depth > MAX_DEPTH || lists.len() > 1 {
        return;
    }
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => lists.push(items),
        Value::Object(fields) => fields.values().for_each(|value| find(value, depth + 1, lists)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

/// The head has every key, in the order in which they come.
fn of_objects(items: &[Value]) -> Table {
    let objects: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut head = Vec::new();
    for key in objects.iter().flat_map(|object| object.keys()) {
        if head.len() <= MAX_COLUMNS && !places.contains_key(key.as_str()) {
            places.insert(key, head.len());
            head.push(key.clone());
        }
    }
    // What is too wide is refused: its rows are of no use.
    if head.len() > MAX_COLUMNS {
        return Table { head, rows: Vec::new() };
    }
    let row = |object: &Map<String, Value>| {
        let mut row: Row = object.iter().map(|(key, value)| (places[key.as_str()], cell(value))).collect();
        row.sort_unstable_by_key(|(place, _)| *place);
        row
    };
    Table { rows: objects.into_iter().map(row).collect(), head }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The first table of a text.
fn of_markdown(text: &str) -> Option<Table> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let rule = lines.windows(2).position(|two| two[0].contains('|') && is_rule(two[1]))?;
    let head = cells(lines[rule]);
    let body = lines[rule + 2..].iter().take_while(|line| line.contains('|'));
    let rows = body.map(|line| cells(line).into_iter().take(head.len()).enumerate().collect()).collect();
    Some(Table { head, rows })
}

/// Whether it is the line under the head: `|---|:-:|`.
fn is_rule(line: &str) -> bool {
    let is_dashes = |cell: &String| {
        let dashes = cell.strip_prefix(':').unwrap_or(cell);
        let dashes = dashes.strip_suffix(':').unwrap_or(dashes);
        !dashes.is_empty() && dashes.bytes().all(|byte| byte == b'-')
    };
    line.contains('|') && cells(line).iter().all(is_dashes)
}

/// The cells of a line. A bar after a backslash is none.
fn cells(line: &str) -> Vec<String> {
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').filter(|rest| !rest.ends_with('\\')).unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, cells.last_mut()) {
            ('|', _) => cells.push(String::new()),
            ('\\', Some(cell)) => cell.push(chars.next_if_eq(&'|').unwrap_or('\\')),
            (other, Some(cell)) => cell.push(other),
            (_, None) => {}
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Text whose lines have equally many fields, between tabs or else commas.
fn of_fields(text: &str) -> Option<Table> {
    ['\t', ','].into_iter().find_map(|between| {
        let mut rows = fields(text, between);
        rows.retain(|row| row.iter().any(|field| !field.is_empty()));
        let columns = rows.first()?.len();
        let is_table = columns > 1 && rows.len() > 1 && rows.iter().all(|row| row.len() == columns);
        let row = |fields: Vec<String>| fields.into_iter().enumerate().collect();
        is_table.then(|| Table { head: rows.remove(0), rows: rows.into_iter().map(row).collect() })
    })
}

/// The fields of each line; what is in quotes may hold anything.
fn fields(text: &str, between: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted => match chars.next_if_eq(&'"') {
                Some(quote) => field.push(quote),
                None => is_quoted = false,
            },
            '"' if field.is_empty() => is_quoted = true,
            _ if is_quoted => field.push(char),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            _ if char == between => row.push(std::mem::take(&mut field)),
            _ => field.push(char),
        }
    }
    row.push(field);
    rows.push(row);
    rows
}
