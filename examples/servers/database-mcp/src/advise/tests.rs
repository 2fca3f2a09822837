use super::*;
use crate::{
    catalog::{Column, Index},
    query::Query,
};

/// A table with columns `name type`, and indexes on single columns.
fn table(name: &str, rows: f64, columns: &[&str], indexed: &[&str]) -> TableInfo {
    let column = |text: &&str| {
        let (name, kind) = text.split_once(' ').unwrap();
        Column { name: name.into(), kind: kind.into() }
    };
    let index = |column: &&str| Index {
        name: format!("{name}_{column}"),
        columns: vec![(*column).to_owned()],
        is_unique: false,
        is_partial: false,
    };
    TableInfo {
        schema: None,
        name: name.into(),
        rows: Some(rows),
        columns: columns.iter().map(column).collect(),
        indexes: indexed.iter().map(index).collect(),
        has_statistics: Some(true),
    }
}

fn scan(table: &str) -> Step {
    Step { table: Some(table.into()), access: Access::FullScan, operation: "scan".into(), ..Step::default() }
}

fn found(kind: Kind, sql: &str, steps: Vec<Step>, tables: Vec<TableInfo>) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let query = runtime.block_on(Query::read(sql, kind, 10_000)).unwrap();
    let (plan, catalog) = (Plan { steps, ..Plan::default() }, Catalog { tables });
    findings(Case { kind, plan: &plan, shape: query.shape(), catalog: &catalog })
}

fn codes(findings: &[Finding]) -> Vec<(&str, Severity)> {
    findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

#[test]
fn small_tables_are_read_whole_without_a_word() {
    let tables = vec![table("t", 40.0, &["a int", "b int"], &[])];
    assert_eq!(codes(&found(Kind::Mysql, "SELECT a FROM t WHERE b = 1", vec![scan("t")], tables)), []);
}

#[test]
fn the_size_of_a_table_is_how_bad_it_is_to_read_it() {
    for (rows, severity) in [(500.0, Severity::Low), (5_000.0, Severity::Medium), (50_000.0, Severity::High)] {
        let tables = vec![table("t", rows, &["a int", "b int"], &[])];
        let findings = found(Kind::Postgres, "SELECT a FROM t WHERE b = 1", vec![scan("t")], tables);
        assert_eq!(codes(&findings), [("missing_index", severity)]);
    }
}

#[test]
fn an_index_that_is_there_is_not_asked_for_again() {
    let tables = vec![table("t", 50_000.0, &["a int", "b int"], &["b"])];
    let findings = found(Kind::Mysql, "SELECT a FROM t WHERE b = 1", vec![scan("t")], tables);
    assert_eq!(codes(&findings), [("index_not_used", Severity::Medium)]);
    assert_eq!(findings[0].statement.as_deref(), Some("ANALYZE TABLE t;"));
}

#[test]
fn the_inner_table_of_a_loop_wants_an_index_on_what_joins_it_and_the_outer_one_does_not() {
    let sql = "SELECT o.a FROM o JOIN i ON i.o_id = o.id WHERE o.a = 1";
    let tables = || vec![table("o", 9_000.0, &["id int", "a int"], &["a"]), table("i", 50_000.0, &["o_id int"], &[])];
    let steps = || vec![Step { access: Access::IndexLookup, ..scan("o") }, scan("i")];
    let findings = found(Kind::Mysql, sql, steps(), tables());
    assert_eq!(codes(&findings), [("missing_index", Severity::High)]);
    assert_eq!(findings[0].statement.as_deref(), Some("CREATE INDEX idx_i_o_id ON i (o_id);"));
    // Hashed on purpose, that is no fault.
    let hash = Step { operation: "Hash Join".into(), ..Step::default() };
    let findings = found(Kind::Postgres, sql, [vec![hash], steps()].concat(), tables());
    assert_eq!(codes(&findings), [("missing_index", Severity::Low)]);
}

#[test]
fn text_compared_with_a_number_is_named_where_the_column_is_converted() {
    let tables = || vec![table("t", 50_000.0, &["a int", "phone varchar(20)"], &["phone"])];
    let sql = "SELECT a FROM t WHERE phone = 4711";
    let findings = found(Kind::Mysql, sql, vec![scan("t")], tables());
    assert_eq!(findings[0].code, "type_mismatch");
    assert!(!found(Kind::Sqlite, sql, vec![scan("t")], tables()).iter().any(|finding| finding.code == "type_mismatch"));
}

#[test]
fn a_column_that_could_be_anybodys_is_no_proof_of_a_missing_join() {
    let tables = vec![table("a", 10.0, &["x int"], &[]), table("b", 10.0, &["y int"], &[])];
    let joined = found(Kind::Oracle, "SELECT 1 FROM a, b WHERE x = y", vec![], Vec::new());
    assert_eq!(codes(&joined), [], "nothing is known of the tables");
    let apart = found(Kind::Sqlite, "SELECT 1 FROM a, b WHERE x = 1", vec![], tables);
    assert_eq!(codes(&apart), [("cartesian_join", Severity::Medium)]);
    for joins in ["a NATURAL JOIN b", "a JOIN b USING (x)", "a JOIN b ON a.x = b.y"] {
        assert_eq!(codes(&found(Kind::Postgres, &format!("SELECT 1 FROM {joins}"), vec![], Vec::new())), [], "{joins}");
    }
}

#[test]
fn estimates_that_are_far_off_are_named_with_the_statement_that_gathers_statistics() {
    let step = Step { rows: Some(10.0), actual_rows: Some(40_000.0), access: Access::IndexRange, ..scan("T") };
    let tables = vec![table("T", 90_000.0, &["A number"], &["A"])];
    let findings = found(Kind::Oracle, "SELECT a FROM t WHERE a > 1", vec![step], tables);
    assert_eq!(codes(&findings), [("row_estimate", Severity::Medium)]);
    assert_eq!(findings[0].statement.as_deref(), Some("EXEC DBMS_STATS.GATHER_TABLE_STATS(USER, 'T');"));
}

#[test]
fn recommendations_are_the_first_things_to_do_each_once() {
    let tables = vec![table("t", 50_000.0, &["a int", "b int"], &[])];
    let step = Step { work: vec![Work::Sort], ..scan("t") };
    let findings = found(Kind::Sqlite, "SELECT * FROM t WHERE b = 1 ORDER BY a", vec![step], tables);
    let recommended = recommendations(&findings);
    let indexes: Vec<&String> = recommended.iter().filter(|one| one.starts_with("CREATE INDEX")).collect();
    assert_eq!(indexes.len(), 1, "{recommended:?}");
    assert_eq!(recommended[0], "CREATE INDEX idx_t_b_a ON t (b, a);");
}
