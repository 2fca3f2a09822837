//! Tables for readers that know none: columns under each other.

/// A column is not made wider than this for one long cell.
const WIDEST: usize = 40;

/// Rows of cells as lines of equal columns; the first row is the heading.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(|column| width(rows, column)).collect();
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
    if lines.len() > 1 {
        let ruler: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        lines.insert(1, ruler.join("-+-"));
    }
    lines.join("\n")
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).clamp(1, WIDEST)
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(at, &width)| format!("{:width$}", row.get(at).map_or("", String::as_str)))
        .collect();
    cells.join(" | ").trim_end().to_owned()
}
