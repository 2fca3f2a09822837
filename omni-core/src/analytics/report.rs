//! What a tool says: one document, and the same for people to read.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::period::Period;

/// Most characters of a text in a table.
const MAX_CHARS: usize = 80;

/// A value with its unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Nothing,
    Text(String),
    Count(u64),
    /// Billionths of a dollar.
    Usd(i64),
    Ms(u64),
    /// Of one.
    Share(f64),
    Time(DateTime<Utc>),
    Yes(bool),
}

impl Cell {
    /// A text; an empty one is nothing.
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Nothing } else { Self::Text(text) }
    }

    /// So much of so much; of nothing it is nothing.
    pub(super) fn share(part: u64, whole: u64) -> Self {
        if whole == 0 { Self::Nothing } else { Self::Share(part as f64 / whole as f64) }
    }

    /// A sum by how many it is of.
    pub(super) fn average_ms(sum: u64, count: u64) -> Self {
        (sum + count / 2).checked_div(count).map_or(Self::Nothing, Self::Ms)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) => json!(text),
            Self::Count(count) => json!(count),
            Self::Usd(nano) => json!(*nano as f64 / 1e9),
            Self::Ms(ms) => json!(ms),
            Self::Share(share) => json!((share * 1e4).round() / 1e2),
            Self::Time(at) => json!(at.to_rfc3339()),
            Self::Yes(yes) => json!(yes),
        }
    }

    pub(super) fn shown(&self, period: Option<&Period>) -> String {
        match self {
            Self::Nothing => "–".into(),
            Self::Text(text) => line(text),
            Self::Count(count) => grouped(*count),
            Self::Usd(nano) => dollars(*nano),
            Self::Ms(ms) if *ms < 10_000 => format!("{} ms", grouped(*ms)),
            Self::Ms(ms) => format!("{:.1} s", *ms as f64 / 1e3),
            Self::Share(share) => format!("{:.1} %", share * 100.0),
            Self::Time(at) => match period {
                Some(period) => at.with_timezone(&period.zone).format("%Y-%m-%d %H:%M").to_string(),
                None => at.format("%Y-%m-%d %H:%M").to_string(),
            },
            Self::Yes(yes) => if *yes { "yes" } else { "no" }.into(),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Usd(_) | Self::Ms(_) | Self::Share(_))
    }
}

/// Amounts of a cent and more with cents, smaller ones as far as they say something.
pub(super) fn dollars(nano: i64) -> String {
    let usd = nano as f64 / 1e9;
    match nano.abs() {
        0 => "$0".into(),
        1..10_000_000 => format!("${usd:.6}"),
        10_000_000..1_000_000_000 => format!("${usd:.4}"),
        _ => format!("${usd:.2}"),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What others wrote, on one line and harmless in a table.
fn line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let flat = flat.replace('|', "\\|");
    if flat.chars().nth(MAX_CHARS).is_none() {
        return flat;
    }
    flat.chars().take(MAX_CHARS - 1).chain(['…']).collect()
}

/// A column: its key in the document, and its heading.
pub(super) type Heading = (&'static str, &'static str);

/// Rows under headings.
#[derive(Debug, Clone)]
pub(super) struct Table {
    key: &'static str,
    title: &'static str,
    headings: &'static [Heading],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(key: &'static str, title: &'static str, headings: &'static [Heading]) -> Self {
        Self { key, title, headings, rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    pub(super) fn with(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn to_json(&self) -> Value {
        let row = |cells: &Vec<Cell>| {
            let named = self.headings.iter().zip(cells);
            Value::Object(named.map(|((key, _), cell)| ((*key).to_owned(), cell.to_json())).collect())
        };
        Value::Array(self.rows.iter().map(row).collect())
    }

    fn write(&self, text: &mut String, period: Option<&Period>) {
        let head: Vec<String> = self.headings.iter().map(|(_, heading)| (*heading).to_owned()).collect();
        let shown = |cells: &Vec<Cell>| cells.iter().map(|cell| cell.shown(period)).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = self.rows.iter().map(shown).collect();
        let right: Vec<bool> = (0..head.len()).map(|at| self.is_right(at)).collect();
        let width = |at: usize| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let mut line = |cells: &[String]| {
            for (at, cell) in cells.iter().enumerate() {
                let pad = " ".repeat(widths[at].saturating_sub(cell.chars().count()));
                let (before, after) = if right[at] { (&*pad, "") } else { ("", &*pad) };
                let _ = write!(text, "| {before}{cell}{after} ");
            }
            text.push_str("|\n");
        };
        line(&head);
        let rule = |at: usize| {
            let dashes = "-".repeat(widths[at] - 1);
            if right[at] { format!("{dashes}:") } else { format!("{dashes}-") }
        };
        line(&(0..head.len()).map(rule).collect::<Vec<_>>());
        rows.iter().for_each(|row| line(row));
    }

    /// Whether a column is of numbers.
    fn is_right(&self, at: usize) -> bool {
        let cells = || self.rows.iter().filter_map(|row| row.get(at)).filter(|cell| **cell != Cell::Nothing);
        cells().next().is_some() && cells().all(Cell::is_number)
    }
}

/// What a tool found.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// In a sentence or two.
    says: String,
    period: Option<Period>,
    totals: Vec<(&'static str, Cell)>,
    tables: Vec<Table>,
}

impl Report {
    pub(super) fn new(says: impl Into<String>, period: Option<&Period>) -> Self {
        Self { says: says.into(), period: period.cloned(), totals: Vec::new(), tables: Vec::new() }
    }

    pub(super) fn total(mut self, key: &'static str, cell: Cell) -> Self {
        self.totals.push((key, cell));
        self
    }

    pub(super) fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    pub(super) fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("summary".into(), json!(self.says));
        if let Some(period) = &self.period {
            document.insert("period".into(), period.to_json());
        }
        if !self.totals.is_empty() {
            let totals = self.totals.iter().map(|(key, cell)| ((*key).to_owned(), cell.to_json()));
            document.insert("totals".into(), Value::Object(totals.collect()));
        }
        for table in &self.tables {
            document.insert(table.key.into(), table.to_json());
        }
        Value::Object(document)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.says);
        for table in self.tables.iter().filter(|table| table.len() > 0) {
            let _ = write!(text, "\n{}:\n\n", table.title);
            table.write(&mut text, self.period.as_ref());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_numbers_stand_to_the_right() {
        let table = Table::new("rows", "By user", &[("user", "user"), ("cost_usd", "cost"), ("queries", "queries")]);
        let rows = [
            vec![Cell::text("dba@company.com"), Cell::Usd(2_103_120), Cell::Count(12_345)],
            vec![Cell::text("a|b\nc"), Cell::Usd(12_500_000_000), Cell::Nothing],
        ];
        let report = Report::new("Two people asked.", None).table(table.with(rows));
        insta::assert_snapshot!(report.text(), @r"
        Two people asked.

        By user:

        | user            |      cost | queries |
        | --------------- | --------: | ------: |
        | dba@company.com | $0.002103 |  12,345 |
        | a\|b c          |    $12.50 |       – |
        ");
        assert_eq!(report.document()["rows"][1]["queries"], Value::Null);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!((Cell::share(0, 0), Cell::average_ms(0, 0)), (Cell::Nothing, Cell::Nothing));
    }
}
