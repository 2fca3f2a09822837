//! What becomes of it when servers misbehave: every case is a row of `tests/CHAOS.md`, which says what whoever
//! asks sees and what the ledger says, and at whose end the server is usable again.

use omni_tests::chaos::table;

/// Makes a test of each case, and the list of their names.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),+];

        mod case {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(stringify!($name)).await;
                }
            )+
        }
    };
}

mod breaker;
mod child;
mod http;

#[test]
fn the_table_names_exactly_the_cases_that_run() {
    let run: Vec<&str> = [child::NAMES, http::NAMES, breaker::NAMES].concat();
    let told: Vec<String> = table::rows().into_iter().map(|row| row.name).collect();
    assert_eq!(told, run);
    assert!(run.len() >= 25);
}
