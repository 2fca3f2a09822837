use proptest::prelude::*;

use super::*;

fn read_as(text: &str, kind: Kind) -> Result<Query, Refusal> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(Query::read(text, kind, 64 << 10))
}

fn refused(text: &str, kind: Kind) -> String {
    read_as(text, kind).map(|query| query.sql).unwrap_err().to_string()
}

#[test]
fn a_query_is_passed_on_as_it_was_understood() {
    let passed = |text: &str, kind| read_as(text, kind).unwrap().sql;
    for kind in Kind::ALL {
        assert_eq!(passed("select a from t where b = 1;", kind), "SELECT a FROM t WHERE b = 1");
        let union = "WITH x AS (SELECT 1 AS a) SELECT a FROM x UNION ALL SELECT b FROM t";
        assert_eq!(passed(union, kind), union);
    }
    assert_eq!(passed("SELECT a -- why\n FROM t /* not */", Kind::Postgres), "SELECT a FROM t");
    assert_eq!(passed("EXPLAIN ANALYZE SELECT 1", Kind::Mysql), "SELECT 1");
    assert_eq!(passed(r"SELECT 'a\\b', 'it''s'", Kind::Mysql), r"SELECT 'a\\b', 'it''s'");
    assert_eq!(passed("SELECT a FROM t WHERE b = ?", Kind::Sqlite), "SELECT a FROM t WHERE b = ?");
    assert_eq!(read_as("SELECT a FROM t WHERE b = $2 AND c = $1", Kind::Postgres).unwrap().placeholders(), 2);
}

#[test]
fn what_writes_is_refused_by_its_tree() {
    for kind in Kind::ALL {
        for (text, why) in [
            ("DROP TABLE t", "drops something (DROP)"),
            ("DELETE FROM t", "deletes rows (DELETE)"),
            ("INSERT INTO t VALUES (1)", "inserts rows (INSERT)"),
            ("UPDATE t SET a = 1", "changes rows (UPDATE)"),
            ("TRUNCATE TABLE t", "deletes rows (TRUNCATE)"),
            ("CREATE TABLE t (a INT)", "creates something (CREATE)"),
            ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "deletes rows (DELETE)"),
            ("WITH x AS (SELECT 1) DELETE FROM t", "deletes rows (DELETE)"),
            ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", "inserts rows (INSERT)"),
            ("SELECT * FROM (WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM x) y", "changes rows (UPDATE)"),
            ("EXPLAIN DELETE FROM t", "deletes rows (DELETE)"),
            ("SELECT * INTO copy FROM t", "SELECT … INTO"),
            ("SELECT * FROM t FOR UPDATE", "FOR UPDATE"),
            ("SELECT * FROM t WHERE a IN (SELECT b FROM u FOR UPDATE)", "FOR UPDATE"),
        ] {
            let said = refused(text, kind);
            assert!(said.contains(why), "{kind}: {text}: {said}");
        }
    }
}

#[test]
fn several_statements_are_refused_however_they_hide() {
    for kind in Kind::ALL {
        assert!(refused("SELECT 1; SELECT 2", kind).contains("2 statements"), "{kind}");
        assert!(refused("SELECT 1; DROP TABLE t; -- x", kind).contains("2 statements"), "{kind}");
        assert!(refused("", kind).contains("there is no query"));
        assert!(refused(" -- nothing", kind).contains("there is no query"));
    }
    // MySQL runs what stands in such a comment.
    assert!(read_as("SELECT 1 /*!50000 ; DROP TABLE t */", Kind::Mysql).is_err());
    assert!(read_as("SELECT a FROM t INTO OUTFILE '/tmp/x'", Kind::Mysql).is_err());
    assert!(read_as("SELECT a INTO OUTFILE '/tmp/x' FROM t", Kind::Mysql).is_err());
    assert!(read_as("SELECT a INTO DUMPFILE '/tmp/x' FROM t", Kind::Mysql).is_err());
}

