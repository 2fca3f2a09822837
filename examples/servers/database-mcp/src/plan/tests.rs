use serde_json::json;

use super::*;

fn told(plan: &Plan) -> Vec<String> {
    let line = |step: &Step| {
        let table = step.table.as_deref().unwrap_or("-");
        let index = step.index.as_deref().map(|index| format!(" by {index}")).unwrap_or_default();
        format!("{} {table} {:?}{index} {:?}", step.depth, step.access, step.work)
    };
    plan.steps.iter().map(line).collect()
}

#[test]
fn sqlite_tells_scans_searches_and_temporary_trees() {
    let row = |id, parent, detail: &str| sqlite::Row { id, parent, detail: detail.into() };
    let plan = sqlite::read(&[
        row(2, 0, "SCAN ows.t"),
        row(5, 0, "SEARCH u USING INDEX u_a (a=? AND b>?)"),
        row(6, 0, "SEARCH v USING INTEGER PRIMARY KEY (rowid=?)"),
        row(7, 0, "SEARCH w USING AUTOMATIC COVERING INDEX (a=?)"),
        row(9, 0, "CORRELATED SCALAR SUBQUERY 1"),
        row(10, 9, "SCAN x USING COVERING INDEX x_a"),
        row(12, 0, "USE TEMP B-TREE FOR ORDER BY"),
    ]);
    assert_eq!(
        told(&plan),
        [
            "0 t FullScan []",
            "0 u IndexRange by u_a []",
            "0 v Single by PRIMARY KEY []",
            "0 w IndexLookup [Covering, AutomaticIndex]",
            "0 - None [PerRow]",
            "1 x FullIndexScan by x_a [Covering]",
            "0 - None [Temporary, Sort]",
        ]
    );
}

/// As MySQL 8 writes it.
#[test]
fn mysql_tells_costs_and_nests_operations_around_tables() {
    let document = json!({ "query_block": {
        "select_id": 1,
        "cost_info": { "query_cost": "1034.75" },
        "ordering_operation": {
            "using_filesort": true,
            "using_temporary_table": true,
            "nested_loop": [
                { "table": { "table_name": "o", "access_type": "ALL", "possible_keys": ["PRIMARY"], "rows_examined_per_scan": 9945,
                    "filtered": "10.00", "cost_info": { "prefix_cost": "1008.25" }, "attached_condition": "(`o`.`status` = 'open')" } },
                { "table": { "table_name": "c", "access_type": "eq_ref", "key": "PRIMARY", "rows_examined_per_scan": 1, "using_index": true,
                    "cost_info": { "prefix_cost": "1034.75" },
                    "attached_subqueries": [{ "dependent": true, "query_block": { "select_id": 2,
                        "table": { "table_name": "i", "access_type": "ALL", "rows_examined_per_scan": 50 } } }] } },
                { "table": { "table_name": "x", "access_type": "ALL", "rows_examined_per_scan": 7, "using_join_buffer": "hash join" } },
                { "table": { "table_name": "<derived3>", "access_type": "ref", "key": "<auto_key0>",
                    "materialized_from_subquery": { "using_temporary_table": true, "query_block": { "select_id": 3,
                        "table": { "table_name": "z", "access_type": "range", "key": "z_a", "rows_examined_per_scan": 3 } } } } },
            ],
        },
    } });
    let plan = mysql::read(&document, Some(5.0));
    assert_eq!(plan.cost, Some(1034.75), "what the document says comes first");
    assert_eq!(
        told(&plan),
        [
            "0 - None [Sort, Temporary]",
            "1 o FullScan []",
            "1 c Single by PRIMARY [Covering]",
            "2 - None [PerRow]",
            "3 i FullScan []",
            "1 x FullScan [JoinBuffer]",
            "1 - IndexLookup []",
            "2 - None [Temporary]",
            "3 z IndexRange by z_a []",
        ]
    );
    assert_eq!(plan.steps[1].rows, Some(9945.0));
    assert_eq!(plan.steps[1].cost, Some(1008.25));
}

/// As MariaDB 10.11 wrote it.
#[test]
fn mariadb_nests_the_same_pieces_otherwise_and_tells_no_cost() {
    let document = json!({ "query_block": { "select_id": 1, "nested_loop": [
        { "read_sorted_file": { "filesort": { "sort_key": "b.v", "table": {
            "table_name": "b", "access_type": "ALL", "rows": 3000, "filtered": 100, "attached_condition": "b.a_id is not null" } } } },
        { "table": { "table_name": "a", "access_type": "eq_ref", "key": "PRIMARY", "rows": 1, "filtered": 100 } },
        { "block-nl-join": { "table": { "table_name": "c", "access_type": "ALL", "rows": 10 }, "buffer_type": "flat" } },
    ],
    "subqueries": [{ "expression_cache": { "state": "uninitialized", "query_block": { "select_id": 2, "nested_loop": [
        { "table": { "table_name": "d", "access_type": "ALL", "rows": 3000 } }] } } }],
    } });
    let plan = mysql::read(&document, Some(7207.999));
    assert_eq!(plan.cost, Some(7207.999), "what the server says of its last plan");
    assert_eq!(
        told(&plan),
        [
            "0 - None [Sort]",
            "1 b FullScan []",
            "0 a Single by PRIMARY []",
            "0 - None [JoinBuffer]",
            "1 c FullScan []",
            "0 - None [PerRow]",
            "1 d FullScan []",
        ]
    );
}

