//! Rows are made of the record as it was before it was sealed: they say what its bytes say.

use proptest::{collection::vec, option, prelude::*};
use serde_json::Value;

use super::*;
use crate::{
    audit::entry::Entries,
    config::StoreContent,
    ledger::{TurnRecord, written},
    redact::Redactor,
};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(Outcome::ALL.to_vec())
}

fn call() -> impl Strategy<Value = CallRecord> {
    let words = (any::<String>(), any::<String>(), option::of(any::<String>()), option::of(any::<String>()));
    let numbers = (any::<u64>(), option::of(any::<u64>()), option::of(any::<u64>()), any::<bool>());
    (words, numbers, value(), outcome()).prop_map(|((server, tool, rule, error), numbers, arguments, outcome)| {
        let (duration_ms, bytes, cost, unsent) = numbers;
        let cost = cost.map(NanoUsd);
        CallRecord {
            rule,
            error,
            duration_ms,
            bytes,
            cost,
            unsent,
            ..CallRecord::new(&server, &tool, arguments, outcome)
        }
    })
}

fn asked() -> impl Strategy<Value = AskRecord> {
    let words = (any::<String>(), any::<String>(), option::of(any::<String>()), option::of(any::<String>()));
    let tools = vec("[a-z]{0,3}[.][a-z]{0,3}", 0..3);
    (words, tools, option::of(any::<u64>()), any::<u32>(), outcome()).prop_map(
        |(words, tools, cost, count, outcome)| {
            let (question, answer, error, model) = words;
            let (usage, cost) = (Usage { input: count.into(), ..Usage::default() }, cost.map(NanoUsd));
            let turns = vec![TurnRecord::new(usage, cost, 3)];
            let (tools_used, servers_used) = (tools.clone(), tools.into_iter().collect());
            let known =
                AskRecord { answer, error, model, iterations: count, usage, cost, ..AskRecord::new(question, outcome) };
            AskRecord { turns, tools_used, servers_used, ..known }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let administered = (any::<String>(), any::<String>(), value(), option::of(any::<String>()));
    prop_oneof![
        call().prop_map(Event::ToolCall),
        call().prop_map(Event::DirectCall),
        call().prop_map(Event::Started),
        asked().prop_map(|ask| Event::Ask(Box::new(ask))),
        administered.prop_map(|(action, target, details, error)| {
            Event::Admin(AdminRecord { details, error, ..AdminRecord::new(action, target) })
        }),
    ]
}

proptest! {
    #[test]
    fn rows_of_a_record_say_what_its_bytes_say(event in event(), is_known in any::<bool>()) {
        let record = Record::new(Uuid::now_v7(), is_known.then(party), event);
        let (said, bytes) = written(record, &Redactor::new(), StoreContent::Full).unwrap();
        let (rows, told) = (Entries::of(&said), Entries::of(&Record::read(&bytes).unwrap()));
        prop_assert_eq!((rows.log.is_some(), rows.call.is_some()), (told.log.is_some(), told.call.is_some()));
        prop_assert!(rows.log.zip(told.log).is_none_or(|(row, record)| row.says(&record)));
        prop_assert!(rows.call.zip(told.call).is_none_or(|(row, record)| row.says(&record)));
    }
}