/// What the parser takes for one text and the database for the end of one.
#[test]
fn literals_that_end_elsewhere_for_the_database_are_refused() {
    for (text, kind) in [
        (r"SELECT x'\' UNION SELECT pg_sleep(9) --'", Kind::Postgres),
        (r"SELECT N'\' UNION SELECT 1 --'", Kind::Postgres),
        (r"SELECT N'\' UNION SELECT 1 FROM dual --'", Kind::Oracle),
        (r"SELECT x'\' UNION SELECT 1 --'", Kind::Sqlite),
        (r"SELECT U&'\0027 UNION SELECT 1 --'", Kind::Postgres),
        ("SELECT $$ UNION SELECT 1 $$", Kind::Oracle),
        ("SELECT 'a\0' UNION SELECT 1 --'", Kind::Postgres),
    ] {
        assert!(read_as(text, kind).is_err(), "{kind}: {text}");
    }
    assert!(read_as("SELECT x'4a', b'101', N'a'", Kind::Postgres).is_ok());
    assert!(read_as("SELECT q'[it''s]' FROM dual", Kind::Oracle).is_ok());
}

#[test]
fn functions_that_do_more_than_compute_are_refused() {
    for (text, kind) in [
        ("SELECT pg_sleep(60)", Kind::Postgres),
        ("SELECT * FROM pg_ls_dir('/')", Kind::Postgres),
        ("SELECT * FROM t WHERE a = (SELECT pg_catalog.pg_terminate_backend(1)::int)", Kind::Postgres),
        ("SELECT set_config('transaction_read_only', 'off', false)", Kind::Postgres),
        ("SELECT * FROM dblink('x', 'DELETE FROM t') AS r(a int)", Kind::Postgres),
        ("SELECT query_to_xml('DELETE FROM t', true, true, '')", Kind::Postgres),
        ("SELECT LOAD_FILE('/etc/passwd')", Kind::Mysql),
        ("SELECT 1 FROM t ORDER BY SLEEP(10)", Kind::Mysql),
        ("SELECT load_extension('x')", Kind::Sqlite),
        ("SELECT utl_http.request('http://x') FROM dual", Kind::Oracle),
    ] {
        let said = refused(text, kind);
        assert!(said.contains("does more than to compute"), "{text}: {said}");
    }
}

#[test]
fn hints_may_not_set_variables_and_placeholders_need_values_where_plans_depend_on_them() {
    let hint = "SELECT /*+ SET_VAR(max_execution_time=0) */ a FROM t";
    assert!(refused(hint, Kind::Mysql).contains("SET_VAR"));
    assert!(read_as("SELECT /*+ NO_INDEX(t) */ a FROM t", Kind::Mysql).is_ok());
    assert!(refused("SELECT a FROM t WHERE b = ?", Kind::Mysql).contains("put a value in the place"));
    assert!(refused("SELECT a FROM t WHERE b = $1000", Kind::Postgres).contains("put a value in the place"));
}

#[test]
fn long_and_deep_queries_are_read_or_refused_and_end_nothing() {
    let chain = format!("SELECT {}", vec!["1"; MAX_TOKENS / 2 - 1].join("+"));
    assert!(read_as(&chain, Kind::Sqlite).is_ok());
    let longer = format!("SELECT {}", vec!["1"; MAX_TOKENS].join("+"));
    assert!(refused(&longer, Kind::Sqlite).contains("too long"));
    let deep = format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(refused(&deep, Kind::Postgres).contains("not a query"), "the parser has a limit of its own");
    assert!(refused(&"x".repeat(70_000), Kind::Mysql).contains("too long"));
}

