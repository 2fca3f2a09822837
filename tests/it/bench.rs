//! `omni-bench` against the program: it measures everything, and says what it measured. How fast is nobody's business here.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const OMNI: &str = env!("CARGO_BIN_EXE_omni-under-test");

/// What it prints, and the JSON that it writes.
fn measured(args: &[&str], code: i32) -> (String, Value) {
    let dir = TempDir::new().unwrap();
    let json = dir.path().join("figures.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-bench-under-test"));
    let ran = command.args(args).args(["--quick", "--omni", OMNI, "--json"]).arg(&json).output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(code), "{out}\n{}", String::from_utf8_lossy(&ran.stderr));
    (out, serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap())
}

#[test]
fn a_short_run_measures_every_way_and_passes_each_call_on_once_on_the_session_that_is_there() {
    let (out, document) = measured(&[], 0);
    let rows = document["figures"]["measured"]["rows"].as_array().unwrap();
    let has = |what: &str, at_once: u64| {
        let row = rows.iter().find(|row| row["what"] == what && row["at_once"] == at_once);
        let row = row.unwrap_or_else(|| panic!("no {what} at {at_once}: {out}"));
        assert!(row["per_second"].as_f64().unwrap() > 0.0 && row["p50_us"].as_f64() <= row["p99_us"].as_f64(), "{row}");
        assert!(out.contains(what), "{out}");
    };
    for at_once in [1, 16, 64, 256] {
        for what in ["straight", "gateway, session", "gateway, 2026-07-28", "/chat/ask, one tool call"] {
            has(what, at_once);
        }
    }
    let alone = ["model's own first text", "first text of a stream", "list of 1,000 tools, session"];
    alone.into_iter().chain(["list of 1,000 tools, 2026-07-28"]).for_each(|what| has(what, 1));

    let seen = &document["figures"]["measured"]["seen"];
    assert!(seen["results"].as_u64() > Some(0), "{seen}");
    assert_eq!((&seen["calls"], &seen["sessions"]), (&seen["results"], &0.into()), "{seen}");

    let gates = document["figures"]["gates"].as_array().unwrap();
    // Without nginx there is nothing to compare with, and a second program was not named.
    let unmeasured = gates.iter().filter(|gate| gate["measured"].is_null());
    let unmeasured: Vec<&str> = unmeasured.map(|gate| gate["what"].as_str().unwrap()).collect();
    assert!(unmeasured.iter().all(|what| what.contains("nginx") || what.contains("Swagger")), "{unmeasured:?}");
    assert!(gates.iter().all(|gate| out.contains(gate["what"].as_str().unwrap())), "{out}");
    assert!(gates.len() > 20 && gates.iter().any(|gate| gate["gate_held"].is_boolean()), "{out}");
    let taken = ["machine", "date", "commit", "command"].map(|field| document["taken"][field].as_str().unwrap().len());
    assert!(taken.iter().all(|length| *length > 0), "{document}");
}

#[test]
fn a_model_that_searches_500_tools_reads_a_twentieth_and_a_threads_second_question_is_nearly_all_cached() {
    let (out, document) = measured(&["tokens"], 0);
    let figures = &document["figures"];
    assert!(figures["fewer_a_turn"].as_f64().unwrap() >= 0.95, "{out}");
    assert!(figures["least_cached"].as_f64().unwrap() >= 0.9, "{out}");
    assert_eq!(figures["counted"].as_array().unwrap().len(), 4);
    let (_, again) = measured(&["tokens"], 0);
    assert_eq!(&again["figures"], figures, "the same is counted every time");
}

#[test]
fn calls_cost_is_told_beside_that_where_there_is_more_of_everything() {
    let (out, document) = measured(&["growth", "--rows", "200", "--people", "50", "--servers", "5"], 0);
    let grown = document["figures"]["grown"].as_array().unwrap();
    let whats: Vec<&str> = grown.iter().map(|grown| grown["what"].as_str().unwrap()).collect();
    let expected = ["requests in the ledger", "people", "servers"].map(|what| [what, what]);
    assert_eq!(whats, expected.as_flattened(), "{out}");
    assert!(grown.iter().all(|grown| grown["many"]["per_second"].as_f64() > Some(0.0)), "{out}");
}

#[test]
fn a_markdown_file_keeps_what_else_is_in_it_and_has_each_section_once() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("RESULTS.md");
    std::fs::write(&file, "# Measured\n\nBy hand.\n").unwrap();
    for _ in 0..2 {
        measured(&["tokens", "--markdown", file.to_str().unwrap()], 0);
    }
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("# Measured\n\nBy hand.\n"), "{text}");
    assert_eq!(text.matches("## Tokens\n").count(), 1, "{text}");
    assert!(text.contains("| tools | model reads |") && text.contains("commit "), "{text}");
}
