//! What `tests/CHAOS.md` says.

const TEXT: &str = include_str!("../../CHAOS.md");

/// One row: a case, what whoever asks sees of it, one after the other, and what the ledger says of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The case's name, which is its test's.
    pub name: String,
    /// How the calls end.
    pub asker: Vec<String>,
    /// Their outcomes in the ledger.
    pub ledger: Vec<String>,
}

/// All rows, in their order.
#[must_use]
pub fn rows() -> Vec<Row> {
    TEXT.lines().filter_map(row).collect()
}

/// The row of a case.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn of(name: &str) -> Row {
    rows().into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is not in tests/CHAOS.md"))
}

/// `| `name` | what happens | seen, seen | written, written |`.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [name, _, asker, ledger] = cells[..] else { return None };
    let name = name.strip_prefix('`')?.strip_suffix('`')?.to_owned();
    Some(Row { name, asker: steps(asker), ledger: steps(ledger) })
}

/// What is in a cell: `20 × unavailable` is that many of them.
fn steps(cell: &str) -> Vec<String> {
    let step = |step: &str| match step.split_once(" × ") {
        Some((times, what)) => vec![what.to_owned(); times.parse().unwrap()],
        None => vec![step.to_owned()],
    };
    cell.split(", ").flat_map(step).collect()
}