#[test]
fn tables_conditions_and_order_are_read_off_the_tree() {
    let text = "SELECT * FROM ows.merchant_statement s JOIN merchant m ON m.id = s.merchant_id
        WHERE s.contract_id = 12313 AND lower(m.name) LIKE '%shop' AND (s.status = 'open' OR s.status = 'paid')
        ORDER BY s.posting_date LIMIT 5";
    let query = read_as(text, Kind::Sqlite).unwrap();
    let [select] = query.shape().selects.as_slice() else { panic!("one SELECT") };
    let tables: Vec<_> = query.shape().tables().iter().map(|table| table.name.clone()).collect();
    assert_eq!(tables, ["merchant_statement", "merchant"]);
    assert_eq!(select.factors[0].table.as_ref().unwrap().schema.as_deref(), Some("ows"));
    assert!(select.has_star && select.is_limited && !select.is_grouped);
    assert_eq!(select.order_by[0].name, "posting_date");
    let told: Vec<_> = select
        .predicates
        .iter()
        .map(|one| (one.column.name.as_str(), one.op, one.within.as_deref(), one.alternative_of))
        .collect();
    assert_eq!(
        told,
        [
            ("id", Op::Equal, None, None),
            ("merchant_id", Op::Equal, None, None),
            ("contract_id", Op::Equal, None, None),
            ("name", Op::Contains, Some("lower"), None),
            ("status", Op::Equal, None, Some(1)),
            ("status", Op::Equal, None, Some(1)),
        ]
    );
}

#[test]
fn names_are_folded_as_the_database_folds_them_and_ctes_are_no_tables() {
    let tables = |text: &str, kind| {
        let query = read_as(text, kind).unwrap();
        query.shape().tables().iter().map(|table| table.name.clone()).collect::<Vec<_>>()
    };
    let text = "WITH Recent AS (SELECT * FROM Orders) SELECT * FROM recent r, \"Items\" i";
    assert_eq!(tables(text, Kind::Postgres), ["Items", "orders"]);
    assert_eq!(tables(text, Kind::Oracle), ["Items", "ORDERS"]);
}

/// Pieces of which statements are made, harmless and not.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "SELECT",
        "a",
        "FROM",
        "t",
        "WHERE",
        "1",
        "=",
        ";",
        "DELETE",
        "DROP TABLE t",
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "(",
        ")",
        ",",
        "'",
        "\"",
        "`",
        "--",
        "/*",
        "*/",
        "/*!",
        "#",
        "\\",
        "\n",
        "$$",
        "WITH x AS",
        "UNION",
        "INTO",
        "OUTFILE",
        "FOR UPDATE",
        "EXPLAIN",
        "ANALYZE",
        "x'",
        "E'",
        "q'[",
        "||",
        "::int",
        "@v",
        ":=",
        "?",
        "$1",
        ":p",
        "RETURNING *",
        "''",
        "\\'",
        "CALL p()",
        "SET a = 1",
        "COMMIT",
        "pg_sleep(9)",
        "AS",
        "\u{1}",
        "é",
        ".",
        "*",
        "LIMIT 1",
    ];
    prop_oneof![4 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => "[ -~]{0,6}"]
}

/// Texts that would like to end before they do.
fn literal() -> impl Strategy<Value = String> {
    let pieces =
        ["a", "''", r"\\", r"\", r"\'", "\"", "`", ";", "--", "/*", "*/", "$$", " UNION SELECT pg_sleep(9)", "]", "\n"];
    let inside = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..6).prop_map(|pieces| pieces.concat());
    (prop::sample::select(vec!["", "", "E", "N", "q", "x", "b", "U&", "r", "_utf8", "DATE "]), inside)
        .prop_map(|(before, inside)| format!("{before}'{inside}'"))
}

