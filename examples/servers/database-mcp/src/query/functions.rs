//! Functions that do more than to compute: they wait, lock, read or write files, talk to others or run SQL.

/// By their whole name.
const NAMES: &[&str] = &[
    "benchmark",
    "currval",
    "database_to_xml",
    "edit",
    "get_lock",
    "is_free_lock",
    "is_used_lock",
    "load_extension",
    "load_file",
    "master_gtid_wait",
    "master_pos_wait",
    "nextval",
    "pg_cancel_backend",
    "pg_logical_emit_message",
    "pg_notify",
    "pg_promote",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_stat_file",
    "pg_terminate_backend",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "readfile",
    "release_all_locks",
    "release_lock",
    "schema_to_xml",
    "set_config",
    "setval",
    "sleep",
    "source_pos_wait",
    "sys_eval",
    "sys_exec",
    "table_to_xml",
    "wait_for_executed_gtid_set",
    "writefile",
    "ws_parse",
];

/// By how their name begins.
const BEGINNINGS: &[&str] = &[
    "dblink",
    "dbms_",
    "lo_",
    "pg_advisory_",
    "pg_create_",
    "pg_drop_",
    "pg_file_",
    "pg_logical_slot_",
    "pg_ls_",
    "pg_read_",
    "pg_replication_",
    "pg_sleep",
    "pg_switch_",
    "pg_try_advisory_",
    "pg_wal_replay_",
    "utl_",
];

/// Whether a function, or the package that it is in, is one of them. `name` is its parts in lower case.
pub(super) fn does_more(name: &[String]) -> bool {
    name.iter().any(|part| {
        NAMES.binary_search(&part.as_str()).is_ok() || BEGINNINGS.iter().any(|beginning| part.starts_with(beginning))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn a_function_is_known_by_its_name_its_beginning_and_its_package() {
        let does = |name: &str| does_more(&name.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert!(does("pg_sleep") && does("pg_sleep_for") && does("load_file") && does("dbms_lock.sleep"));
        assert!(does("pg_catalog.set_config"));
        assert!(!does("lower") && !does("count") && !does("pg_typeof") && !does("local"));
    }
}
