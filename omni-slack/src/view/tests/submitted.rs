use super::*;

fn state(fields: &[(usize, Value)]) -> Value {
    let fields = fields.iter().map(|(at, element)| (format!("field:{at}"), json!({ "value": element })));
    Value::Object(fields.collect())
}

fn wanted(question: &Elicitation) -> &omni_core::elicit::Form {
    match &question.wanted {
        omni_core::elicit::Wanted::Form(form) => form,
        other => panic!("{other:?}"),
    }
}

/// The number of each field by its name: a schema's properties have no order of their own.
fn number(question: &Elicitation, name: &str) -> usize {
    wanted(question).fields.iter().position(|field| field.name == name).unwrap()
}

#[test]
fn what_is_entered_becomes_what_the_form_wants() {
    let question = form();
    let n = |name| number(&question, name);
    let state = state(&[
        (n("name"), json!({ "type": "plain_text_input", "value": "nightly" })),
        (n("mail"), json!({ "type": "email_text_input", "value": null })),
        (n("day"), json!({ "type": "datepicker", "selected_date": "2026-11-28" })),
        (n("at"), json!({ "type": "datetimepicker", "selected_date_time": 1_780_000_000 })),
        (n("size"), json!({ "type": "number_input", "value": "4" })),
        (n("ratio"), json!({ "type": "number_input", "value": "0.5" })),
        (n("sure"), json!({ "type": "radio_buttons", "selected_option": { "value": "true" } })),
        (n("zone"), json!({ "type": "radio_buttons", "selected_option": { "value": "1" } })),
        (n("place"), json!({ "type": "static_select", "selected_option": { "value": "11" } })),
        (n("parts"), json!({ "type": "checkboxes", "selected_options": [{ "value": "0" }, { "value": "2" }] })),
        (n("rows"), json!({ "type": "multi_static_select", "selected_options": [] })),
    ]);
    let values = elicit::values(wanted(&question), &state).unwrap();
    let expected = json!({ "name": "nightly", "day": "2026-11-28", "at": "2026-05-28T20:26:40Z", "size": 4, "ratio": 0.5,
        "sure": true, "zone": "b", "place": "c11", "parts": ["x", "z"] });
    assert_eq!(Value::Object(values), expected);
}

#[test]
fn what_does_not_fit_is_said_at_its_field() {
    let question = form();
    let n = |name| number(&question, name);
    let state = state(&[
        (n("name"), json!({ "type": "plain_text_input", "value": "x" })),
        (n("size"), json!({ "type": "number_input", "value": "12" })),
        (n("place"), json!({ "type": "static_select", "selected_option": { "value": "99" } })),
    ]);
    let wrong = elicit::values(wanted(&question), &state).unwrap_err();
    let mut named: Vec<String> =
        ["name", "size", "place", "zone"].iter().map(|name| format!("field:{}", n(name))).collect();
    named.sort();
    assert_eq!(wrong.keys().cloned().collect::<Vec<_>>(), named);
    assert_eq!(wrong[&format!("field:{}", n("zone"))], "This is needed.");
    assert!(wrong.values().all(|why| !why.is_empty() && why.chars().count() <= 300));
}

#[test]
fn many_long_choices_are_typed_where_a_modal_has_no_room_for_them() {
    let choices: Vec<String> = (0..200).map(|n| format!("{n} {}", "choice ".repeat(20))).collect();
    let fields = (0..50).map(|n| (format!("f{n}"), json!({ "type": "string", "enum": choices })));
    let schema = json!({ "type": "object", "properties": Value::Object(fields.collect()) });
    // So much is said in short where a server may say so much.
    let few: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let small = json!({ "type": "object", "properties": Value::Object((0..50).map(|n| (format!("f{n}"), json!({ "type": "string", "enum": few }))).collect()) });
    assert!(schema.to_string().len() > 64 * 1024);
    let question = question("s", "t", &json!({ "message": "m", "requestedSchema": small }));
    let modal = elicit::modal(&question, "").unwrap();
    check::view(&modal);
    let kinds: Vec<&str> =
        modal["blocks"].as_array().unwrap().iter().filter_map(|block| block["element"]["type"].as_str()).collect();
    assert!(kinds.contains(&"plain_text_input") && kinds.contains(&"static_select"));
    let typed = kinds.iter().position(|kind| *kind == "plain_text_input").unwrap();
    let state = state(&[(typed, json!({ "type": "plain_text_input", "value": "7" }))]);
    let values = elicit::values(wanted(&question), &state).unwrap();
    assert_eq!(values.values().next(), Some(&json!("7")));
}

#[test]
fn a_schedule_is_read_and_its_faults_are_told() {
    let text = |value: &str| json!({ "value": { "value": value } });
    let mut values = json!({
        "question": text("Cost?"), "when": { "value": { "selected_option": { "value": "custom" } } },
        "cron": text("30 8 * * 1-5"), "zone": text("UTC"), "channel": { "value": { "selected_conversation": "C0REPORTS" } },
        "empty": { "value": { "selected_options": [{ "value": "skip" }] } }, "cost": text("0.5"),
    });
    let request = schedule::submitted(&values).unwrap();
    assert_eq!((request.cron.as_str(), request.skip_empty, request.max_cost_usd), ("30 8 * * 1-5", true, Some(0.5)));
    values["cron"] = text("every day");
    values["channel"] = json!({});
    assert_eq!(schedule::submitted(&values).unwrap_err().into_keys().collect::<Vec<_>>(), ["channel", "cron"]);
}

#[test]
fn reasons_questions_and_preferences_are_read() {
    let text = |value: &str| json!({ "value": { "value": value } });
    assert_eq!(confirm::reason(&json!({ "reason": text(" too late ") })), "too late");
    let complaint = feedback::submitted(
        &json!({ "reason": { "value": { "selected_option": { "value": "slow" } } }, "comment": text("") }),
    );
    assert_eq!(complaint, feedback::Complaint { reason: Some("slow".into()), comment: None });
    assert_eq!(shortcut::submitted(&json!({ "question": text("why?") })), Some(("why?".into(), false)));
    assert_eq!(shortcut::submitted(&json!({ "question": text(" ") })), None);
    let before = home::Preferences::default();
    let chosen = json!({ "action_id": ids::VERBOSITY, "selected_option": { "value": "brief" } });
    assert_eq!(home::preferences(before, &chosen).unwrap().verbosity, home::Verbosity::Brief);
    let boxes = json!({ "action_id": ids::PREFERENCES, "selected_options": [{ "value": "private" }] });
    let after = home::preferences(before, &boxes).unwrap();
    assert!(after.private_by_default && !after.show_cost && !after.follow_up);
    let target = help::Target::Tool { server: "a".into(), tool: "b".into() };
    assert_eq!(help::Target::read(&target.value()), Some(target));
    let page = help::Target::Page { server: "a".into(), page: 2 };
    assert_eq!(help::Target::read(&page.value()), Some(page));
    assert_eq!(ids::explored("explore_mcp_github_mcp"), Some("github_mcp"));
}