/// Queries that are nearly good, with something in one of their places.
fn nearly_good() -> impl Strategy<Value = String> {
    let ctes = [
        "SELECT 1 AS a",
        "SELECT b FROM t",
        "SELECT c AS a FROM u",
        "DELETE FROM t RETURNING *",
        "INSERT INTO t VALUES (1) RETURNING *",
        "UPDATE t SET a = 1 RETURNING *",
        "SELECT a FROM t FOR UPDATE",
        "VALUES (1)",
    ];
    let columns =
        ["a", "a, b", "count(*)", "*", "a INTO u", "pg_sleep(9)", "(SELECT max(a) FROM t)", "a INTO OUTFILE '/x'"];
    let ends = [
        "",
        " FOR UPDATE",
        "; DROP TABLE t",
        "; -- x",
        " -- x\n",
        " /* ; */",
        " UNION DELETE FROM t",
        " INTO OUTFILE '/x'",
        " /*! ; DROP TABLE t */",
        " ORDER BY a",
        " # x\n",
        " LIMIT 1; DELETE FROM t",
    ];
    let of = |list: &[&'static str]| prop::sample::select(list.to_vec());
    let alias = (of(&["", " AS ", " "]), literal(), of(&["'", "\"", "`"])).prop_map(|(word, text, quote)| {
        if word.is_empty() { String::new() } else { format!("{word}{}", text.replace('\'', quote)) }
    });
    (of(&ctes), of(&columns), alias, literal(), of(&ends)).prop_map(|(cte, columns, alias, literal, end)| {
        format!("WITH x AS ({cte}) SELECT {columns}{alias} FROM t WHERE a = {literal} AND b = 1{end}")
    })
}

/// Whatever passes is one statement that only reads, and reads back as itself.
fn only_reads(text: &str, kind: Kind) -> Result<(), TestCaseError> {
    let Ok(query) = super::read(text, kind) else { return Ok(()) };
    let again = Parser::new(&*kind.dialect())
        .with_options(ParserOptions::new().with_unescape(false))
        .try_with_sql(&query.sql)
        .and_then(|mut parser| parser.parse_statements())
        .unwrap();
    prop_assert_eq!(again.len(), 1, "{}", query.sql);
    prop_assert!(matches!(again[0], Statement::Query(_)), "{}", query.sql);
    let outside = without_texts(&query.sql, kind).to_uppercase();
    for writes in
        ["DELETE FROM", "DROP TABLE", "INSERT INTO", "UPDATE T", "FOR UPDATE", "CALL P", "PG_SLEEP(", " INTO ", ";"]
    {
        prop_assert!(!outside.contains(writes), "{}", query.sql);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_but_one_query_passes(pieces in prop::collection::vec(piece(), 0..24), spaced in any::<bool>(), at in 0_usize..4) {
        only_reads(&pieces.join(if spaced { " " } else { "" }), Kind::ALL[at])?;
    }

    #[test]
    fn nothing_but_one_query_passes_of_what_is_nearly_good(text in nearly_good(), at in 0_usize..4) {
        only_reads(&text, Kind::ALL[at])?;
    }
}

/// A statement without what stands in quotes, as a database of the kind reads them.
fn without_texts(sql: &str, kind: Kind) -> String {
    let (mut outside, mut rest) = (String::new(), sql);
    while let Some(first) = rest.chars().next() {
        let escapes = kind == Kind::Mysql || (kind == Kind::Postgres && outside.ends_with(['e', 'E']));
        let close = match first {
            '\'' if kind == Kind::Oracle && outside.ends_with(['q', 'Q']) => match rest[1..].chars().next() {
                Some('[') => "]'".to_owned(),
                Some('(') => ")'".to_owned(),
                other => format!("{}'", other.unwrap_or_default()),
            },
            '\'' | '"' | '`' => first.to_string(),
            '[' if kind == Kind::Sqlite => "]".to_owned(),
            '$' if rest.starts_with("$$") => "$$".to_owned(),
            _ => {
                outside.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        // The sign that is to end it stands behind the quote too.
        let opening = first.len_utf8() + if close.len() > 1 { close.len() - 1 } else { 0 };
        rest = after_text(rest.get(opening..).unwrap_or(""), &close, escapes && first != '`');
    }
    outside
}

/// What follows a text, whose inside this begins with.
fn after_text<'a>(mut rest: &'a str, close: &str, escapes: bool) -> &'a str {
    while !rest.is_empty() && !rest.starts_with(close) {
        let mut chars = rest.chars();
        if chars.next() == Some('\\') && escapes {
            chars.next();
        }
        rest = chars.as_str();
    }
    rest.strip_prefix(close).unwrap_or("")
}