/// As MariaDB 10.11 wrote them.
#[test]
fn conditions_that_are_no_json_are_read_as_they_stand() {
    let text = r#"{
  "query_block": {
    "select_id": 1,
    "table": {
      "table_name": "a",
      "possible_keys": ["x", "y"],
      "attached_condition": "a.d = 'it\'s' or a.d = 'say "hi", "ho"' or a.d = 'back\\slash	tab'",
      "rows": 2
    }
  }
}"#;
    let document = mysql::parse(text).unwrap();
    let table = &document["query_block"]["table"];
    assert_eq!(table["attached_condition"], r#"a.d = 'it\'s' or a.d = 'say "hi", "ho"' or a.d = 'back\\slash	tab'"#);
    assert_eq!(table["possible_keys"], json!(["x", "y"]));
    assert!(mysql::parse("{ no json").is_err());
}

#[test]
fn mariadb_tells_what_it_measured() {
    let document = json!({ "query_block": { "select_id": 1, "r_loops": 1, "r_total_time_ms": 2.5, "nested_loop": [
        { "table": { "table_name": "b", "access_type": "ALL", "r_loops": 1, "rows": 10, "r_rows": 3000 } }] } });
    let plan = mysql::read(&document, None);
    assert_eq!((plan.actual_ms, plan.steps[0].actual_rows, plan.steps[0].loops), (Some(2.5), Some(3000.0), Some(1.0)));
}

#[test]
fn postgres_tells_scans_sorts_and_subplans() {
    let document = json!([{ "Plan": {
        "Node Type": "Sort", "Total Cost": 123.4, "Plan Rows": 50, "Sort Key": ["t.a"], "Sort Space Type": "Disk",
        "Plans": [{ "Node Type": "Nested Loop", "Join Type": "Left", "Total Cost": 100.0, "Plan Rows": 50, "Plans": [
            { "Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Total Cost": 80.0, "Plan Rows": 50,
              "Filter": "((status = 'open') AND (SubPlan 1))", "Actual Rows": 10, "Actual Loops": 1, "Rows Removed by Filter": 99990,
              "Plans": [{ "Node Type": "Index Only Scan", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1",
                "Index Name": "u_a", "Relation Name": "u", "Alias": "u", "Index Cond": "(a = t.a)", "Plan Rows": 1 }] },
            { "Node Type": "Index Scan", "Index Name": "v_b", "Relation Name": "v", "Alias": "v", "Index Cond": "(b > 3)", "Plan Rows": 9 },
        ] }] }, "Execution Time": 12.5 }]);
    let plan = postgres::read(&document);
    assert_eq!((plan.cost, plan.rows, plan.actual_ms), (Some(123.4), Some(50.0), Some(12.5)));
    assert_eq!(
        told(&plan),
        [
            "0 - None [SortOnDisk]",
            "1 - None []",
            "2 t FullScan [FiltersMuch]",
            "3 u IndexLookup by u_a [Covering, PerRow]",
            "2 v IndexRange by v_b []",
        ]
    );
    assert_eq!(plan.steps[1].operation, "Left Nested Loop");
}

#[test]
fn oracle_tells_rows_of_its_plan_table() {
    let row = |depth, operation: &str, options: &str, kind: &str, name: &str, alias: &str| oracle::Row {
        depth,
        operation: operation.into(),
        options: Some(options.into()),
        object_type: Some(kind.into()).filter(|kind: &String| !kind.is_empty()),
        object_name: Some(name.into()).filter(|name: &String| !name.is_empty()),
        object_alias: Some(alias.into()).filter(|alias: &String| !alias.is_empty()),
        cost: Some(7.0),
        ..oracle::Row::default()
    };
    let plan = oracle::read(&[
        row(0, "SELECT STATEMENT", "", "", "", ""),
        row(1, "SORT", "ORDER BY", "", "", ""),
        row(2, "MERGE JOIN", "CARTESIAN", "", "", ""),
        row(3, "TABLE ACCESS", "FULL", "TABLE", "ORDERS", "\"O\"@\"SEL$1\""),
        row(3, "TABLE ACCESS", "BY INDEX ROWID BATCHED", "TABLE", "ITEMS", "\"I\"@\"SEL$1\""),
        row(4, "INDEX", "RANGE SCAN", "INDEX", "ITEMS_ORDER", "\"I\"@\"SEL$1\""),
    ]);
    assert_eq!(plan.cost, Some(7.0));
    assert_eq!(
        told(&plan),
        [
            "0 - None []",
            "1 - None [Sort]",
            "2 - None [JoinBuffer]",
            "3 O FullScan []",
            "3 I IndexLookup []",
            "4 I IndexRange by ITEMS_ORDER []",
        ]
    );
}

#[test]
fn a_plan_without_end_is_cut() {
    let row = |id| sqlite::Row { id, parent: 0, detail: format!("SCAN t{id}") };
    let plan = sqlite::read(&(0..1_000).map(row).collect::<Vec<_>>());
    assert_eq!(plan.steps.len(), MAX_STEPS);
    assert!(plan.is_cut);
}
