//! Statements for both dialects.

#[cfg(feature = "postgres")]
use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use super::{Dialect, Val};

/// Most bytes of the values of one insert into PostgreSQL. What is longer than one TLS record is
/// written in several pieces, and the driver does not set `TCP_NODELAY`: the last piece then waits
/// 40 ms for the acknowledgement of the first one.
const ONE_RECORD: usize = 15_000;
/// The same of an insert that is longer anyway, and waits: as many rows go along as may.
const SEVERAL_RECORDS: usize = 1 << 20;

/// A statement as it is. Stores write theirs as literals, and bind what comes from outside.
#[cfg(feature = "sqlite")]
pub(super) fn safe(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.to_owned())
}

/// Whether a statement begins with one of these words.
#[cfg(feature = "sqlite")]
pub(super) fn first_word_is(sql: &str, words: &[&str]) -> bool {
    let first = sql.split_whitespace().next().unwrap_or_default();
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// A statement with `$1`, `$2`, … for each `?` that does not stand within quotes.
#[cfg(feature = "postgres")]
pub(super) fn numbered(sql: &str) -> AssertSqlSafe<String> {
    let mut numbered = String::with_capacity(sql.len() + 32);
    let (mut count, mut quoted) = (0_u32, false);
    for part in sql.chars() {
        match part {
            '\'' => {
                quoted = !quoted;
                numbered.push(part);
            }
            '?' if !quoted => {
                count += 1;
                let _ = write!(numbered, "${count}");
            }
            other => numbered.push(other),
        }
    }
    AssertSqlSafe(numbered)
}

/// `?, ?, ?`: one for each of `count` values.
#[must_use]
pub fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Inserts of many rows, a few statements for all of them. `into` is `INSERT INTO t (a, b) VALUES`,
/// `rest` what follows the rows. Sizes are powers of two, so that a handful of statements is
/// prepared once and used again.
#[must_use]
pub fn insert_many<'v>(
    dialect: Dialect,
    into: &str,
    rows: Vec<Vec<Val<'v>>>,
    rest: &str,
) -> Vec<(String, Vec<Val<'v>>)> {
    let Some(first) = rows.first().filter(|row| !row.is_empty()) else { return Vec::new() };
    let width = first.len();
    let most = prev_power_of_two(dialect.max_values() / width).min(256);
    // A column has one kind of value in all rows.
    let row: Vec<_> = first.iter().map(|value| value.placeholder(dialect)).collect();
    let row = format!("({})", row.join(", "));
    let mut statements = Vec::new();
    let mut left = rows.into_iter();
    while left.len() > 0 {
        let count = fitting(dialect, left.as_slice(), prev_power_of_two(left.len()).min(most));
        let sql = format!("{into} {} {rest}", vec![row.as_str(); count].join(", "));
        statements.push((sql, left.by_ref().take(count).flatten().collect()));
    }
    statements
}

/// How many of the first rows go together, of at most `most`, which is a power of two.
fn fitting(dialect: Dialect, rows: &[Vec<Val<'_>>], most: usize) -> usize {
    if dialect == Dialect::Sqlite {
        return most;
    }
    let weight = |row: &Vec<Val<'_>>| row.iter().map(Val::weight).sum::<usize>();
    let room = if weight(&rows[0]) > ONE_RECORD { SEVERAL_RECORDS } else { ONE_RECORD };
    let ends = rows[..most].iter().scan(0, |end, row| {
        *end += weight(row);
        Some(*end)
    });
    prev_power_of_two(ends.take_while(|end| *end <= room).count().max(1))
}

fn prev_power_of_two(number: usize) -> usize {
    match number.checked_ilog2() {
        Some(power) => 1 << power,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_into_postgres_is_as_long_as_one_record_or_as_many_rows_as_may_wait_together() {
        let rows: Vec<_> = [100, 100, 100, 20_000, 100].map(|len| vec![Val::from("x".repeat(len))]).into();
        let counts = |dialect| {
            let inserts = insert_many(dialect, "INSERT INTO t (a) VALUES", rows.clone(), "");
            inserts.iter().map(|(_, values)| values.len()).collect::<Vec<_>>()
        };
        assert_eq!(counts(Dialect::Postgres), [2, 1, 2]);
        assert_eq!(counts(Dialect::Sqlite), [4, 1]);
        let rows: Vec<_> = (0..64).map(|_| vec![Val::from("x".repeat(33_000))]).collect();
        let inserts = insert_many(Dialect::Postgres, "INSERT INTO t (a) VALUES", rows, "");
        assert_eq!(inserts.iter().map(|(_, values)| values.len()).collect::<Vec<_>>(), [16; 4]);
    }
}
